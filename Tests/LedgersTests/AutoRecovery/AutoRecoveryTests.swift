import Bookie
import BookieWire
import NIOCore
import TestSupport
import Testing

@testable import Ledgers

@Suite(.serialized) struct AutoRecoveryTests {
  private static let three = LedgerOptions(ensembleSize: 3, writeQuorumSize: 3, ackQuorumSize: 2)

  private func closedLedger(
    _ cluster: BookieCluster, _ client: LedgerClient, _ options: LedgerOptions, count: Int = 200
  ) async throws -> LedgerID {
    let ledger = try await client.createLedger(options, on: cluster.loop)
    #expect(try await LedgerLoad.run(ledger, count: count).acknowledged == count)
    _ = try await ledger.close()
    return ledger.id
  }

  @Test func whatALostBookieHeldIsCopiedElsewhereAndReadsAsItWas() async throws {
    try await BookieCluster.with(4) { cluster in
      let client = await cluster.client(.inProcess)
      let operations = LedgerOperator(client: client)
      var ids: [LedgerID] = []
      for _ in 0..<3 { ids.append(try await closedLedger(cluster, client, LedgerOptions())) }
      let lost = try await client.ledgerMetadata(ids[0]).lastSegment.ensemble[1]
      let recovery = await cluster.autoRecovery(client)
      try await cluster.stop(lost)
      await eventually {
        for id in ids where try await client.ledgerMetadata(id).bookiesInUse.contains(lost) { return false }
        return try await operations.underReplicated().isEmpty && recovery.statistics.bookieAudits > 0
      }
      for id in ids {
        let metadata = try await client.ledgerMetadata(id)
        #expect(metadata.state == .closed)
        #expect(metadata.lastEntry == 199)
        #expect(metadata.segments.count == 1, "nothing but the members of a segment changes")
        let found = try await operations.verify(id)
        #expect(found.isHealthy)
        #expect(found.entriesChecked == 200)
        #expect(found.copiesChecked == 400)
        let entries = try await client.openLedger(id, on: cluster.loop).readAll()
        #expect(entries.count == 200)
        #expect(entries.allSatisfy { LedgerLoad.matches($0) })
      }
      #expect(recovery.statistics.isAuditor)
      #expect(recovery.statistics.ledgersRepaired >= 1)
      #expect(recovery.statistics.entriesWritten > 0)
    }
  }

  @Test func nothingIsCopiedWhileItIsSwitchedOff() async throws {
    try await BookieCluster.with(4) { cluster in
      let client = await cluster.client(.inProcess)
      let operations = LedgerOperator(client: client)
      let id = try await closedLedger(cluster, client, LedgerOptions())
      try await operations.setAutoRecoveryEnabled(false)
      try await operations.setAutoRecoveryEnabled(false)
      #expect(try await operations.autoRecoveryStatus().isEnabled == false)
      let recovery = await cluster.autoRecovery(client)
      await eventually { try await operations.autoRecoveryStatus().auditor == "tests" }
      let before = try await client.ledgerMetadata(id)
      try await cluster.stop(before.lastSegment.ensemble[0])
      let rounds = recovery.statistics
      await eventually {
        recovery.statistics.auditorRounds >= rounds.auditorRounds + 10
          && recovery.statistics.workerRounds >= rounds.workerRounds + 10
      }
      #expect(try await client.ledgerMetadata(id) == before)
      #expect(recovery.statistics.bookieAudits == 0)
      try await operations.setAutoRecoveryEnabled(true)
      await eventually { try await client.ledgerMetadata(id) != before }
      await eventually { try await operations.autoRecoveryStatus().underReplicatedLedgers == 0 }
      #expect(try await operations.verify(id).isHealthy)
    }
  }

  @Test func copiesThatABookieMissedAreKnownAndMadeWhenItIsBack() async throws {
    try await BookieCluster.with(3) { cluster in
      let client = await cluster.client(.inProcess) { $0.addEntryTimeout = .milliseconds(300) }
      let operations = LedgerOperator(client: client)
      let ledger = try await client.createLedger(Self.three, on: cluster.loop)
      #expect(try await LedgerLoad.run(ledger, count: 100).acknowledged == 100)
      await cluster.faults(of: "bookie-2") { $0.isSilent = true }
      #expect(try await LedgerLoad.run(ledger, count: 100).acknowledged == 100)
      _ = try await ledger.close()
      await eventually { try await operations.underReplicated().first?.suspects.first?.bookie == "bookie-2" }
      await cluster.faults(of: "bookie-2") { $0.isSilent = false }
      #expect(try await operations.verify(ledger.id, marks: false).entriesBelowWriteQuorum == 100)
      _ = await cluster.autoRecovery(client)
      await eventually { try await operations.underReplicated().isEmpty }
      let found = try await operations.verify(ledger.id)
      #expect(found.isHealthy)
      #expect(found.copiesChecked == 600)
    }
  }

  @Test func aWriterThatDiedLeavesNoEntryWithTooFewCopies() async throws {
    try await BookieCluster.with(3) { cluster in
      let writer = await cluster.client(.inProcess) { $0.addEntryTimeout = .seconds(60) }
      let ledger = try await writer.createLedger(Self.three, on: cluster.loop)
      #expect(try await LedgerLoad.run(ledger, count: 50, window: 5).acknowledged == 50)
      await cluster.faults(of: "bookie-1") { $0.isSilent = true }
      #expect(try await LedgerLoad.run(ledger, count: 50, window: 5).acknowledged == 50)
      await cluster.faults(of: "bookie-1") { $0.isSilent = false }
      let client = await cluster.client(.inProcess)
      let operations = LedgerOperator(client: client)
      #expect(try await operations.recover(ledger.id).lastEntry == 99)
      await eventually { try await operations.underReplicated().first?.ledgerID == ledger.id }
      let mark = try #require(try await operations.underReplicated().first)
      #expect(mark.suspects.contains { $0.bookie == "bookie-1" && $0.first <= 50 && $0.last >= 90 })
      _ = await cluster.autoRecovery(client)
      await eventually { try await operations.underReplicated().isEmpty }
      #expect(try await operations.verify(ledger.id).isHealthy)
    }
  }

  @Test(arguments: [BookieReturnCode.ioError, .unknownLedgerState, .noEntry])
  func aCopyThatABookieCannotReturnIsReadElsewhereAndRepaired(_ code: BookieReturnCode) async throws {
    try await BookieCluster.with(3) { cluster in
      let client = await cluster.client(.inProcess)
      let operations = LedgerOperator(client: client)
      let id = try await closedLedger(cluster, client, LedgerOptions(ensembleSize: 3, writeQuorumSize: 3), count: 20)
      for bookie in await cluster.bookieIDs {
        await cluster.faults(of: bookie) {
          $0.readCodes = bookie == "bookie-3" ? [:] : [7: code]
          if bookie == "bookie-1" { $0.flipped = [9] }
        }
      }
      let entries = try await client.openLedger(id, on: cluster.loop).readAll()
      #expect(entries.count == 20)
      #expect(entries.allSatisfy { LedgerLoad.matches($0) })
      // Which bookies were asked depends on the ledger's id; a check looks at all.
      let found = try await operations.verify(id)
      #expect(found.entriesBelowAckQuorum == 1)
      #expect(found.entriesBelowWriteQuorum == 2)
      #expect(found.suspects.count >= 2)
      await eventually { try await operations.underReplicated().count == 1 }
      _ = await cluster.autoRecovery(client)
      await eventually { try await operations.underReplicated().isEmpty }
      #expect(try await operations.verify(id).isHealthy)
    }
  }

  @Test func whatABookieFindsDamagedItselfIsMadeAnew() async throws {
    try await BookieCluster.with(3) { cluster in
      let client = await cluster.client(.inProcess)
      let operations = LedgerOperator(client: client)
      let id = try await closedLedger(cluster, client, LedgerOptions(ensembleSize: 3, writeQuorumSize: 3), count: 20)
      await cluster.faults(of: "bookie-2") { $0.flipped = [3, 11] }
      let recovery = await cluster.autoRecovery(client)
      try await cluster.metadata.put("/bookies/damaged/bookie-2/\(id)", Array("3,11-12".utf8))
      await eventually { recovery.statistics.ledgersRepaired > 0 }
      await eventually { try await operations.underReplicated().isEmpty }
      #expect(recovery.statistics.entriesWritten == 2)
      #expect(try await operations.verify(id).isHealthy)
    }
  }

  @Test func anEntryWithoutAnyCopyIsReportedAndItsBookieStaysNamed() async throws {
    try await BookieCluster.with(4) { cluster in
      let client = await cluster.client(.inProcess) { $0.readEntryTimeout = .milliseconds(500) }
      let operations = LedgerOperator(client: client)
      let id = try await closedLedger(
        cluster, client, LedgerOptions(ensembleSize: 2, writeQuorumSize: 2), count: 20)
      let ensemble = try await client.ledgerMetadata(id).lastSegment.ensemble
      await cluster.faults(of: ensemble[1]) { $0.readCodes = [5: .ioError] }
      _ = await cluster.autoRecovery(client)
      try await cluster.stop(ensemble[0])
      await eventually { try await operations.underReplicated().first?.unrecoverableEntries == 1 }
      #expect(try await operations.autoRecoveryStatus().unrecoverableLedgers == 1)
      #expect(try await client.ledgerMetadata(id).lastSegment.ensemble == ensemble)
      // The bookie comes back with the only copy.
      try await cluster.start(ensemble[0])
      _ = try await operations.verify(id)
      await eventually { try await operations.underReplicated().isEmpty }
      #expect(try await operations.verify(id).isHealthy)
    }
  }

  @Test func anAbandonedLedgerOnALostBookieIsRecoveredAndALiveWriterIsLeftAlone() async throws {
    try await BookieCluster.with(4) { cluster in
      let client = await cluster.client(.inProcess) { $0.lostBookieGracePeriod = .milliseconds(50) }
      let dead = await cluster.client(.inProcess)
      let operations = LedgerOperator(client: client)
      let options = LedgerOptions(ensembleSize: 3, writeQuorumSize: 3)
      let abandoned = try await dead.createLedger(options, on: cluster.loop)
      #expect(try await LedgerLoad.run(abandoned, count: 50).acknowledged == 50)
      try await dead.shutdown()
      let ensemble = try await client.ledgerMetadata(abandoned.id).lastSegment.ensemble
      // A live, idle writer on the same bookie.
      var alive = try await client.createLedger(options, on: cluster.loop)
      while !alive.metadata.lastSegment.ensemble.contains(ensemble[0]) {
        alive = try await client.createLedger(options, on: cluster.loop)
      }
      #expect(try await LedgerLoad.run(alive, count: 50).acknowledged == 50)
      _ = await cluster.autoRecovery(client)
      try await cluster.stop(ensemble[0])
      let ids = [abandoned.id, alive.id]
      await eventually {
        for id in ids where try await client.ledgerMetadata(id).bookiesInUse.contains(ensemble[0]) { return false }
        return try await operations.underReplicated().isEmpty
      }
      #expect(try await client.ledgerMetadata(abandoned.id).state == .closed)
      #expect(try await client.ledgerMetadata(alive.id).state == .open)
      #expect(try await LedgerLoad.run(alive, count: 50).acknowledged == 50)
      _ = try await alive.close()
      for id in ids { #expect(try await operations.verify(id).isHealthy) }
    }
  }

  @Test func aBookieIsDecommissioned() async throws {
    try await BookieCluster.with(4) { cluster in
      let client = await cluster.client(.inProcess) { $0.lostBookieGracePeriod = .milliseconds(50) }
      let operations = LedgerOperator(client: client)
      let id = try await closedLedger(cluster, client, LedgerOptions(ensembleSize: 3, writeQuorumSize: 3))
      let bookie = try await client.ledgerMetadata(id).lastSegment.ensemble[2]
      _ = await cluster.autoRecovery(client)
      let first = try await operations.decommission(bookie)
      #expect(first.remainingLedgers == 1)
      #expect(first.isRegistered && !first.isDone)
      #expect(try await operations.bookies().first { $0.id == bookie }?.isDraining == true)
      await eventually { try await operations.decommission(bookie).remainingLedgers == 0 }
      let fresh = try await client.createLedger(LedgerOptions(), on: cluster.loop)
      #expect(!fresh.metadata.lastSegment.ensemble.contains(bookie))
      try await cluster.stop(bookie)
      try await cluster.metadata.put("/bookies/damaged/\(bookie)/\(id)", Array("3-5,9".utf8))
      try await cluster.metadata.put("/bookies/limbo/\(bookie)", Array("limbo 7".utf8))
      await eventually { try await operations.decommission(bookie).isDone }
      #expect(try await cluster.metadata.get("/bookies/damaged/\(bookie)/\(id)") == nil)
      #expect(try await cluster.metadata.get("/bookies/limbo/\(bookie)") == nil)
      #expect(try await cluster.metadata.get("/bookies/cookies/\(bookie)") == nil)
      #expect(try await operations.verify(id).isHealthy)
      // Its directories hold what nobody knows any more: it must not come back as if nothing had happened.
      await #expect(throws: BookieError.self) { try await cluster.start(bookie) }
    }
  }

  @Test func copiesOnOneRackAreSpread() async throws {
    try await BookieCluster.with(4) { cluster in
      let client = await cluster.client(.inProcess) { $0.placement = RackAwarePlacement() }
      let operations = LedgerOperator(client: client)
      let id = try await closedLedger(cluster, client, LedgerOptions(ensembleSize: 2, writeQuorumSize: 2), count: 30)
      let ensemble = try await client.ledgerMetadata(id).lastSegment.ensemble
      for bookie in await cluster.bookieIDs {
        try await operations.setRack(ensemble.contains(bookie) ? "/a" : "/b", group: nil, of: bookie)
      }
      // Asked for before there is an auditor: it is carried out all the same.
      try await operations.triggerAudit()
      _ = await cluster.autoRecovery(client)
      await eventually { try await client.ledgerMetadata(id).lastSegment.ensemble != ensemble }
      await eventually { try await operations.underReplicated().isEmpty }
      let racks = Dictionary(uniqueKeysWithValues: try await operations.bookies().map { ($0.id, $0.rack) })
      #expect(Set(try await client.ledgerMetadata(id).lastSegment.ensemble.compactMap { racks[$0] }).count == 2)
      #expect(try await operations.verify(id).isHealthy)
    }
  }

  @Test func ofManyProcessesOneIsTheAuditorAndAnotherTakesOver() async throws {
    try await BookieCluster.with(3) { cluster in
      let client = await cluster.client(.inProcess)
      let operations = LedgerOperator(client: client)
      let first = await cluster.autoRecovery(client, name: "first")
      await eventually { first.statistics.isAuditor }
      let second = await cluster.autoRecovery(client, name: "second")
      await eventually { second.statistics.electionAttempts >= 5 }
      #expect(!second.statistics.isAuditor)
      let auditor = try await operations.autoRecoveryStatus().auditor
      #expect(auditor == "first")
      await first.shutdown()
      await eventually { second.statistics.isAuditor }
      #expect(try await operations.autoRecoveryStatus().auditor == "second")
    }
  }
}
