import Logging
import NIOPosix
import TestSupport
import Testing

@testable import Bookie

@Suite("Damage, as the cluster is told of it")
struct DamageRecordTests {
  @Test("Numbers become ranges and come back; a record is bounded, whatever is damaged, and whatever it says")
  func records() {
    #expect(DamageRecord([3, 7]).text == "3,7")
    #expect(DamageRecord([1, 2, 3, 9, Int64.max - 1, Int64.max]).text == "1-3,9,\(Int64.max - 1)-\(Int64.max)")
    #expect(DamageRecord([]).entryIDs == [])
    for ids in [[0], [0, 1, 2, 5, 8, 9], [7, Int64.max - 1, Int64.max]] as [[Int64]] {
      #expect(DamageRecord(ids).entryIDs == ids)
    }
    #expect(DamageRecord(Array(0..<100_000)).text == "0-99999")
    let scattered = DamageRecord((0..<100_000).map { Int64.max - 200_000 + 2 * $0 })
    #expect(scattered.text.utf8.count < 256 * 1024)
    #expect(scattered.entryIDs.count == DamageRecord.maximumParts)
    #expect(DamageRecord(text: "x,-4,5-,-,9-7,1-2,,8").entryIDs == [1, 2, 8])
    #expect(DamageRecord(text: "0-\(Int64.max),5").entryIDs.count == 100_000)
  }

  @Test("An operator ends a limbo, and the cluster knows it")
  func leavesLimbo() async throws {
    try await BookieHarness.with { harness in
      let bookie = try await harness.start()
      let client = try await LocalClient.connect(bookie)
      try await client.add(4, 0...9)
      bookie.storage.state.withLockedValue { $0.table.enterLimbo(through: 10) }
      await bookie.watch.look()
      #expect(try await harness.metadata.get("/bookies/limbo/b1")?.value == Array("limbo 10".utf8))
      #expect(bookie.statistics().isInLimbo && bookie.statistics().ledgersInLimbo == 1 && bookie.ledgersInLimbo == [4])
      try await bookie.leaveLimbo()
      #expect(try await harness.metadata.get("/bookies/limbo/b1") == nil)
      try await bookie.abandon()
      let again = try await harness.start()
      #expect(!again.statistics().isInLimbo && again.statistics().ledgersInLimbo == 0)
      try await again.shutdown()
    }
  }

  @Test("Damage is told as soon as the metadata store takes it, and what it knew of before is not written over")
  func refusedTelling() async throws {
    try await BookieHarness.with {
      $0.diskCheckInterval = .milliseconds(20)
    } _: { harness in
      let store = StubbornStore(harness.metadata)
      try await harness.metadata.put("/bookies/damaged/b1/4", Array("3-5".utf8))
      store.refuse("/bookies/damaged/")
      let bookie = try await Bookie.start(
        configuration: harness.configuration, metadata: store, group: MultiThreadedEventLoopGroup.singleton,
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
      bookie.storage.damage.add(4, [9])
      bookie.storage.damage.add(7, [1])
      await eventually { store.refusals > 2 }
      #expect(try await harness.metadata.get("/bookies/damaged/b1/4")?.value == Array("3-5".utf8))
      store.refuse("/bookies/damaged/b1/7")
      let before = store.refusals
      await eventually { try await harness.metadata.get("/bookies/damaged/b1/4")?.value == Array("3-5,9".utf8) }
      await eventually { store.refusals > before + 2 }
      store.refuse(nil)
      await eventually { try await harness.metadata.get("/bookies/damaged/b1/7")?.value == Array("1".utf8) }
      try await bookie.shutdown()
    }
  }
}
