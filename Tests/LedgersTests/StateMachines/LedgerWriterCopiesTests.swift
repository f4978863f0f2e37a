import NIOCore
import Testing

@testable import Ledgers

/// What a writer knows of copies that its bookies may lack.
@Suite struct LedgerWriterCopiesTests {
  private static let now = NIODeadline.uptimeNanoseconds(1)

  private static func writer(entries: Int) -> (LedgerWriter, [LedgerWriter.Action]) {
    var writer = LedgerWriter(
      ledgerID: 7, striping: LedgerStriping(ensembleSize: 3, writeQuorum: 3, ackQuorum: 2), ensemble: ["a", "b", "c"])
    var actions: [LedgerWriter.Action] = []
    for _ in 0..<entries { _ = writer.append(size: 1, now: now, &actions) }
    for entry in 0..<EntryID(entries) {
      for slot in 0...1 { writer.acknowledged(entry, slot: slot, generation: 0, &actions) }
    }
    #expect(writer.lastAddConfirmed == EntryID(entries) - 1)
    return (writer, [])
  }

  private static func incomplete(_ actions: [LedgerWriter.Action]) -> [SuspectCopies] {
    actions.compactMap { if case .incomplete(let copies) = $0 { copies } else { nil } }
  }

  @Test func lateAcknowledgementsMakeCopiesComplete() {
    var (writer, actions) = Self.writer(entries: 5)
    for entry in [EntryID(0), 2, 1, 3, 4] { writer.acknowledged(entry, slot: 2, generation: 0, &actions) }
    writer.finish(&actions)
    writer.failed(4, slot: 2, generation: 0, .bookie, &actions)
    #expect(actions.isEmpty)
  }

  @Test func whatAFailedBookieDidNotAcknowledgeIsSaidAtOnce() {
    var (writer, actions) = Self.writer(entries: 5)
    for entry in [EntryID(0), 1] { writer.acknowledged(entry, slot: 2, generation: 0, &actions) }
    writer.failed(2, slot: 2, generation: 0, .bookie, &actions)
    // The entry is confirmed: the bookie is replaced with the next append, which may be long in coming.
    #expect(actions == [.incomplete(.init(bookie: "c", first: 2, last: 4))])
    _ = writer.append(size: 1, now: Self.now, &actions)
    #expect(actions.contains(.changeEnsemble(.init(firstEntry: 5, ensemble: ["a", "b", "c"], slots: [2]))))
    actions = []
    writer.ensembleChanged(["a", "b", "d"], replaced: [2], now: Self.now, &actions)
    #expect(Self.incomplete(actions).isEmpty)
  }

  @Test func whatAnAbsentBookieNeverGotIsSaidAtTheEnd() {
    var (writer, actions) = Self.writer(entries: 2)
    writer.failed(0, slot: 2, generation: 0, .bookie, &actions)
    _ = writer.append(size: 1, now: Self.now, &actions)
    writer.ensembleChanged(["a", "b", "c"], replaced: [], now: Self.now, &actions)
    #expect(Self.incomplete(actions) == [.init(bookie: "c", first: 0, last: 1)])
    actions = []
    for entry in EntryID(2)..<4 {
      if entry > 2 { _ = writer.append(size: 1, now: Self.now, &actions) }
      for slot in 0...1 { writer.acknowledged(entry, slot: slot, generation: 0, &actions) }
    }
    #expect(writer.lastAddConfirmed == 3)
    #expect(Self.incomplete(actions).isEmpty)
    writer.finish(&actions)
    #expect(Self.incomplete(actions) == [.init(bookie: "c", first: 2, last: 3)])
  }

  @Test func whatIsLateAtTheEndIsSaidBeforeIt() {
    var (writer, actions) = Self.writer(entries: 3)
    writer.acknowledged(0, slot: 2, generation: 0, &actions)
    #expect(writer.hasLateCopies)
    writer.finish(&actions)
    // It may still arrive, but a writer that dies when its ledger is closed says nothing any more.
    #expect(Self.incomplete(actions) == [.init(bookie: "c", first: 1, last: 2)])
    #expect(!writer.hasLateCopies)
    actions = []
    writer.failed(1, slot: 2, generation: 0, .bookie, &actions)
    #expect(actions.isEmpty)
    #expect(writer.failure == nil)
    // Even a fence is only an answer of one bookie now.
    writer.failed(1, slot: 1, generation: 0, .fenced, &actions)
    #expect(writer.failure == nil)
  }

  @Test func whatIsLateIsSaidWhenTheClientEndsAndWhenASegmentMay() {
    var (writer, actions) = Self.writer(entries: 2)
    var ending = writer
    ending.shutDown(&actions)
    #expect(Self.incomplete(actions) == [.init(bookie: "c", first: 0, last: 1)])
    #expect(ending.failure == .shutDown)
    // Bookie c is only late, and another one is replaced: who recovers the ledger does not look at the old segment.
    actions = []
    writer.gone([0], &actions)
    #expect(Self.incomplete(actions) == [.init(bookie: "c", first: 0, last: 1)])
    #expect(actions.last == .changeEnsemble(.init(firstEntry: 2, ensemble: ["a", "b", "c"], slots: [0])))
  }

  @Test func aBookieThatIsGoneIsReplacedWithoutAnyAppend() {
    var (writer, actions) = Self.writer(entries: 2)
    writer.gone([2], &actions)
    writer.gone([2], &actions)
    // What it lacks is said before the segment that names it ends: a writer that dies in between says nothing more.
    #expect(
      actions == [
        .incomplete(.init(bookie: "c", first: 0, last: 1)),
        .changeEnsemble(.init(firstEntry: 2, ensemble: ["a", "b", "c"], slots: [2])),
      ])
    actions = []
    writer.ensembleChanged(["a", "b", "d"], replaced: [2], now: Self.now, &actions)
    #expect(actions.isEmpty)
    #expect(writer.isIdle)
  }
}
