import Bookie
import BookieWire
import Logging
import NIOCore
import TestSupport
import Testing

@testable import Ledgers

@Suite(.serialized) struct LedgerClientTests {
  @Test(arguments: Reach.allCases)
  func writesClosesAndReadsBack(_ reach: Reach) async throws {
    try await BookieCluster.with(3) { cluster in
      let client = await cluster.client(reach)
      let ledger = try await client.createLedger(LedgerOptions(), on: cluster.loop)
      let outcome = try await LedgerLoad.run(ledger, count: 2_000)
      #expect(outcome.acknowledged == 2_000)
      #expect(outcome.isOrdered)
      let closed = try await ledger.close()
      #expect(closed.lastEntry == 1_999)
      #expect(closed.length == 200_000)
      let again = try await ledger.close()
      #expect(again == closed)
      let metadata = try await client.ledgerMetadata(ledger.id)
      #expect(metadata.state == .closed)
      #expect(metadata.segments.count == 1)
      let late = try await LedgerLoad.run(ledger, count: 1)
      #expect(late.error == .closed(ledger.id))
      let reader = try await client.openLedger(ledger.id, on: cluster.loop)
      #expect(reader.lastEntry == 1_999)
      let entries = try await reader.readAll()
      #expect(entries.count == 2_000)
      #expect(entries.allSatisfy { LedgerLoad.matches($0) })
    }
  }

  @Test(arguments: Reach.allCases)
  func aLostBookieIsReplacedWhileTheWriterGoesOn(_ reach: Reach) async throws {
    try await BookieCluster.with(4) { cluster in
      let client = await cluster.client(reach)
      let ledger = try await client.createLedger(LedgerOptions(), on: cluster.loop)
      let first = try await client.ledgerMetadata(ledger.id).lastSegment.ensemble
      let outcome = try await LedgerLoad.run(ledger, count: 10_000, at: 3_000) {
        Task { try await cluster.stop(first[1]) }
      }
      #expect(outcome.acknowledged == 10_000)
      #expect(outcome.isOrdered)
      #expect(outcome.error == nil)
      _ = try await ledger.close()
      let metadata = try await client.ledgerMetadata(ledger.id)
      #expect(metadata.segments.count == 2)
      #expect(!metadata.lastSegment.ensemble.contains(first[1]))
      #expect(metadata.lastSegment.firstEntry >= 3_000)
      let entries = try await client.openLedger(ledger.id, on: cluster.loop).readAll()
      #expect(entries.count == 10_000)
      #expect(entries.allSatisfy { LedgerLoad.matches($0) })
    }
  }

  @Test(arguments: Reach.allCases)
  func aSecondClientFencesTheFirst(_ reach: Reach) async throws {
    try await BookieCluster.with(3) { cluster in
      let first = await cluster.client(reach)
      let second = await cluster.client(reach)
      let ledger = try await first.createLedger(LedgerOptions(), on: cluster.loop)
      let id = ledger.id
      let opened = cluster.loop.makePromise(of: ReadableLedger.self)
      let outcome = try await LedgerLoad.run(ledger, count: 1_000_000, at: 500) {
        opened.completeWithTask { try await second.openLedger(id, on: cluster.loop) }
      }
      #expect(outcome.error == .fenced(id))
      #expect(outcome.isOrdered)
      let reader = try await opened.futureResult.get()
      #expect(reader.lastEntry >= Int64(outcome.acknowledged) - 1)
      let entries = try await reader.readAll()
      #expect(entries.count == Int(reader.lastEntry) + 1)
      #expect(entries.allSatisfy { LedgerLoad.matches($0) })
      await #expect(throws: LedgerError.fenced(id)) { try await ledger.close() }
    }
  }

  @Test(arguments: Reach.allCases)
  func aLedgerWhoseWriterVanishedIsRecoveredByManyAtOnce(_ reach: Reach) async throws {
    try await BookieCluster.with(4) { cluster in
      let writer = await cluster.client(reach)
      let ledger = try await writer.createLedger(
        LedgerOptions(ensembleSize: 3, writeQuorumSize: 3, ackQuorumSize: 2), on: cluster.loop)
      let outcome = try await LedgerLoad.run(ledger, count: 300)
      #expect(outcome.acknowledged == 300)
      try await writer.shutdown()
      try await cluster.stop(try await cluster.client(reach).ledgerMetadata(ledger.id).lastSegment.ensemble[0])
      let clients = [await cluster.client(reach), await cluster.client(reach), await cluster.client(reach)]
      let readers = try await withThrowingTaskGroup(of: ReadableLedger.self) { group in
        for client in clients {
          group.addTask { try await client.openLedger(ledger.id, on: cluster.loop) }
        }
        return try await group.reduce(into: [ReadableLedger]()) { $0.append($1) }
      }
      #expect(Set(readers.map(\.lastEntry)) == [299])
      #expect(Set(readers.map(\.length)) == [30_000])
      let entries = try await readers[0].readAll()
      #expect(entries.allSatisfy { LedgerLoad.matches($0) })
      #expect(entries.count == 300)
    }
  }

  @Test func everythingIsThereAfterAllBookiesRestart() async throws {
    try await BookieCluster.with(3) { cluster in
      let client = await cluster.client(.network)
      let closed = try await client.createLedger(LedgerOptions(), on: cluster.loop)
      #expect(try await LedgerLoad.run(closed, count: 500).acknowledged == 500)
      _ = try await closed.close()
      let open = try await client.createLedger(LedgerOptions(), on: cluster.loop)
      #expect(try await LedgerLoad.run(open, count: 500).acknowledged == 500)
      for id in await cluster.bookieIDs { try await cluster.stop(id) }
      for id in ["bookie-1", "bookie-2", "bookie-3"] { try await cluster.start(id) }
      for id in [closed.id, open.id] {
        var reader: ReadableLedger?
        await eventually {
          reader = try await client.openLedger(id, on: cluster.loop)
          return reader?.lastEntry == 499
        }
        // The bookies have other ports now, which every connection has to find out.
        var entries: [LedgerEntry] = []
        await eventually {
          entries = try await reader?.readAll() ?? []
          return entries.count == 500
        }
        #expect(entries.allSatisfy { LedgerLoad.matches($0) })
      }
    }
  }

  @Test func goesOnWithoutASpareBookieWhileTheAckQuorumIsThere() async throws {
    try await BookieCluster.with(3) { cluster in
      let client = await cluster.client(.network)
      let ledger = try await client.createLedger(
        LedgerOptions(ensembleSize: 3, writeQuorumSize: 3, ackQuorumSize: 2), on: cluster.loop)
      let outcome = try await LedgerLoad.run(ledger, count: 2_000, at: 500) {
        Task { try await cluster.stop("bookie-2") }
      }
      #expect(outcome.acknowledged == 2_000)
      _ = try await ledger.close()
      let entries = try await client.openLedger(ledger.id, on: cluster.loop).readAll()
      #expect(entries.count == 2_000)
    }
  }

  @Test func tooFewBookiesIsAClearError() async throws {
    try await BookieCluster.with(2) { cluster in
      let client = await cluster.client(.network)
      await #expect(throws: LedgerError.notEnoughBookies(needed: 3, available: 2)) {
        try await client.createLedger(LedgerOptions(), on: cluster.loop)
      }
      // A bookie that has just started counts.
      try await cluster.start("bookie-3")
      let ledger = try await client.createLedger(LedgerOptions(), on: cluster.loop)
      #expect(try await LedgerLoad.run(ledger, count: 1).acknowledged == 1)
      try await cluster.stop("bookie-1")
      let outcome = try await LedgerLoad.run(ledger, count: 10)
      #expect(outcome.error == .notEnoughBookies(needed: 3, available: 2))
      // What was acknowledged can still be closed off.
      #expect(try await ledger.close().lastEntry >= 0)
    }
  }

  @Test(arguments: Reach.allCases)
  func readsWhileTheLedgerIsWritten(_ reach: Reach) async throws {
    try await BookieCluster.with(3) { cluster in
      let client = await cluster.client(reach)
      let ledger = try await client.createLedger(
        LedgerOptions(ensembleSize: 3, writeQuorumSize: 3, ackQuorumSize: 2), on: cluster.loop)
      #expect(try await LedgerLoad.run(ledger, count: 200, size: 5_000).acknowledged == 200)
      let entries = try await ledger.eventLoop.flatSubmit { () -> EventLoopFuture<[LedgerEntry]> in
        let promise = ledger.eventLoop.makePromise(of: [LedgerEntry].self)
        ledger.read(from: 10, through: ledger.lastAddConfirmed, maxBytes: 100_000) {
          promise.completeWith($0.mapError { $0 as any Error })
        }
        return promise.futureResult
      }.get()
      #expect(entries.map(\.entryID) == Array(10..<30))
      #expect(entries.allSatisfy { LedgerLoad.matches($0, size: 5_000) })
      // Without recovery a reader sees what later entries say is acknowledged, and the writer goes on.
      let reader = try await client.openLedgerWithoutRecovery(ledger.id, on: cluster.loop)
      #expect(!reader.isClosed)
      #expect(reader.lastEntry < 199)
      #expect(reader.length == (reader.lastEntry + 1) * 5_000)
      #expect(try await LedgerLoad.run(ledger, count: 10, size: 5_000).acknowledged == 10)
    }
  }

  @Test func emptyAndLargeEntriesAndUnknownLedgers() async throws {
    try await BookieCluster.with(3) { cluster in
      let client = await cluster.client(.network)
      let ledger = try await client.createLedger(LedgerOptions(), on: cluster.loop)
      let large = ByteBuffer(repeating: 7, count: 4_000_000)
      let results = try await ledger.eventLoop.flatSubmit { () -> EventLoopFuture<[EntryID]> in
        let futures = [ByteBuffer(), large, ByteBuffer(), ByteBuffer(repeating: 1, count: 6_000_000)].map { body in
          let promise = ledger.eventLoop.makePromise(of: EntryID.self)
          ledger.append(ByteBuffer(), body) { promise.completeWith($0.mapError { $0 as any Error }) }
          return promise.futureResult.flatMapErrorThrowing { _ in -1 }
        }
        return EventLoopFuture.whenAllSucceed(futures, on: ledger.eventLoop)
      }.get()
      #expect(results == [0, 1, 2, -1])
      let closed = try await ledger.close()
      #expect(closed.length == 4_000_000)
      let entries = try await client.openLedger(ledger.id, on: cluster.loop).readAll(maxBytes: 1)
      #expect(entries.map(\.payload.readableBytes) == [0, 4_000_000, 0])
      #expect(entries[1].payload == large)
      try await client.deleteLedger(ledger.id)
      try await client.deleteLedger(ledger.id)
      await #expect(throws: LedgerError.noSuchLedger(ledger.id)) {
        try await client.openLedger(ledger.id, on: cluster.loop)
      }
    }
  }

  @Test func anEmptyLedgerIsRecoveredAsEmpty() async throws {
    try await BookieCluster.with(3) { cluster in
      let client = await cluster.client(.network)
      let ledger = try await client.createLedger(LedgerOptions(), on: cluster.loop)
      let reader = try await client.openLedger(ledger.id, on: cluster.loop)
      #expect(reader.lastEntry == -1)
      #expect(reader.isClosed)
      let outcome = try await LedgerLoad.run(ledger, count: 1)
      #expect(outcome.error == .fenced(ledger.id))
    }
  }

  @Test(arguments: Reach.allCases)
  func measuresAppends(_ reach: Reach) async throws {
    try await BookieCluster.with(3) { cluster in
      let client = await cluster.client(reach)
      let ledger = try await client.createLedger(LedgerOptions(), on: cluster.loop)
      let clock = ContinuousClock()
      let start = clock.now
      let outcome = try await LedgerLoad.run(ledger, count: 5_000, window: 2_000)
      let seconds = (clock.now - start) / .seconds(1)
      #expect(outcome.acknowledged == 5_000)
      print("measured \(reach): \(Int(5_000 / seconds)) appends/s of 100 bytes (E=3 Qw=2 Qa=2), one ledger")
    }
  }
}
