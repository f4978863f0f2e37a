import BookieWire
import NIOCore
import Testing

@testable import Ledgers

/// What went wrong in other writers, without I/O.
@Suite struct WriterScenarioTests {
  private static let now = NIODeadline.uptimeNanoseconds(1_000_000_000)

  private static func make(_ ensembleSize: Int, _ writeQuorum: Int, _ ackQuorum: Int) -> LedgerWriter {
    LedgerWriter(
      ledgerID: 7,
      striping: LedgerStriping(ensembleSize: ensembleSize, writeQuorum: writeQuorum, ackQuorum: ackQuorum),
      ensemble: (0..<ensembleSize).map { "b\($0)" })
  }

  private final class Receiver: BookieAddReceiver {
    var failed = 0
    func addAnswered(_ entry: EntryID, slot: Int, generation: UInt32, _ code: BookieReturnCode?) { failed += 1 }
  }

  @Test func noEntryIsHeldForASlowBookieAndWhatItLacksIsKnown() {
    let count: EntryID = 100_000
    var writer = Self.make(3, 3, 2)
    var actions: [LedgerWriter.Action] = []
    for entry in 0..<count {
      _ = writer.append(size: 100, now: Self.now, &actions)
      writer.acknowledged(entry, slot: 0, generation: 0, &actions)
      writer.acknowledged(entry, slot: 1, generation: 0, &actions)
      actions.removeAll(keepingCapacity: true)
    }
    #expect(writer.lastAddConfirmed == count - 1)
    // No entry is held for the slow one.
    #expect(writer.pendingCount == 0 && writer.pendingBytes == 0)
    // Half of its answers come at last, one of them out of order. Of the rest, once it fails, everything is known.
    writer.acknowledged(count - 2, slot: 2, generation: 0, &actions)
    for entry in 0..<count / 2 { writer.acknowledged(entry, slot: 2, generation: 0, &actions) }
    #expect(actions.isEmpty)
    writer.failed(count / 2, slot: 2, generation: 0, .bookie, &actions)
    #expect(actions == [.incomplete(.init(bookie: "b2", first: count / 2, last: count - 1))])
  }

  @Test func slowBookieWithAMillionOutstandingAdds() {
    let receiver = Receiver()
    var table = BookieRequestTable()
    let budget = 200 << 20
    var refused = 0
    for entry in 0..<EntryID(1_000_000) {
      guard table.hasRoom(forAdd: 136, budget: budget) else {
        refused += 1
        continue
      }
      _ = table.register(
        .add(receiver, entry, slot: 0, generation: 0, size: 136), now: Self.now, timeout: .seconds(60))
    }
    #expect(refused > 0)
    #expect(table.addBytes <= budget && table.addBytes > budget - 1_000)
    #expect(table.oldestAdd == Self.now)
    // A read behind all of them does not wait for their timeout.
    var unanswered = 0
    _ = table.register(.read { _, _ in unanswered += 1 }, now: Self.now, timeout: .seconds(5))
    for waiter in table.takeExpired(now: Self.now + .seconds(5), shortest: .seconds(5)) { waiter.fail() }
    #expect(unanswered == 1 && receiver.failed == 0)
    for waiter in table.takeAll() { waiter.fail() }
    #expect(receiver.failed == 1_000_000 - refused)
    #expect(table.addBytes == 0 && table.isEmpty)
  }

  @Test func deadBookieWithASmallBudget() {
    let receiver = Receiver()
    var table = BookieRequestTable()
    // One entry larger than the budget goes through alone, else it could never be stored.
    #expect(table.hasRoom(forAdd: 5_000_000, budget: 1_000))
    let id = table.register(
      .add(receiver, 0, slot: 0, generation: 0, size: 5_000_000), now: Self.now, timeout: .seconds(5))
    #expect(!table.hasRoom(forAdd: 1, budget: 1_000))
    #expect(table.take(id)?.since == Self.now)
    #expect(table.take(id) == nil)
    #expect(table.hasRoom(forAdd: 1, budget: 1_000))
  }

  @Test func writeQuorumOfOne() {
    var writer = Self.make(3, 1, 1)
    var actions: [LedgerWriter.Action] = []
    for _ in 0..<4 { _ = writer.append(size: 1, now: Self.now, &actions) }
    #expect(
      actions == [
        .send(0, slot: 0, generation: 0), .send(1, slot: 1, generation: 0), .send(2, slot: 2, generation: 0),
        .send(3, slot: 0, generation: 0),
      ])
    actions = []
    for (entry, slot) in [(3, 0), (2, 2), (0, 0)] {
      writer.acknowledged(EntryID(entry), slot: slot, generation: 0, &actions)
    }
    // The only place of entry 1 fails: its entry waits for another bookie, and nobody else may stand in for it.
    writer.failed(1, slot: 1, generation: 0, .bookie, &actions)
    #expect(
      actions == [
        .confirm(through: 0), .changeEnsemble(.init(firstEntry: 1, ensemble: ["b0", "b1", "b2"], slots: [1])),
      ])
    actions = []
    writer.ensembleChanged(["b0", "b3", "b2"], replaced: [1], now: Self.now, &actions)
    #expect(actions == [.send(1, slot: 1, generation: 1)])
    actions = []
    writer.acknowledged(1, slot: 1, generation: 1, &actions)
    #expect(actions == [.confirm(through: 3)])
    // Without another bookie a write set of one has lost its ack quorum.
    actions = []
    _ = writer.append(size: 1, now: Self.now, &actions)
    writer.failed(4, slot: 1, generation: 1, .bookie, &actions)
    writer.ensembleChanged(["b0", "b3", "b2"], replaced: [], now: Self.now, &actions)
    #expect(actions.last == .fail(from: 4, .notEnoughBookies(needed: 3, available: 2)))
  }

  @Test func ensembleThatIsNoMultipleOfTheWriteQuorumWrapsAround() {
    var writer = Self.make(5, 3, 2)
    var actions: [LedgerWriter.Action] = []
    for _ in 0..<6 { _ = writer.append(size: 1, now: Self.now, &actions) }
    var sets: [EntryID: [Int]] = [:]
    for case .send(let entry, let slot, _) in actions { sets[entry, default: []].append(slot) }
    #expect(sets == [0: [0, 1, 2], 1: [1, 2, 3], 2: [2, 3, 4], 3: [3, 4, 0], 4: [4, 0, 1], 5: [0, 1, 2]])
    // Places 4 and 0 are neighbours: with both gone the entries 3 and 4 have one place left each, below their ack quorum.
    #expect(!writer.striping.everyWriteSetReachesAckQuorum { $0 != 4 && $0 != 0 })
    #expect(writer.striping.everyWriteSetReachesAckQuorum { $0 != 4 })
    // A fence must reach two of every three neighbours, over the end of the ring too.
    #expect(!writer.striping.covers { $0 != 4 && $0 != 0 })
    #expect(writer.striping.covers { $0 != 4 && $0 != 1 } == false)
    #expect(writer.striping.covers { $0 != 4 })
    actions = []
    // The answer of a place outside of an entry's write set is none.
    writer.acknowledged(4, slot: 2, generation: 0, &actions)
    writer.acknowledged(4, slot: 3, generation: 0, &actions)
    for entry in 0..<EntryID(4) {
      for slot in writer.striping.writeSet(of: entry).prefix(2) {
        writer.acknowledged(entry, slot: slot, generation: 0, &actions)
      }
    }
    #expect(writer.lastAddConfirmed == 3)
    writer.acknowledged(4, slot: 0, generation: 0, &actions)
    writer.acknowledged(4, slot: 1, generation: 0, &actions)
    #expect(writer.lastAddConfirmed == 4)
  }

  @Test func aWriteQuorumThatNeedsTheNewBookieWaitsForIt() {
    var writer = Self.make(3, 2, 2)
    var actions: [LedgerWriter.Action] = []
    _ = writer.append(size: 1, now: Self.now, &actions)
    writer.acknowledged(0, slot: 1, generation: 0, &actions)
    writer.failed(0, slot: 0, generation: 0, .bookie, &actions)
    // Entry 1 is complete without the place that changes, but entry 0 comes first.
    _ = writer.append(size: 1, now: Self.now, &actions)
    for slot in 1...2 { writer.acknowledged(1, slot: slot, generation: 0, &actions) }
    #expect(writer.lastAddConfirmed == -1)
    writer.ensembleChanged(["b3", "b1", "b2"], replaced: [0], now: Self.now, &actions)
    #expect(writer.lastAddConfirmed == -1)
    writer.acknowledged(0, slot: 0, generation: 1, &actions)
    #expect(writer.lastAddConfirmed == 1)
  }
}
