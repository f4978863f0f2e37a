import BookieWire
import Logging
import MetadataStore
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import Ledgers

@Suite(.serialized) struct LedgerReadingTests {
  private static let three = LedgerOptions(ensembleSize: 3, writeQuorumSize: 3, ackQuorumSize: 2)

  private static func read(
    _ ledger: ReadableLedger, _ from: EntryID, _ through: EntryID, maxBytes: Int = 1 << 20
  ) async throws -> [LedgerEntry] {
    try await ledger.eventLoop.flatSubmit { () -> EventLoopFuture<[LedgerEntry]> in
      let promise = ledger.eventLoop.makePromise(of: [LedgerEntry].self)
      ledger.read(from: from, through: through, maxBytes: maxBytes) {
        promise.completeWith($0.mapError { $0 as any Error })
      }
      return promise.futureResult
    }.get()
  }

  @Test func bookiesWithoutBatchReadsAreReadOneByOne() async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let directory = try TemporaryDirectory()
    let metadata = try await RocksDBStore.open(path: directory.file("metadata"))
    var bookies: [OldBookie] = []
    for index in 1...3 {
      bookies.append(try await OldBookie.start("old-\(index)", metadata: metadata, group: group))
    }
    var logger = Logger(label: "ledgers")
    logger.logLevel = .error
    let client = LedgerClient(metadata: metadata, group: group, logger: logger)
    let ledger = try await client.createLedger(Self.three, on: group.next())
    #expect(try await LedgerLoad.run(ledger, count: 200).acknowledged == 200)
    _ = try await ledger.close()
    let reader = try await client.openLedger(ledger.id, on: group.next())
    let entries = try await reader.readAll()
    #expect(entries.count == 200 && entries.allSatisfy { LedgerLoad.matches($0) })
    #expect(bookies.reduce(0) { $0 + $1.reads.batch } == 1, "nobody is asked a second time")
    #expect(bookies.reduce(0) { $0 + $1.reads.single } >= 200)
    #expect(client.directory.suspects.isEmpty, "it is no failure of the bookie")
    try await client.shutdown()
    for bookie in bookies { try await bookie.stop() }
    try await metadata.close()
    try await group.shutdownGracefully()
    directory.remove()
  }

  @Test(arguments: Reach.allCases)
  func whoReadsOnIsReadAheadFor(_ reach: Reach) async throws {
    try await BookieCluster.with(3) { cluster in
      let client = await cluster.client(reach) { $0.readAheadBytesPerLedger = 20_000 }
      let ledger = try await client.createLedger(Self.three, on: cluster.loop)
      #expect(try await LedgerLoad.run(ledger, count: 1_000).acknowledged == 1_000)
      _ = try await ledger.close()
      let reader = try await client.openLedger(ledger.id, on: cluster.loop)
      #expect(try await Self.read(reader, 0, 99).map(\.entryID) == Array(0...99))
      #expect(client.readAheadBytes == 0, "one read is no sequence")
      #expect(try await Self.read(reader, 100, 199).map(\.entryID) == Array(100...199))
      // 10,000 bytes of it, as much as was asked for.
      await eventually { client.readAheadBytes == 10_000 }
      for from in stride(from: EntryID(200), to: 1_000, by: 100) {
        let entries = try await Self.read(reader, from, from + 99)
        #expect(entries.map(\.entryID) == Array(from...from + 99))
        #expect(entries.allSatisfy { LedgerLoad.matches($0) })
        #expect(client.readAheadBytes <= 20_000)
      }
      #expect(client.readAheadBytes == 0, "there is nothing behind the end")
      // A reader that went elsewhere, or went away, leaves nothing behind.
      _ = try await Self.read(reader, 0, 99)
      _ = try await Self.read(reader, 100, 199)
      await eventually { client.readAheadBytes > 0 }
      #expect(try await Self.read(reader, 700, 709).count == 10)
      #expect(client.readAheadBytes == 0)
      _ = try await Self.read(reader, 710, 719)
      await eventually { client.readAheadBytes > 0 }
      try await reader.eventLoop.submit { reader.close() }.get()
      #expect(client.readAheadBytes == 0)
    }
  }

  @Test func withoutStickyReadsTheBookiesShareTheReading() async throws {
    try await BookieCluster.with(3) { cluster in
      for isSticky in [true, false] {
        let client = await cluster.client(.inProcess) {
          $0.stickyReadsEnabled = isSticky
          $0.batchReadEnabled = false
          $0.reorderReadSequenceEnabled = false
          $0.speculativeReadDelay = .seconds(20)
          $0.shortestSpeculativeReadDelay = .seconds(20)
        }
        let ledger = try await client.createLedger(Self.three, on: cluster.loop)
        #expect(try await LedgerLoad.run(ledger, count: 90).acknowledged == 90)
        _ = try await ledger.close()
        let reader = try await client.openLedger(ledger.id, on: cluster.loop)
        var before: [Int] = []
        for id in await cluster.bookieIDs { before.append(await cluster.reads(of: id)) }
        #expect(try await Self.read(reader, 0, 89).count == 90)
        var asked: [Int] = []
        for (index, id) in await cluster.bookieIDs.enumerated() {
          asked.append(await cluster.reads(of: id) - before[index])
        }
        #expect(asked.sorted() == (isSticky ? [0, 0, 90] : [30, 30, 30]))
      }
    }
  }
}
