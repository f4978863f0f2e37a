import BookieWire
import MetadataStore
import NIOCore
import TestSupport
import Testing

@testable import Ledgers

/// What repairs must not believe.
@Suite(.serialized) struct RepairSafetyTests {
  private static func closedLedger(
    _ cluster: BookieCluster, _ client: LedgerClient, _ options: LedgerOptions, count: Int
  ) async throws -> LedgerID {
    let ledger = try await client.createLedger(options, on: cluster.loop)
    #expect(try await LedgerLoad.run(ledger, count: count).acknowledged == count)
    _ = try await ledger.close()
    return ledger.id
  }

  @Test func aRepairThatGoesOnLooksAtAllThatItsTargetShouldHave() async throws {
    try await BookieCluster.with(4) { cluster in
      let client = await cluster.client(.inProcess)
      let operations = LedgerOperator(client: client)
      let id = try await Self.closedLedger(
        cluster, client, LedgerOptions(ensembleSize: 2, writeQuorumSize: 2), count: 200)
      let ensemble = try await client.ledgerMetadata(id).lastSegment.ensemble
      let target = try #require(await cluster.bookieIDs.first { !ensemble.contains($0) })
      // Another worker says that it has copied most of it; the target has nothing.
      try await client.marks.mark(id) { mark in
        mark.add(lost: [ensemble[0]], nowMs: UnderReplicationStore.nowMs())
        mark.progress = UnderReplicatedLedger.Progress(segment: 0, slot: 0, target: target, through: 190)
      }
      try await cluster.stop(ensemble[0])
      _ = await cluster.autoRecovery(client)
      await eventually { try await client.ledgerMetadata(id).lastSegment.ensemble == [target, ensemble[1]] }
      #expect(try await operations.verify(id).isHealthy)
    }
  }

  @Test func aBookieThatIsAwayForShortIsNotReplacedForAnotherReason() async throws {
    try await BookieCluster.with(4) { cluster in
      let client = await cluster.client(.inProcess) { $0.readEntryTimeout = .milliseconds(200) }
      let operations = LedgerOperator(client: client)
      let id = try await Self.closedLedger(
        cluster, client, LedgerOptions(ensembleSize: 3, writeQuorumSize: 3), count: 20)
      let before = try await client.ledgerMetadata(id)
      let ensemble = before.lastSegment.ensemble
      await cluster.faults(of: ensemble[1]) { $0.readCodes = [3: .noEntry] }
      let recovery = await cluster.autoRecovery(client) { $0.lostBookieRecoveryDelay = .seconds(3_600) }
      try await cluster.stop(ensemble[0])
      try await client.marks.mark(id) { $0.add(suspects: [.init(bookie: ensemble[1], first: 3, last: 3)]) }
      await eventually { recovery.statistics.ledgersRepaired == 1 }
      #expect(recovery.statistics.entriesWritten == 1)
      #expect(try await client.ledgerMetadata(id) == before)
      #expect(try await operations.underReplicated().isEmpty)
    }
  }

  @Test func aTargetThatIsNotWhatItWasIsNotNamed() async throws {
    try await BookieCluster.with(4) { cluster in
      let client = await cluster.client(.inProcess)
      let id = try await Self.closedLedger(
        cluster, client, LedgerOptions(ensembleSize: 3, writeQuorumSize: 3), count: 200)
      let before = try await client.ledgerMetadata(id)
      let lost = before.lastSegment.ensemble[0]
      let target = try #require(await cluster.bookieIDs.first { !before.lastSegment.ensemble.contains($0) })
      try await cluster.stop(lost)
      try await client.directory.refresh()
      var mark = UnderReplicatedLedger(ledgerID: id, sinceMs: 0)
      mark.add(lost: [lost], nowMs: 0)
      var configuration = AutoRecoveryConfiguration()
      configuration.rereplicationEntryBatchSize = 10
      let repairer = LedgerRepairer(
        client: client, configuration: configuration, throttle: SharedThrottle(bytesPerSecond: 0),
        statistics: AutoRecoveryCounters(), loop: cluster.loop, logger: client.logger)
      // Half-way the target loses a part of its journal.
      let metadata = cluster.metadata
      let outcome = try await repairer.repair(mark) {
        try await metadata.put("/bookies/limbo/\(target)", Array("limbo \(id)".utf8))
      }
      guard case .unfinished = outcome else {
        Issue.record("\(outcome)")
        return
      }
      #expect(try await client.ledgerMetadata(id) == before)
    }
  }

  @Test func aLedgerThatLacksAFragmentIsFoundByAFewEntries() async throws {
    try await BookieCluster.with(3) { cluster in
      let client = await cluster.client(.inProcess)
      let operations = LedgerOperator(client: client)
      let id = try await Self.closedLedger(
        cluster, client, LedgerOptions(ensembleSize: 3, writeQuorumSize: 3), count: 300)
      func suspects(_ missing: Range<Int64>) async throws -> [SuspectCopies] {
        await cluster.faults(of: "bookie-2") { faults in
          faults.readCodes = Dictionary(uniqueKeysWithValues: missing.map { ($0, .noEntry) })
        }
        let found = try await operations.verify(id, percentage: 0, marks: false)
        #expect(found.entriesChecked < 30)
        return found.suspects
      }
      let all = [SuspectCopies(bookie: "bookie-2", first: 0, last: 299)]
      #expect(try await suspects(0..<300) == all)
      #expect(try await suspects(0..<1) == all)
      // Only in the middle.
      #expect(try await suspects(40..<260) == all)
      let whole = try await operations.verify(id, marks: false)
      #expect(whole.suspects == [.init(bookie: "bookie-2", first: 40, last: 259)])
    }
  }

  @Test func aLockThatIsLostIsNotTakenFromWhoHasItNow() async throws {
    try await BookieCluster.with(1) { cluster in
      let marks = UnderReplicationStore(store: cluster.metadata)
      let lease = try await cluster.metadata.grantLease(ttl: .seconds(60))
      let key = UnderReplicationStore.locks + "7"
      let first = try #require(try await marks.acquire(key, holder: "first", lease: lease))
      #expect(try await marks.acquire(key, holder: "second", lease: lease) == nil)
      try await cluster.metadata.delete(key, expected: .any)
      let second = try #require(try await marks.acquire(key, holder: "second", lease: lease))
      try await marks.release(key, first)
      #expect(try await marks.holder(key) == "second")
      try await marks.release(key, second)
      #expect(try await marks.holder(key) == nil)
    }
  }

  @Test func aWriterReadsWhatRepairsHavePutElsewhere() async throws {
    try await BookieCluster.with(5) { cluster in
      let client = await cluster.client(.inProcess) {
        $0.lostBookieGracePeriod = .milliseconds(20)
        $0.readEntryTimeout = .milliseconds(500)
      }
      let ledger = try await client.createLedger(LedgerOptions(ensembleSize: 2, writeQuorumSize: 2), on: cluster.loop)
      #expect(try await LedgerLoad.run(ledger, count: 50).acknowledged == 50)
      let first = try await client.ledgerMetadata(ledger.id).lastSegment.ensemble
      _ = await cluster.autoRecovery(client)
      for bookie in first {
        try await cluster.stop(bookie)
        await eventually { try await client.ledgerMetadata(ledger.id).bookiesInUse.contains(bookie) == false }
      }
      let promise = cluster.loop.makePromise(of: Int.self)
      ledger.eventLoop.execute {
        ledger.read(from: 0, through: 49, maxBytes: 1 << 20) { result in
          promise.completeWith(result.map(\.count).mapError { $0 as any Error })
        }
      }
      #expect(try await promise.futureResult.get() == 50)
      #expect(try await LedgerLoad.run(ledger, count: 50).acknowledged == 50)
    }
  }
}
