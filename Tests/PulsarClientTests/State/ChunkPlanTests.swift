import Testing

@testable import PulsarClient

@Suite struct ChunkPlanTests {
  @Test func chunksFitAndCoverTheMessage() throws {
    let plan = try #require(ChunkPlan(bytes: 1000, limit: 400, front: { _ in 100 }))
    #expect(plan.count == 4 && plan.bytesPerChunk == 300)
    #expect(try #require(ChunkPlan(bytes: 900, limit: 400, front: { _ in 100 })).count == 3)
    #expect(ChunkPlan(bytes: 1000, limit: 100, front: { _ in 100 }) == nil)
    #expect(ChunkPlan(bytes: Int(Int32.max) + 1, limit: 1 << 20, front: { _ in 100 }) == nil)
    #expect(ChunkPlan(bytes: 0, limit: 400, front: { _ in 100 }) == nil)
  }
}
