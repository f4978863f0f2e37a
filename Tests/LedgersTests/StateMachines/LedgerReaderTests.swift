import NIOCore
import Testing

@testable import Ledgers

@Suite struct LedgerReaderTests {
  private typealias Action = LedgerReader.Action

  private static func at(_ ms: UInt64) -> NIODeadline { .uptimeNanoseconds(ms * 1_000_000) }

  private static func entry(_ id: EntryID, _ size: Int = 10) -> LedgerEntry {
    LedgerEntry(
      ledgerID: 1, entryID: id, cumulativeLength: (id + 1) * Int64(size),
      payload: ByteBuffer(repeating: UInt8(truncatingIfNeeded: id), count: size))
  }

  private static func make(
    _ from: EntryID, _ through: EntryID, maxBytes: Int = 1_000, size: Int = 3, writeQuorum: Int = 2,
    parameters: LedgerReader.Parameters = .init(expectedEntrySize: 10), avoiding: Set<String> = []
  ) -> LedgerReader {
    let metadata = LedgerMetadata(
      options: LedgerOptions(ensembleSize: size, writeQuorumSize: writeQuorum, ackQuorumSize: writeQuorum),
      ensemble: (0..<size).map { "b\($0)" }, createdMs: 0, creatorToken: 0)
    return LedgerReader(
      ledgerID: 1, metadata: metadata, from: from, through: through, maxBytes: maxBytes, parameters: parameters,
      ranks: Dictionary(uniqueKeysWithValues: avoiding.map { ($0, 2) }))
  }

  @Test func asksOneReplicaPerEntryAndReturnsThemInOrder() {
    var reader = Self.make(0, 2)
    var actions: [Action] = []
    reader.start(now: Self.at(0), &actions)
    #expect(
      actions == [
        .read(from: 0, count: 1, maxBytes: 1_000, bookie: "b0"),
        .read(from: 1, count: 1, maxBytes: 1_000, bookie: "b1"),
        .read(from: 2, count: 1, maxBytes: 1_000, bookie: "b2"),
      ])
    actions = []
    reader.answered(from: 2, bookie: "b2", .entries([Self.entry(2)]), now: Self.at(1), &actions)
    reader.answered(from: 0, bookie: "b0", .entries([Self.entry(0)]), now: Self.at(1), &actions)
    #expect(actions.isEmpty)
    reader.answered(from: 1, bookie: "b1", .entries([Self.entry(1)]), now: Self.at(1), &actions)
    #expect(actions == [.finish(.success([Self.entry(0), Self.entry(1), Self.entry(2)]))])
  }

  @Test func takesTheNextReplicaAfterAFailure() {
    var reader = Self.make(0, 0)
    var actions: [Action] = []
    reader.start(now: Self.at(0), &actions)
    actions = []
    reader.answered(from: 0, bookie: "b0", .failed, now: Self.at(1), &actions)
    #expect(actions == [.read(from: 0, count: 1, maxBytes: 1_000, bookie: "b1")])
    actions = []
    reader.answered(from: 0, bookie: "b1", .entries([Self.entry(0)]), now: Self.at(1), &actions)
    #expect(actions == [.finish(.success([Self.entry(0)]))])
  }

  @Test func asksASecondReplicaWhenTheFirstIsSlow() {
    var reader = Self.make(0, 0)
    var actions: [Action] = []
    reader.start(now: Self.at(0), &actions)
    actions = []
    #expect(reader.nextDeadline == Self.at(500))
    reader.tick(now: Self.at(499), &actions)
    #expect(actions.isEmpty)
    reader.tick(now: Self.at(500), &actions)
    #expect(actions == [.read(from: 0, count: 1, maxBytes: 1_000, bookie: "b1")])
    reader.tick(now: Self.at(5_000), &actions)
    #expect(actions.count == 1)
    actions = []
    reader.answered(from: 0, bookie: "b0", .entries([Self.entry(0)]), now: Self.at(501), &actions)
    reader.answered(from: 0, bookie: "b1", .entries([Self.entry(0)]), now: Self.at(502), &actions)
    #expect(actions == [.finish(.success([Self.entry(0)]))])
  }

  @Test func tellsAbsentFromUnavailable() {
    var reader = Self.make(3, 3)
    var actions: [Action] = []
    reader.start(now: Self.at(0), &actions)
    reader.answered(from: 3, bookie: "b0", .absent, now: Self.at(0), &actions)
    reader.answered(from: 3, bookie: "b1", .absent, now: Self.at(0), &actions)
    #expect(actions.last == .finish(.failure(.noSuchEntry(1, 3))))

    reader = Self.make(3, 3)
    actions = []
    reader.start(now: Self.at(0), &actions)
    reader.answered(from: 3, bookie: "b0", .absent, now: Self.at(0), &actions)
    reader.answered(from: 3, bookie: "b1", .failed, now: Self.at(0), &actions)
    guard case .finish(.failure(.dataUnavailable)) = actions.last else {
      Issue.record("\(actions)")
      return
    }
  }

  @Test func returnsWhatIsInFrontOfAnEntryThatCannotBeRead() {
    var reader = Self.make(0, 1)
    var actions: [Action] = []
    reader.start(now: Self.at(0), &actions)
    reader.answered(from: 1, bookie: "b1", .failed, now: Self.at(0), &actions)
    reader.answered(from: 1, bookie: "b2", .failed, now: Self.at(0), &actions)
    reader.answered(from: 0, bookie: "b0", .entries([Self.entry(0)]), now: Self.at(0), &actions)
    #expect(actions.last == .finish(.success([Self.entry(0)])))
  }

  @Test func staysWithinTheBudgetButReturnsAtLeastOne() {
    var reader = Self.make(0, 9, maxBytes: 25)
    var actions: [Action] = []
    reader.start(now: Self.at(0), &actions)
    #expect(actions.count == 2)
    reader.answered(from: 0, bookie: "b0", .entries([Self.entry(0)]), now: Self.at(0), &actions)
    reader.answered(from: 1, bookie: "b1", .entries([Self.entry(1)]), now: Self.at(0), &actions)
    #expect(actions.last == .finish(.success([Self.entry(0), Self.entry(1)])))

    reader = Self.make(0, 9, maxBytes: 1)
    actions = []
    reader.start(now: Self.at(0), &actions)
    #expect(actions.count == 1)
    reader.answered(from: 0, bookie: "b0", .entries([Self.entry(0)]), now: Self.at(0), &actions)
    #expect(actions.last == .finish(.success([Self.entry(0)])))
  }

  @Test func asksSuspectsLast() {
    var reader = Self.make(0, 0, avoiding: ["b0"])
    var actions: [Action] = []
    reader.start(now: Self.at(0), &actions)
    #expect(actions == [.read(from: 0, count: 1, maxBytes: 1_000, bookie: "b1")])
  }

  @Test func readsInBatchesFromOneBookieWhereAllHaveEverything() {
    var parameters = LedgerReader.Parameters()
    parameters.stickySlot = 2
    var reader = Self.make(0, 5, size: 3, writeQuorum: 3, parameters: parameters)
    var actions: [Action] = []
    reader.start(now: Self.at(0), &actions)
    #expect(actions == [.read(from: 0, count: 6, maxBytes: 1_000, bookie: "b2")])
    actions = []
    reader.answered(
      from: 0, bookie: "b2", .entries((0...3).map { Self.entry($0) }), now: Self.at(0), &actions)
    #expect(actions == [.read(from: 4, count: 2, maxBytes: 960, bookie: "b2")])
    actions = []
    reader.answered(from: 4, bookie: "b2", .failed, now: Self.at(0), &actions)
    #expect(actions == [.read(from: 4, count: 2, maxBytes: 960, bookie: "b0")])
    actions = []
    reader.answered(
      from: 4, bookie: "b0", .entries((4...5).map { Self.entry($0) }), now: Self.at(0), &actions)
    #expect(actions == [.finish(.success((0...5).map { Self.entry($0) }))])
  }

  @Test func keepsABoundedNumberInFlight() {
    var parameters = LedgerReader.Parameters(expectedEntrySize: 10)
    parameters.maximumInFlight = 2
    var reader = Self.make(0, 9, parameters: parameters)
    var actions: [Action] = []
    reader.start(now: Self.at(0), &actions)
    #expect(actions.count == 2)
    reader.answered(from: 1, bookie: "b1", .entries([Self.entry(1)]), now: Self.at(0), &actions)
    #expect(actions.count == 3)
  }
}
