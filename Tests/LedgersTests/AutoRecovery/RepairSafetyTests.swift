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

  @Test func whatCannotBeRepairedIsPutOffThoughItIsReportedAgainAndAgain() async throws {
    try await BookieCluster.with(2) { cluster in
      let client = await cluster.client(.inProcess)
      let id = try await Self.closedLedger(
        cluster, client, LedgerOptions(ensembleSize: 2, writeQuorumSize: 2), count: 20)
      for bookie in ["bookie-1", "bookie-2"] {
        await cluster.faults(of: bookie) { faults in
          faults.readCodes = [3: .noEntry]
          faults.delay = .milliseconds(30)
        }
      }
      let suspects = [SuspectCopies(bookie: "bookie-1", first: 3, last: 3)]
      let marks = client.marks
      let reader = Task {
        while !Task.isCancelled {
          try await marks.mark(id) { $0.add(suspects: suspects) }
          try await Task.sleep(for: .milliseconds(5))
        }
      }
      defer { reader.cancel() }
      _ = await cluster.autoRecovery(client)
      await eventually { try await marks.read(id)?.ledger.attempts ?? 0 >= 2 }
    }
  }

  /// A ledger whose first segment another one follows, with the bookies of both; its writer is gone.
  private static func abandonedLedger(
    _ cluster: BookieCluster
  ) async throws -> (id: LedgerID, first: [String], last: [String]) {
    let writer = await cluster.client(.inProcess)
    let options = LedgerOptions(ensembleSize: 3, writeQuorumSize: 3, ackQuorumSize: 2)
    let ledger = try await writer.createLedger(options, on: cluster.loop)
    #expect(try await LedgerLoad.run(ledger, count: 50, window: 1).acknowledged == 50)
    let first = try await writer.ledgerMetadata(ledger.id).lastSegment.ensemble
    await cluster.faults(of: first[0]) { $0.addCode = .ioError }
    await eventually {
      _ = try await LedgerLoad.run(ledger, count: 10)
      return try await writer.ledgerMetadata(ledger.id).segments.count == 2
    }
    await cluster.faults(of: first[0]) { $0.addCode = nil }
    let last = try await writer.ledgerMetadata(ledger.id).lastSegment.ensemble
    try await writer.shutdown()
    return (ledger.id, first, last)
  }

  private static func repairer(_ cluster: BookieCluster, _ client: LedgerClient) -> LedgerRepairer {
    LedgerRepairer(
      client: client, configuration: AutoRecoveryConfiguration(), throttle: SharedThrottle(bytesPerSecond: 0),
      statistics: AutoRecoveryCounters(), loop: cluster.loop, logger: client.logger)
  }

  @Test func closedSegmentsAreCopiedThoughTheLastOneCannotBeRecovered() async throws {
    try await BookieCluster.with(7) { cluster in
      let client = await cluster.client(.inProcess) { $0.readEntryTimeout = .milliseconds(200) }
      let (id, first, last) = try await Self.abandonedLedger(cluster)
      // One of three of the closed segment, two of three of the last one.
      let lost = [last[0], first[1]]
      for bookie in lost { try await cluster.stop(bookie) }
      try await client.directory.refresh()
      var mark = UnderReplicatedLedger(ledgerID: id, sinceMs: 0)
      mark.add(lost: Set(lost), nowMs: 0)
      let outcome = try await Self.repairer(cluster, client).repair(mark) {}
      guard case .unfinished(let problem, _) = outcome else {
        Issue.record("\(outcome)")
        return
      }
      #expect(problem.contains("cannot be recovered"))
      let now = try #require(try await client.ledgerMetadata(id).segments.first).ensemble
      #expect(!now.contains(first[1]) && now.contains(first[0]) && now.contains(first[2]))
    }
  }

  @Test func aTargetThatDoesNotAnswerIsInTheWayOfNothingElse() async throws {
    try await BookieCluster.with(4) { cluster in
      let client = await cluster.client(.inProcess) { $0.readEntryTimeout = .milliseconds(200) }
      let id = try await Self.closedLedger(
        cluster, client, LedgerOptions(ensembleSize: 3, writeQuorumSize: 3), count: 20)
      let ensemble = try await client.ledgerMetadata(id).lastSegment.ensemble
      let target = try #require(await cluster.bookieIDs.first { !ensemble.contains($0) })
      try await cluster.stop(ensemble[0])
      try await client.directory.refresh()
      await cluster.faults(of: target) { $0.isSilent = true }
      await cluster.faults(of: ensemble[1]) { $0.readCodes = [3: .noEntry] }
      try await client.marks.mark(id) { mark in
        mark.add(lost: [ensemble[0]], nowMs: 0)
        mark.add(suspects: [.init(bookie: ensemble[1], first: 3, last: 3)])
        mark.progress = .init(segment: 0, slot: 0, target: target, through: 0)
      }
      let mark = try #require(try await client.marks.read(id)).ledger
      let repairer = Self.repairer(cluster, client)
      guard case .unfinished = try await repairer.repair(mark, proceed: {}) else {
        Issue.record("without a target nothing is replaced")
        return
      }
      #expect(repairer.statistics.snapshot.entriesWritten == 1)
      #expect(try await client.marks.read(id)?.ledger.progress == nil)
    }
  }

  @Test func aMarkThatCannotBeReadMeansThatAllCopiesAreLookedAt() async throws {
    try await BookieCluster.with(3) { cluster in
      let client = await cluster.client(.inProcess)
      let id = try await Self.closedLedger(
        cluster, client, LedgerOptions(ensembleSize: 3, writeQuorumSize: 3), count: 20)
      await cluster.faults(of: "bookie-2") { $0.readCodes = [3: .noEntry] }
      try await cluster.metadata.put(UnderReplicationStore.ledgers + "\(id)", Array("{".utf8))
      let listed = try await client.marks.list(after: nil, limit: 10).map(\.ledger.ledgerID)
      #expect(listed == [id])
      try await client.marks.mark(id) { $0.addMisplaced() }
      #expect(try await client.marks.read(id)?.ledger.isUnreadable == true)
      let recovery = await cluster.autoRecovery(client)
      await eventually { try await client.marks.read(id) == nil }
      #expect(recovery.statistics.entriesWritten == 1)
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
