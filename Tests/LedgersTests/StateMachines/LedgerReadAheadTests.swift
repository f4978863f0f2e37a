import NIOCore
import Testing

@testable import Ledgers

@Suite struct LedgerReadAheadTests {
  private typealias Action = LedgerReadAhead.Action

  private static func at(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(UInt64(seconds + 10) * 1_000_000_000) }

  private static func entries(_ range: ClosedRange<EntryID>, size: Int = 100) -> [LedgerEntry] {
    range.map {
      LedgerEntry(
        ledgerID: 1, entryID: $0, cumulativeLength: ($0 + 1) * Int64(size),
        payload: ByteBuffer(repeating: UInt8(truncatingIfNeeded: $0), count: size))
    }
  }

  /// A ledger of the entries 0...99 of 100 bytes, read ten at a time.
  private struct Rig {
    var ahead = LedgerReadAhead(maximumBytes: 4_000)
    var actions: [LedgerReadAhead.Action] = []
    var room = 1 << 20
    var last: EntryID = 99
    private var id: UInt64 = 0

    mutating func want(_ from: EntryID, at seconds: Int64 = 0, maxBytes: Int = 1_000) -> [LedgerReadAhead.Action] {
      id += 1
      actions = []
      ahead.wanted(
        .init(id: id, from: from, through: min(last, from + 9), maxBytes: maxBytes), last: last, room: room,
        now: LedgerReadAheadTests.at(seconds), &actions)
      return actions
    }

    mutating func ended(_ from: EntryID) -> [LedgerReadAhead.Action] {
      actions = []
      ahead.readEnded(
        from: from, through: from + 9, last: last, room: room, now: LedgerReadAheadTests.at(0), &actions)
      return actions
    }

    mutating func fetched(_ id: UInt64, _ entries: [LedgerEntry]?) -> [LedgerReadAhead.Action] {
      actions = []
      ahead.fetched(id, entries, last: last, room: room, now: LedgerReadAheadTests.at(0), &actions)
      return actions
    }
  }

  /// After the reads 0...9 and 10...19: the entries 20...29 are being fetched, as number 1.
  private static func readingOn() -> Rig {
    var rig = Rig()
    #expect(rig.want(0) == [.read(.init(id: 1, from: 0, through: 9, maxBytes: 1_000))])
    #expect(rig.ended(0) == [], "one read is no sequence")
    #expect(rig.want(10) == [.read(.init(id: 2, from: 10, through: 19, maxBytes: 1_000))])
    #expect(rig.ended(10) == [.fetch(id: 1, from: 20, through: 29, maxBytes: 1_000)])
    return rig
  }

  @Test func whoReadsOnFindsTheNextEntriesHere() {
    var rig = Self.readingOn()
    #expect(rig.ahead.heldBytes == 1_000)
    #expect(rig.fetched(1, Self.entries(20...29)) == [])
    #expect(
      rig.want(20) == [
        .answer(3, Self.entries(20...29)), .fetch(id: 2, from: 30, through: 39, maxBytes: 1_000),
      ])
    // The next one is faster than the fetch, and waits for it.
    #expect(rig.want(30) == [])
    #expect(
      rig.fetched(2, Self.entries(30...39)) == [
        .answer(4, Self.entries(30...39)), .fetch(id: 3, from: 40, through: 49, maxBytes: 1_000),
      ])
  }

  @Test func aSmallerReadGetsWhatItAsksForAndTheRestStays() {
    var rig = Self.readingOn()
    _ = rig.fetched(1, Self.entries(20...29))
    #expect(rig.want(20, maxBytes: 250) == [.answer(3, Self.entries(20...21))])
    #expect(rig.ahead.heldBytes == 800)
    // At least one entry, however large.
    #expect(rig.want(22, maxBytes: 1) == [.answer(4, Self.entries(22...22))])
  }

  @Test func aSeekDropsWhatWasFetchedForIt() {
    var rig = Self.readingOn()
    _ = rig.fetched(1, Self.entries(20...29))
    #expect(rig.want(70) == [.read(.init(id: 3, from: 70, through: 79, maxBytes: 1_000))])
    #expect(rig.ahead.heldBytes == 0)
    // A fetch on its way is dropped too: its answer changes nothing.
    var other = Self.readingOn()
    #expect(other.want(70).count == 1)
    #expect(other.fetched(1, Self.entries(20...29)) == [])
    #expect(other.ahead.heldBytes == 0)
  }

  @Test func severalReadersOfOneHandleDoNotDisturbEachOther() {
    var rig = Self.readingOn()
    _ = rig.want(50)
    _ = rig.ended(50)
    #expect(rig.want(20).count == 1, "the seek cost the first reader its entries, not its place")
    #expect(rig.ended(20) == [.fetch(id: 2, from: 30, through: 39, maxBytes: 1_000)])
    #expect(rig.want(60).count == 1)
    #expect(rig.ended(60) == [.fetch(id: 3, from: 70, through: 79, maxBytes: 1_000)])
    _ = rig.fetched(2, Self.entries(30...39))
    _ = rig.fetched(3, Self.entries(70...79))
    guard case .answer(_, let one)? = rig.want(30).first, case .answer(_, let other)? = rig.want(70).first else {
      Issue.record("not read ahead")
      return
    }
    #expect(one.first?.entryID == 30 && other.first?.entryID == 70)
  }

  @Test func staysWithinItsBytesAndTheRoomThatIsLeft() {
    var rig = Self.readingOn()
    rig.room = 0
    _ = rig.fetched(1, Self.entries(20...29))
    // Without room nothing is fetched, and reading works as before.
    #expect(rig.want(20, maxBytes: 10_000_000).count == 1)
    #expect(rig.want(30).count == 1)
    var small = LedgerReadAhead(maximumBytes: 0)
    var actions: [Action] = []
    let request = LedgerReadAhead.Request(id: 1, from: 0, through: 9, maxBytes: 100)
    small.wanted(request, last: 99, room: 1_000, now: Self.at(0), &actions)
    small.readEnded(from: 0, through: 9, last: 99, room: 1_000, now: Self.at(0), &actions)
    #expect(actions == [.read(request)])
  }

  @Test func neverReadsBeyondTheLastEntry() {
    var rig = Rig()
    rig.last = 24
    _ = rig.want(0)
    _ = rig.ended(0)
    _ = rig.want(10)
    #expect(rig.ended(10) == [.fetch(id: 1, from: 20, through: 24, maxBytes: 1_000)])
    _ = rig.fetched(1, Self.entries(20...24))
    #expect(rig.want(20) == [.answer(3, Self.entries(20...24))], "there is nothing behind it yet")
    // A tail that grew is read, and from there on ahead.
    rig.last = 99
    #expect(rig.want(25).count == 1)
    #expect(rig.ended(25) == [.fetch(id: 2, from: 35, through: 44, maxBytes: 1_000)])
  }

  @Test func whoWaitsForAFetchThatFailsReadsForHimself() {
    var rig = Self.readingOn()
    #expect(rig.want(20) == [])
    #expect(rig.fetched(1, nil) == [.read(.init(id: 3, from: 20, through: 29, maxBytes: 1_000))])
    #expect(rig.ahead.heldBytes == 0)
  }

  @Test func whatNobodyAsksForIsDroppedAfterAWhile() {
    var rig = Self.readingOn()
    _ = rig.fetched(1, Self.entries(20...29))
    rig.ahead.tick(now: Self.at(1))
    #expect(rig.ahead.heldBytes == 1_000)
    rig.ahead.tick(now: Self.at(2))
    #expect(rig.ahead.heldBytes == 0)
  }
}
