import BookieWire
import Foundation
import NIOCore
import TestSupport
import Testing

@testable import Bookie
@testable import Ledgers

@Suite(.serialized) struct LimboRepairTests {
  @Test func everyLedgerIsMarkedAndRepairedBeforeTheBookieIsTold() {
    var repair = LimboRepair<Int>()
    repair.found(1, through: 9)
    #expect(repair.next == .mark(through: 9))
    repair.marked([3, 5])
    #expect(repair.next == .check(5))
    repair.repaired(5)
    repair.found(1, through: 9)
    #expect(repair.next == .check(3))
    // Another loss before the first one is repaired: everything from the beginning.
    repair.found(2, through: 12)
    #expect(repair.next == .mark(through: 12))
    repair.marked([3])
    repair.repaired(3)
    #expect(repair.next == .tell(through: 12))
  }

  @Test func aSecondLossOfTheSameBookieIsNews() {
    var mark = UnderReplicatedLedger(ledgerID: 1, sinceMs: 0)
    let news = [5, 5, 6].map { mark.add(limbo: "b", through: $0) }
    #expect(news == [true, false, true])
    var metadata = LedgerMetadata(
      options: LedgerOptions(ensembleSize: 2, writeQuorumSize: 2), ensemble: ["a", "b"], createdMs: 0, creatorToken: 1)
    #expect(mark.suspects(of: metadata) == [])
    metadata.segments.append(LedgerMetadata.Segment(firstEntry: 10, ensemble: ["a", "c"]))
    #expect(mark.suspects(of: metadata) == [SuspectCopies(bookie: "b", first: 0, last: 9)])
  }

  @Test func whatGarbageCollectionReadsOfMetadataIsWhatTheClientWrote() throws {
    var metadata = LedgerMetadata(
      options: LedgerOptions(ensembleSize: 2, writeQuorumSize: 2), ensemble: ["a", "b"], createdMs: 7, creatorToken: 1)
    metadata.segments.append(LedgerMetadata.Segment(firstEntry: 300, ensemble: ["a", "bookie-3"]))
    for state in [LedgerMetadata.State.open, .inRecovery, .closed] {
      metadata.state = state
      let bytes = try LedgerMetadataCodec.encode(metadata)
      let members = try #require(LedgerMembers(bytes))
      #expect(members.isClosed == (state == .closed))
      #expect(members.bookies == ["a", "b", "bookie-3"])
      for count in 0..<bytes.count { #expect(LedgerMembers(Array(bytes.prefix(count))) == nil) }
      for at in bytes.indices {
        var other = bytes
        other[at] ^= UInt8.random(in: 1...255)
        _ = LedgerMembers(other)
      }
    }
  }

  /// Flips a bit in the middle of what the newest journal of a bookie holds.
  private static func damageJournal(_ directory: String) throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: directory).filter { $0.hasSuffix(".journal") }
    let path = directory + "/" + (names.sorted().last ?? "")
    var bytes = Array(try #require(FileManager.default.contents(atPath: path)))
    let records = bytes.withUnsafeMutableBytes { raw -> [Range<Int>] in
      guard let header = JournalFormat.parseHeader(UnsafeRawBufferPointer(raw)) else { return [] }
      var scan = JournalScan(logID: header.logID, expected: header.first)
      var records: [Range<Int>] = []
      while case .record(let payload, _) = scan.next(raw) { records.append(payload) }
      return records.filter { !$0.isEmpty }
    }
    let victim = try #require(records.dropFirst(records.count / 2).first)
    let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
    let stored = Array(try #require(FileManager.default.contents(atPath: path)))
    try file.seek(toOffset: UInt64(victim.lowerBound + 60))
    try file.write(contentsOf: Data([stored[victim.lowerBound + 60] ^ 4]))
    try file.close()
  }

  @Test func aBookieWithADamagedJournalEndsWithEverythingRestored() async throws {
    try await BookieCluster.with(3) { cluster in
      let client = await cluster.client(.inProcess)
      let operations = LedgerOperator(client: client)
      let options = LedgerOptions(ensembleSize: 3, writeQuorumSize: 3)
      var ids: [LedgerID] = []
      for _ in 0..<2 {
        let ledger = try await client.createLedger(options, on: cluster.loop)
        #expect(try await LedgerLoad.run(ledger, count: 60, window: 5).acknowledged == 60)
        _ = try await ledger.close()
        ids.append(ledger.id)
      }
      // One that its writer leaves open.
      let dead = await cluster.client(.inProcess)
      let open = try await dead.createLedger(options, on: cluster.loop)
      #expect(try await LedgerLoad.run(open, count: 60, window: 5).acknowledged == 60)
      try await dead.shutdown()
      ids.append(open.id)

      try await cluster.kill("bookie-2")
      try Self.damageJournal(cluster.directory(of: "bookie-2") + "/journal")
      try await cluster.start("bookie-2") { $0.diskCheckInterval = .milliseconds(20) }
      let bookie = try #require(await cluster.bookie("bookie-2"))
      #expect(bookie.statistics().isInLimbo)
      var lost: Int64 = 0
      for id in ids where try await client.ledgerMetadata(id).state == .closed {
        lost += try await operations.verify(id, marks: false).entriesBelowWriteQuorum
      }
      let recovery = await cluster.autoRecovery(client)
      await eventually { !bookie.statistics().isInLimbo }
      #expect(recovery.statistics.limboBookiesRepaired == 1)
      #expect(recovery.statistics.entriesWritten >= lost)
      #expect(recovery.statistics.entriesWritten > 0, "nothing was lost, so nothing was shown")
      #expect(try await operations.underReplicated().isEmpty)
      for id in ids {
        let found = try await operations.verify(id)
        #expect(found.isHealthy)
        #expect(found.copiesChecked == 180)
        #expect(try await client.ledgerMetadata(id).state == .closed)
      }
      await eventually { try await cluster.metadata.get("/bookies/limbo/bookie-2") == nil }
      // And it stays so over a restart.
      try await cluster.stop("bookie-2")
      try await cluster.start("bookie-2")
      let again = await cluster.bookie("bookie-2")
      #expect(again?.statistics().isInLimbo == false)
      for id in ids {
        let found = try await operations.verify(id)
        #expect(found.isHealthy)
      }
    }
  }

  @Test func whatABookieHoldsBesideMetadataIsRemovedUnderTheLockOnly() async throws {
    try await BookieCluster.with(4) { cluster in
      let client = await cluster.client(.inProcess)
      let operations = LedgerOperator(client: client)
      let ledger = try await client.createLedger(LedgerOptions(ensembleSize: 2, writeQuorumSize: 2), on: cluster.loop)
      #expect(try await LedgerLoad.run(ledger, count: 40).acknowledged == 40)
      _ = try await ledger.close()
      let away = try await client.ledgerMetadata(ledger.id).lastSegment.ensemble[0]
      try await cluster.stop(away)
      let recovery = await cluster.autoRecovery(client)
      await eventually {
        let isMoved = try await !client.ledgerMetadata(ledger.id).bookiesInUse.contains(away)
        guard isMoved else { return false }
        return try await operations.underReplicated().isEmpty
      }
      await recovery.shutdown()
      try await cluster.start(away)
      let bookie = try #require(await cluster.bookie(away))
      #expect(bookie.ledger(ledger.id)?.lastEntry == 39)

      // Somebody works on it, or will go on with a repair: it stays.
      let lock = UnderReplicationStore.locks + "\(ledger.id)"
      try await cluster.metadata.put(lock, [])
      #expect(try await bookie.collectOverReplicatedLedgers() == 0)
      try await cluster.metadata.delete(lock)
      try await client.marks.mark(ledger.id) { _ = $0.add(lost: ["gone"], nowMs: 0) }
      #expect(try await bookie.collectOverReplicatedLedgers() == 0)
      try await cluster.metadata.delete(UnderReplicationStore.ledgers + "\(ledger.id)")

      #expect(bookie.ledger(ledger.id)?.lastEntry == 39)
      #expect(try await bookie.collectOverReplicatedLedgers() == 1)
      #expect(try await bookie.collectOverReplicatedLedgers() == 0)
      #expect(bookie.ledger(ledger.id)?.lastEntry == -1)
      #expect(bookie.ledger(ledger.id)?.isFenced == true)
      #expect(bookie.statistics().overReplicatedLedgers == 1)
      #expect(try await cluster.metadata.get(lock) == nil)
      #expect(try await operations.verify(ledger.id).isHealthy)
      // A bookie that metadata names keeps what it has.
      let member = try await client.ledgerMetadata(ledger.id).lastSegment.ensemble[1]
      let holder = try #require(await cluster.bookie(member))
      #expect(try await holder.collectOverReplicatedLedgers() == 0)
    }
  }
}
