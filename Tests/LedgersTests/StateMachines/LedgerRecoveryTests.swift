import NIOCore
import Testing

@testable import Ledgers

@Suite struct LedgerRecoveryTests {
  private typealias Action = LedgerRecovery.Action
  private let now = NIODeadline.uptimeNanoseconds(1)

  private func metadata(_ size: Int = 3, _ writeQuorum: Int = 2, _ ackQuorum: Int = 2) -> LedgerMetadata {
    LedgerMetadata(
      options: LedgerOptions(ensembleSize: size, writeQuorumSize: writeQuorum, ackQuorumSize: ackQuorum),
      ensemble: (0..<size).map { "b\($0)" }, createdMs: 0, creatorToken: 0)
  }

  /// A recovery that is past claiming and fencing, every bookie having answered `lastConfirmed`.
  private func fenced(
    _ metadata: LedgerMetadata, lastConfirmed: EntryID, batchSize: Int = 1
  ) -> (LedgerRecovery, [Action]) {
    var recovery = LedgerRecovery(ledgerID: 1, metadata: metadata, batchSize: batchSize)
    var actions: [Action] = []
    recovery.start(now: now, &actions)
    recovery.metadataWritten(now: now, &actions)
    actions = []
    for slot in 0..<metadata.ensembleSize {
      recovery.fenceAnswered(slot: slot, .lastConfirmed(lastConfirmed), now: now, &actions)
    }
    return (recovery, actions)
  }

  @Test func aClosedLedgerIsDone() {
    var closed = metadata()
    closed.state = .closed
    var recovery = LedgerRecovery(ledgerID: 1, metadata: closed)
    var actions: [Action] = []
    recovery.start(now: now, &actions)
    #expect(actions == [.finished(closed)])
  }

  @Test func claimsBeforeItFences() {
    var recovery = LedgerRecovery(ledgerID: 1, metadata: metadata())
    var actions: [Action] = []
    recovery.start(now: now, &actions)
    var claimed = metadata()
    claimed.state = .inRecovery
    #expect(actions == [.writeMetadata(claimed)])
    actions = []
    recovery.metadataWritten(now: now, &actions)
    #expect(
      actions == [.fence(slot: 0, bookie: "b0"), .fence(slot: 1, bookie: "b1"), .fence(slot: 2, bookie: "b2")])
  }

  @Test func startsOverWhenSomebodyElseClaims() {
    var recovery = LedgerRecovery(ledgerID: 1, metadata: metadata())
    var actions: [Action] = []
    recovery.start(now: now, &actions)
    actions = []
    recovery.metadataConflicted(&actions)
    #expect(actions == [.restart])
  }

  @Test func readsOnlyOnceEveryWriteSetIsFenced() {
    // Qw 3, Qa 2: two answers of every three.
    var recovery = LedgerRecovery(ledgerID: 1, metadata: metadata(3, 3, 2), batchSize: 1)
    var actions: [Action] = []
    recovery.start(now: now, &actions)
    recovery.metadataWritten(now: now, &actions)
    actions = []
    recovery.fenceAnswered(slot: 0, .nothing, now: now, &actions)
    recovery.fenceAnswered(slot: 1, .unknown, now: now, &actions)
    #expect(actions.isEmpty)
    recovery.fenceAnswered(slot: 2, .lastConfirmed(4), now: now, &actions)
    #expect(
      actions == [.read(5, bookie: "b2"), .read(5, bookie: "b0"), .read(5, bookie: "b1")])
  }

  @Test func failsWhenTooFewBookiesAreFenced() {
    var recovery = LedgerRecovery(ledgerID: 1, metadata: metadata())
    var actions: [Action] = []
    recovery.start(now: now, &actions)
    recovery.metadataWritten(now: now, &actions)
    actions = []
    recovery.fenceAnswered(slot: 0, .unknown, now: now, &actions)
    recovery.fenceAnswered(slot: 1, .unknown, now: now, &actions)
    #expect(actions.isEmpty)
    recovery.fenceAnswered(slot: 2, .nothing, now: now, &actions)
    guard case .fail(.dataUnavailable) = actions.last else {
      Issue.record("\(actions)")
      return
    }
  }

  @Test func writesWhatItFindsToTheWholeWriteSetAndStopsAtAProvenEnd() {
    var (recovery, actions) = fenced(metadata(), lastConfirmed: -1)
    #expect(actions == [.read(0, bookie: "b0"), .read(0, bookie: "b1")])
    actions = []
    recovery.readAnswered(0, bookie: "b1", .found(cumulativeLength: 11), now: now, &actions)
    #expect(actions == [.write(0, slot: 0, generation: 0), .write(0, slot: 1, generation: 0)])
    actions = []
    recovery.addAcknowledged(0, slot: 0, generation: 0, now: now, &actions)
    #expect(actions.isEmpty)
    recovery.addAcknowledged(0, slot: 1, generation: 0, now: now, &actions)
    #expect(actions == [.release(through: 0), .read(1, bookie: "b1"), .read(1, bookie: "b2")])
    actions = []
    recovery.readAnswered(1, bookie: "b2", .absent, now: now, &actions)
    var closed = metadata()
    closed.state = .closed
    closed.lastEntry = 0
    closed.length = 11
    #expect(actions == [.writeMetadata(closed)])
    actions = []
    recovery.metadataWritten(now: now, &actions)
    #expect(actions == [.finished(closed)])
    #expect(recovery.isEnded)
  }

  @Test func anUnknownAnswerIsNotANegativeOne() {
    var (recovery, actions) = fenced(metadata(3, 3, 2), lastConfirmed: -1)
    actions = []
    recovery.readAnswered(0, bookie: "b0", .absent, now: now, &actions)
    recovery.readAnswered(0, bookie: "b0", .absent, now: now, &actions)
    recovery.readAnswered(0, bookie: "b1", .unknown, now: now, &actions)
    #expect(actions.isEmpty)
    recovery.readAnswered(0, bookie: "b2", .unknown, now: now, &actions)
    guard case .fail(.dataUnavailable) = actions.last else {
      Issue.record("\(actions)")
      return
    }
  }

  @Test func measuresALedgerThatEndsWhereItsConfirmedEntriesEnd() {
    var (recovery, actions) = fenced(metadata(), lastConfirmed: 4)
    actions = []
    recovery.readAnswered(5, bookie: "b2", .absent, now: now, &actions)
    #expect(actions == [.read(4, bookie: "b1"), .read(4, bookie: "b2")])
    actions = []
    recovery.readAnswered(4, bookie: "b1", .unknown, now: now, &actions)
    recovery.readAnswered(4, bookie: "b2", .found(cumulativeLength: 50), now: now, &actions)
    guard case .writeMetadata(let closed) = actions.last else {
      Issue.record("\(actions)")
      return
    }
    #expect(closed.lastEntry == 4)
    #expect(closed.length == 50)
  }

  @Test func neverStartsBeforeTheLastSegment() {
    var grown = metadata()
    grown.setEnsemble(["b3", "b1", "b2"], from: 10)
    let (_, actions) = fenced(grown, lastConfirmed: 3)
    // Entry 10 belongs to places 1 and 2.
    #expect(actions == [.read(10, bookie: "b1"), .read(10, bookie: "b2")])
  }

  @Test func replacementsStayItsOwnUntilTheLedgerIsClosed() {
    var (recovery, actions) = fenced(metadata(), lastConfirmed: -1)
    recovery.readAnswered(0, bookie: "b1", .found(cumulativeLength: 5), now: now, &actions)
    actions = []
    recovery.addFailed(0, slot: 0, generation: 0, .bookie, now: now, &actions)
    #expect(actions == [.changeEnsemble(.init(firstEntry: 0, ensemble: ["b0", "b1", "b2"], slots: [0]))])
    actions = []
    recovery.ensembleChanged(["b7", "b1", "b2"], replaced: [0], now: now, &actions)
    #expect(actions == [.write(0, slot: 0, generation: 1)])
    recovery.addAcknowledged(0, slot: 0, generation: 1, now: now, &actions)
    actions = []
    recovery.addAcknowledged(0, slot: 1, generation: 0, now: now, &actions)
    // Reads go by the metadata as they were.
    #expect(actions == [.release(through: 0), .read(1, bookie: "b1"), .read(1, bookie: "b2")])
    actions = []
    recovery.readAnswered(1, bookie: "b1", .absent, now: now, &actions)
    guard case .writeMetadata(let closed) = actions.last else {
      Issue.record("\(actions)")
      return
    }
    #expect(closed.segments == [.init(firstEntry: 0, ensemble: ["b7", "b1", "b2"])])
  }

  @Test func readsAheadButDecidesInOrder() {
    var (recovery, actions) = fenced(metadata(), lastConfirmed: -1, batchSize: 3)
    #expect(actions.count == 6)
    actions = []
    recovery.readAnswered(2, bookie: "b2", .found(cumulativeLength: 3), now: now, &actions)
    recovery.readAnswered(1, bookie: "b1", .absent, now: now, &actions)
    #expect(actions.isEmpty)
    recovery.readAnswered(0, bookie: "b0", .found(cumulativeLength: 1), now: now, &actions)
    #expect(actions == [.write(0, slot: 0, generation: 0), .write(0, slot: 1, generation: 0)])
    actions = []
    recovery.addAcknowledged(0, slot: 0, generation: 0, now: now, &actions)
    recovery.addAcknowledged(0, slot: 1, generation: 0, now: now, &actions)
    guard case .writeMetadata(let closed) = actions.last else {
      Issue.record("\(actions)")
      return
    }
    #expect(closed.lastEntry == 0)
    #expect(closed.length == 1)
  }

  @Test func aLostRaceToCloseStartsOver() {
    var (recovery, actions) = fenced(metadata(), lastConfirmed: -1)
    recovery.readAnswered(0, bookie: "b0", .absent, now: now, &actions)
    actions = []
    recovery.metadataConflicted(&actions)
    #expect(actions == [.restart])
    #expect(recovery.isEnded)
  }

  @Test func metadataThatCannotBeWrittenEndIt() {
    var (recovery, actions) = fenced(metadata(), lastConfirmed: -1)
    recovery.readAnswered(0, bookie: "b0", .absent, now: now, &actions)
    actions = []
    recovery.metadataFailed(.metadata("no answer"), &actions)
    #expect(actions == [.fail(.metadata("no answer"))])
    #expect(recovery.isEnded && !recovery.needsTicks)
  }

  /// Recovers a ledger whose entries up to 9 are acknowledged and that has no more; returns what it says of copies.
  private func recoverIdle(
    _ state: LedgerMetadata.State, _ answers: [LedgerRecovery.FenceAnswer]
  ) -> [SuspectCopies] {
    var start = metadata(3, 3, 2)
    start.state = state
    var recovery = LedgerRecovery(ledgerID: 1, metadata: start, batchSize: 1)
    var actions: [Action] = []
    recovery.start(now: now, &actions)
    if state == .open { recovery.metadataWritten(now: now, &actions) }
    for (slot, answer) in answers.enumerated() { recovery.fenceAnswered(slot: slot, answer, now: now, &actions) }
    for bookie in ["b0", "b1"] { recovery.readAnswered(10, bookie: bookie, .absent, now: now, &actions) }
    recovery.readAnswered(9, bookie: "b0", .found(cumulativeLength: 10), now: now, &actions)
    // What is missing is said before the ledger is closed: then nobody looks for it any more.
    guard case .writeMetadata(let closed)? = actions.last, closed.lastEntry == 9 else {
      Issue.record("not closed: \(actions)")
      return []
    }
    let said = actions
    actions = []
    recovery.metadataWritten(now: now, &actions)
    #expect(actions == [.finished(closed)])
    return said.compactMap { if case .incomplete(let copies) = $0 { copies } else { nil } }
  }

  @Test func anAnswerToAFenceThatComesBehindWhatIsWrittenAgainProvesNothing() {
    var recovery = LedgerRecovery(ledgerID: 1, metadata: metadata(3, 3, 2), batchSize: 1)
    var actions: [Action] = []
    recovery.start(now: now, &actions)
    recovery.metadataWritten(now: now, &actions)
    for slot in 0...1 { recovery.fenceAnswered(slot: slot, .lastConfirmed(8, last: 9), now: now, &actions) }
    recovery.readAnswered(9, bookie: "b0", .found(cumulativeLength: 10), now: now, &actions)
    for slot in 0...2 { recovery.addAcknowledged(9, slot: slot, generation: 0, now: now, &actions) }
    // Bookie 2 has entry 9, from this recovery, and may lack any before it.
    recovery.fenceAnswered(slot: 2, .lastConfirmed(8, last: 9), now: now, &actions)
    for bookie in ["b0", "b1"] { recovery.readAnswered(10, bookie: bookie, .absent, now: now, &actions) }
    #expect(actions.contains(.incomplete(.init(bookie: "b2", first: 0, last: 8))))
    guard case .writeMetadata? = actions.last else {
      Issue.record("not closed: \(actions)")
      return
    }
  }

  @Test func saysWhichBookiesMayLackAcknowledgedEntries() {
    #expect(
      recoverIdle(.open, [.lastConfirmed(9, last: 9), .lastConfirmed(9, last: 9), .lastConfirmed(4, last: 9)]) == [])
    #expect(
      recoverIdle(.open, [.lastConfirmed(9, last: 9), .lastConfirmed(9, last: 10), .lastConfirmed(4, last: 5)])
        == [.init(bookie: "b2", first: 6, last: 9)])
    #expect(
      recoverIdle(.open, [.lastConfirmed(9, last: 9), .lastConfirmed(9, last: 9), .unknown])
        == [.init(bookie: "b2", first: 0, last: 9)])
    #expect(
      recoverIdle(.open, [.lastConfirmed(9, last: 9), .lastConfirmed(9, last: 9), .nothing])
        == [.init(bookie: "b2", first: 0, last: 9)])
    // A recovery before this one may have left gaps behind what it wrote again.
    #expect(
      recoverIdle(.inRecovery, [.lastConfirmed(9, last: 9), .lastConfirmed(9, last: 9), .lastConfirmed(9, last: 9)])
        == ["b0", "b1", "b2"].map { .init(bookie: $0, first: 0, last: 9) })
  }
}
