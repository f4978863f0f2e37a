import NIOCore
import Testing

@testable import Ledgers

@Suite struct LedgerWriterTests {
  private typealias Action = LedgerWriter.Action

  private static func make(
    _ ensembleSize: Int = 3, _ writeQuorum: Int = 2, _ ackQuorum: Int = 2,
    confirmation: LedgerWriter.Confirmation = .ackQuorum
  ) -> LedgerWriter {
    LedgerWriter(
      ledgerID: 7,
      striping: LedgerStriping(ensembleSize: ensembleSize, writeQuorum: writeQuorum, ackQuorum: ackQuorum),
      ensemble: (0..<ensembleSize).map { "b\($0)" }, confirmation: confirmation, addTimeout: .seconds(5),
      retryDelay: .seconds(5))
  }

  private static func at(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(UInt64(seconds) * 1_000_000_000) }

  private static func changes(_ actions: [Action]) -> [LedgerWriter.EnsembleChange] {
    actions.compactMap { if case .changeEnsemble(let change) = $0 { change } else { nil } }
  }

  @Test func stripesOverTheEnsembleAndWrapsAround() {
    var writer = Self.make()
    var actions: [Action] = []
    for _ in 0..<3 { _ = writer.append(size: 10, now: Self.at(0), &actions) }
    #expect(
      actions == [
        .send(0, slot: 0, generation: 0), .send(0, slot: 1, generation: 0),
        .send(1, slot: 1, generation: 0), .send(1, slot: 2, generation: 0),
        .send(2, slot: 2, generation: 0), .send(2, slot: 0, generation: 0),
      ])
    #expect(writer.pendingBytes == 30)
    #expect(writer.length == 30)
  }

  @Test func confirmsOnlyInOrder() {
    var writer = Self.make()
    var actions: [Action] = []
    for _ in 0..<2 { _ = writer.append(size: 1, now: Self.at(0), &actions) }
    actions = []
    writer.acknowledged(1, slot: 1, generation: 0, &actions)
    writer.acknowledged(1, slot: 2, generation: 0, &actions)
    writer.acknowledged(0, slot: 0, generation: 0, &actions)
    #expect(actions.isEmpty)
    writer.acknowledged(0, slot: 1, generation: 0, &actions)
    #expect(actions == [.confirm(through: 1)])
    #expect(writer.lastAddConfirmed == 1)
    #expect(writer.pendingBytes == 0)
    #expect(writer.isIdle)
  }

  @Test func repeatedOrMisplacedAnswersDoNotCount() {
    var writer = Self.make()
    var actions: [Action] = []
    _ = writer.append(size: 1, now: Self.at(0), &actions)
    actions = []
    writer.acknowledged(0, slot: 0, generation: 0, &actions)
    writer.acknowledged(0, slot: 0, generation: 0, &actions)
    writer.acknowledged(0, slot: 2, generation: 0, &actions)
    writer.acknowledged(0, slot: 9, generation: 0, &actions)
    writer.acknowledged(5, slot: 1, generation: 0, &actions)
    #expect(actions.isEmpty)
    #expect(writer.lastAddConfirmed == -1)
  }

  @Test func replacesABookieFreezingTheConfirmedEntryAndSendsAgain() {
    var writer = Self.make()
    var actions: [Action] = []
    for _ in 0..<3 { _ = writer.append(size: 1, now: Self.at(0), &actions) }
    actions = []
    writer.acknowledged(0, slot: 0, generation: 0, &actions)
    writer.failed(1, slot: 1, generation: 0, .bookie, &actions)
    writer.failed(0, slot: 1, generation: 0, .bookie, &actions)
    #expect(
      actions == [.changeEnsemble(.init(firstEntry: 0, ensemble: ["b0", "b1", "b2"], slots: [1]))])
    actions = []
    // Entry 2 is complete on b2 and b0, entry 0 is late on b1: nothing moves, and the new entry avoids the failed place.
    writer.acknowledged(2, slot: 2, generation: 0, &actions)
    writer.acknowledged(2, slot: 0, generation: 0, &actions)
    writer.acknowledged(0, slot: 1, generation: 0, &actions)
    #expect(actions.isEmpty)
    #expect(writer.append(size: 1, now: Self.at(1), &actions) == 3)
    #expect(actions == [.send(3, slot: 0, generation: 0)])
    actions = []
    writer.ensembleChanged(["b0", "b9", "b2"], replaced: [1], now: Self.at(1), &actions)
    #expect(
      actions == [
        .send(0, slot: 1, generation: 1), .send(1, slot: 1, generation: 1), .send(3, slot: 1, generation: 1),
      ])
    actions = []
    // The replaced bookie answers late: it does not count, neither as success nor as failure.
    writer.acknowledged(0, slot: 1, generation: 0, &actions)
    writer.failed(1, slot: 1, generation: 0, .bookie, &actions)
    #expect(actions.isEmpty)
    #expect(writer.lastAddConfirmed == -1)
    writer.acknowledged(0, slot: 1, generation: 1, &actions)
    #expect(actions == [.confirm(through: 0)])
  }

  @Test func failuresDuringAChangeStartAnotherFromTheSameEntry() {
    var writer = Self.make()
    var actions: [Action] = []
    for _ in 0..<2 { _ = writer.append(size: 1, now: Self.at(0), &actions) }
    actions = []
    writer.failed(0, slot: 0, generation: 0, .bookie, &actions)
    writer.failed(1, slot: 2, generation: 0, .bookie, &actions)
    #expect(Self.changes(actions).count == 1)
    actions = []
    writer.ensembleChanged(["b3", "b1", "b2"], replaced: [0], now: Self.at(0), &actions)
    #expect(Self.changes(actions) == [.init(firstEntry: 0, ensemble: ["b3", "b1", "b2"], slots: [2])])
    #expect(actions.contains(.send(0, slot: 0, generation: 1)))
  }

  @Test func aFailureOfAConfirmedEntryWaitsForTheNextAppend() {
    var writer = Self.make(3, 3, 2)
    var actions: [Action] = []
    _ = writer.append(size: 1, now: Self.at(0), &actions)
    actions = []
    writer.acknowledged(0, slot: 0, generation: 0, &actions)
    writer.acknowledged(0, slot: 1, generation: 0, &actions)
    #expect(actions == [.confirm(through: 0)])
    actions = []
    writer.failed(0, slot: 2, generation: 0, .bookie, &actions)
    #expect(actions == [.incomplete(.init(bookie: "b2", first: 0, last: 0))])
    // Unless the bookie is known to be gone, or nothing is appended for long.
    var idle = writer
    var others: [Action] = []
    idle.gone([2], &others)
    #expect(others == [.changeEnsemble(.init(firstEntry: 1, ensemble: ["b0", "b1", "b2"], slots: [2]))])
    idle = writer
    others = []
    #expect(idle.needsTicks)
    for second in [1, 5] { idle.tick(now: Self.at(Int64(second)), &others) }
    #expect(others.isEmpty)
    idle.tick(now: Self.at(6), &others)
    #expect(Self.changes(others).map(\.slots) == [[2]])
    actions = []
    _ = writer.append(size: 1, now: Self.at(0), &actions)
    #expect(Self.changes(actions) == [.init(firstEntry: 1, ensemble: ["b0", "b1", "b2"], slots: [2])])
    #expect(actions.dropFirst() == [.send(1, slot: 1, generation: 0), .send(1, slot: 0, generation: 0)])
  }

  @Test func aFailureOfAConfirmedEntryIsActedUponAtOnceWhileOthersWait() {
    var writer = Self.make(3, 3, 2)
    var actions: [Action] = []
    for _ in 0..<2 { _ = writer.append(size: 1, now: Self.at(0), &actions) }
    for slot in 0...1 { writer.acknowledged(0, slot: slot, generation: 0, &actions) }
    actions = []
    writer.failed(0, slot: 2, generation: 0, .bookie, &actions)
    // Else entry 1 would be confirmed by two, and nobody told until the next append.
    #expect(
      actions == [
        .incomplete(.init(bookie: "b2", first: 0, last: 0)),
        .changeEnsemble(.init(firstEntry: 1, ensemble: ["b0", "b1", "b2"], slots: [2])),
      ])
  }

  @Test func aClosedLedgerNeedsNothingMore() {
    var writer = Self.make(3, 3, 2)
    var actions: [Action] = []
    _ = writer.append(size: 1, now: Self.at(0), &actions)
    writer.failed(0, slot: 2, generation: 0, .bookie, &actions)
    writer.ensembleChanged(["b0", "b1", "b2"], replaced: [], now: Self.at(0), &actions)
    for slot in 0...1 { writer.acknowledged(0, slot: slot, generation: 0, &actions) }
    #expect(writer.needsTicks, "a place is vacant")
    writer.finish(&actions)
    actions = []
    #expect(!writer.needsTicks)
    writer.tick(now: Self.at(100), &actions)
    writer.lookAgain(&actions)
    #expect(actions.isEmpty)
  }

  @Test func fencingFailsEverythingAndForEver() {
    var writer = Self.make()
    var actions: [Action] = []
    for _ in 0..<2 { _ = writer.append(size: 1, now: Self.at(0), &actions) }
    actions = []
    writer.failed(1, slot: 1, generation: 0, .fenced, &actions)
    #expect(actions == [.fail(from: 0, .fenced(7))])
    actions = []
    #expect(writer.append(size: 1, now: Self.at(0), &actions) == nil)
    writer.acknowledged(0, slot: 0, generation: 0, &actions)
    writer.acknowledged(0, slot: 1, generation: 0, &actions)
    #expect(actions.isEmpty)
    #expect(writer.lastAddConfirmed == -1)
    #expect(writer.pendingBytes == 0)
  }

  @Test func goesOnWithoutAReplacementWhileTheAckQuorumIsReachable() {
    var writer = Self.make(3, 3, 2)
    var actions: [Action] = []
    _ = writer.append(size: 1, now: Self.at(0), &actions)
    writer.acknowledged(0, slot: 0, generation: 0, &actions)
    writer.failed(0, slot: 2, generation: 0, .bookie, &actions)
    actions = []
    writer.ensembleChanged(["b0", "b1", "b2"], replaced: [], now: Self.at(0), &actions)
    #expect(actions.isEmpty)
    #expect(writer.absentSlots == [2])
    writer.acknowledged(0, slot: 1, generation: 0, &actions)
    #expect(actions == [.confirm(through: 0)])
    actions = []
    _ = writer.append(size: 1, now: Self.at(1), &actions)
    #expect(actions == [.send(1, slot: 1, generation: 0), .send(1, slot: 0, generation: 0)])
    actions = []
    writer.tick(now: Self.at(4), &actions)
    #expect(actions.isEmpty)
    writer.tick(now: Self.at(5), &actions)
    #expect(actions == [.lookForBookies], "nothing is said of any copy while there are no others")
    actions = []
    writer.lookAgain(&actions)
    #expect(
      Self.changes(actions) == [.init(firstEntry: 1, ensemble: ["b0", "b1", "b2"], slots: [2], vacant: [2])])
    #expect(actions.first == .incomplete(.init(bookie: "b2", first: 0, last: 0)))
    actions = []
    writer.ensembleChanged(["b0", "b1", "b2"], replaced: [2], now: Self.at(5), &actions)
    #expect(actions == [.send(1, slot: 2, generation: 1)])
    #expect(writer.absentSlots.isEmpty)
  }

  @Test func failsWithoutAReplacementWhenTheAckQuorumIsLost() {
    var writer = Self.make()
    var actions: [Action] = []
    _ = writer.append(size: 1, now: Self.at(0), &actions)
    writer.failed(0, slot: 1, generation: 0, .bookie, &actions)
    actions = []
    writer.ensembleChanged(["b0", "b1", "b2"], replaced: [], now: Self.at(0), &actions)
    #expect(actions == [.fail(from: 0, .notEnoughBookies(needed: 3, available: 2))])
  }

  @Test func silentBookiesAreReplacedAfterTheAddTimeout() {
    var writer = Self.make()
    var actions: [Action] = []
    _ = writer.append(size: 1, now: Self.at(0), &actions)
    _ = writer.append(size: 1, now: Self.at(3), &actions)
    writer.acknowledged(0, slot: 0, generation: 0, &actions)
    actions = []
    writer.tick(now: Self.at(4), &actions)
    #expect(actions.isEmpty)
    writer.tick(now: Self.at(5), &actions)
    #expect(Self.changes(actions) == [.init(firstEntry: 0, ensemble: ["b0", "b1", "b2"], slots: [1])])
  }

  @Test func theQuorumTimeoutFailsTheLedger() {
    var writer = LedgerWriter(
      ledgerID: 7, striping: LedgerStriping(ensembleSize: 1, writeQuorum: 1, ackQuorum: 1), ensemble: ["b0"],
      addTimeout: .seconds(100), quorumTimeout: .seconds(2))
    var actions: [Action] = []
    _ = writer.append(size: 1, now: Self.at(0), &actions)
    actions = []
    writer.tick(now: Self.at(2), &actions)
    guard case .fail(from: 0, .timeout) = actions.first else {
      Issue.record("\(actions)")
      return
    }
  }

  @Test func aChangeThatCannotBeRecordedFailsTheLedger() {
    var writer = Self.make()
    var actions: [Action] = []
    _ = writer.append(size: 1, now: Self.at(0), &actions)
    writer.failed(0, slot: 0, generation: 0, .bookie, &actions)
    actions = []
    writer.ensembleChangeFailed(.fenced(7), &actions)
    #expect(actions == [.fail(from: 0, .fenced(7))])
    writer.ensembleChanged(["b5", "b1", "b2"], replaced: [0], now: Self.at(0), &actions)
    #expect(actions.count == 1)
  }

  @Test func recoveryWaitsForEveryReachableBookie() {
    var writer = Self.make(3, 3, 2, confirmation: .everyReachable)
    var actions: [Action] = []
    _ = writer.append(size: 0, now: Self.at(0), &actions)
    actions = []
    writer.acknowledged(0, slot: 0, generation: 0, &actions)
    writer.acknowledged(0, slot: 1, generation: 0, &actions)
    #expect(actions.isEmpty)
    writer.failed(0, slot: 2, generation: 0, .bookie, &actions)
    writer.ensembleChanged(["b0", "b1", "b2"], replaced: [], now: Self.at(0), &actions)
    #expect(actions.last == .confirm(through: 0))
  }

  @Test func stripingCoverage() {
    let striping = LedgerStriping(ensembleSize: 5, writeQuorum: 3, ackQuorum: 2)
    #expect(striping.writeSet(of: 4) == [4, 0, 1])
    #expect(striping.contains(1, for: 4))
    #expect(!striping.contains(2, for: 4))
    // Two of every three neighbours must have answered.
    #expect(striping.covers { $0 != 2 })
    #expect(!striping.covers { $0 != 2 && $0 != 3 })
    #expect(striping.everyWriteSetReachesAckQuorum { $0 != 0 })
    #expect(!striping.everyWriteSetReachesAckQuorum { $0 > 1 })
  }
}
