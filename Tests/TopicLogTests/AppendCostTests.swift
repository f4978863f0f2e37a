import NIOCore
import NIOPosix
import Testing

@testable import TopicLog

@Suite("What an append costs")
struct AppendCostTests {
  @Test("the log's own work does not grow with the ledger")
  func cost() async throws {
    let ledgers = FakeLedgers()
    let log = try await TopicLog.fake(ledgers, MemoryMetadata()) { $0.maxEntriesPerLedger = 1_000_000 }
    let texts = [String](repeating: "x", count: 2000)
    _ = try await log.append(all: texts)
    let clock = ContinuousClock()
    var costs: [Duration] = []
    for _ in 0..<10 {
      let time = try await clock.measure { _ = try await log.append(all: texts) }
      costs.append(time / texts.count)
    }
    let best = costs.min() ?? .zero
    let report = "best \(best) an entry, worst \(costs.max() ?? .zero)"
    // A bound for a debug build on a busy machine; the in-memory ledger takes its part of it.
    #expect(best < .microseconds(200), "\(report)")
    try await log.close()
  }
}
