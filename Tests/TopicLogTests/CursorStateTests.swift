import TestSupport
import Testing

@testable import TopicLog

/// What a cursor should hold, said in the plainest way.
private struct NaiveCursor {
  var all: [Position]
  var acknowledged: Set<Position> = []
  var remaining: [Position: Set<Int>] = [:]

  var markDelete: Position? { all.prefix { acknowledged.contains($0) }.last }
  var backlog: Int64 { Int64(all.count { !acknowledged.contains($0) }) }

  /// Ranges beyond the mark-delete position, which do not span ledgers.
  var ranges: [AcknowledgedEntries.Range] {
    var ranges: [AcknowledgedEntries.Range] = []
    for position in all.drop(while: { acknowledged.contains($0) }) where acknowledged.contains(position) {
      if let last = ranges.last, last.ledgerID == position.ledgerID, last.last + 1 == position.entryID {
        ranges[ranges.count - 1].last = position.entryID
      } else {
        ranges.append(.init(ledgerID: position.ledgerID, first: position.entryID, last: position.entryID))
      }
    }
    return ranges
  }

  mutating func complete(_ position: Position) {
    acknowledged.insert(position)
    remaining[position] = nil
  }
}

@Suite("A cursor's state")
struct CursorStateTests {
  private func chain(_ ledgers: [(Int64, Int64)]) -> LedgerChain {
    LedgerChain(
      segments: ledgers.map {
        .init(ledgerID: $0.0, entries: $0.1, size: $0.1 * 10, createdAtMs: 1, closedAtMs: 2)
      })
  }

  private func positions(_ chain: LedgerChain) -> [Position] {
    chain.segments.flatMap { segment in
      (0..<segment.entries).map { Position(ledgerID: segment.ledgerID, entryID: $0) }
    }
  }

  @Test("agrees with a naive set under random acknowledgements", arguments: 1...5)
  func model(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let chain = chain([(5, 4500), (7, 3), (8, 0), (12, 300)])
    var naive = NaiveCursor(all: positions(chain))
    var state = CursorState(.earliest, in: chain)
    let batch = 70
    for step in 0..<1500 {
      // Often near the mark-delete position, so that it moves; sometimes anywhere.
      let near = Int(chain.totalEntries - chain.entryCount(after: state.markDelete))
      let index =
        Bool.random(using: &generator)
        ? min(naive.all.count - 1, near + Int.random(in: 0...20, using: &generator))
        : Int.random(in: 0..<naive.all.count, using: &generator)
      let position = naive.all[index]
      switch Int.random(in: 0..<100, using: &generator) {
      case 0:
        state.acknowledgeCumulative(position, batchAckSet: nil, batchSize: nil, in: chain)
        if position > state.markDelete { Issue.record("the mark-delete position is behind \(position)") }
        for passed in naive.all[...index] { naive.complete(passed) }
      case 1..<40:
        let message = Int.random(in: 0..<batch, using: &generator)
        var words: [UInt64] = [.max, (1 << 6) - 1]
        words[message / 64] &= ~(1 << UInt64(message % 64))
        let outcome = state.acknowledge(
          position, batchAckSet: words.map { Int64(bitPattern: $0) }, batchSize: batch, in: chain)
        if naive.acknowledged.contains(position) {
          #expect(outcome == .alreadyAcknowledged)
        } else {
          naive.remaining[position, default: Set(0..<batch)].remove(message)
          #expect(outcome == .partial)
        }
      case 40:
        let missing = Position(ledgerID: position.ledgerID, entryID: position.entryID + 100_000)
        #expect(state.acknowledge(missing, batchAckSet: nil, batchSize: nil, in: chain) == .alreadyAcknowledged)
      default:
        let outcome = state.acknowledge(position, batchAckSet: nil, batchSize: nil, in: chain)
        #expect(outcome == (naive.acknowledged.contains(position) ? .alreadyAcknowledged : .entryComplete))
        naive.complete(position)
      }
      guard step % 75 == 0 else { continue }
      check(state, naive, chain)
      let restored = CursorState(state.snapshot(maxRanges: .max, maxPartial: .max), in: chain)
      check(restored, naive, chain)
      #expect(restored.partial.count == state.partial.count)
      let capped = CursorState(state.snapshot(maxRanges: 3, maxPartial: 2), in: chain)
      #expect(capped.backlog(in: chain) >= state.backlog(in: chain), "what is not saved is delivered again")
      #expect(capped.markDelete == state.markDelete)
    }
  }

  private func check(_ state: CursorState, _ naive: NaiveCursor, _ chain: LedgerChain) {
    #expect(state.markDelete == naive.markDelete ?? Position(ledgerID: 5, entryID: -1))
    #expect(state.backlog(in: chain) == naive.backlog)
    let ranges = naive.ranges
    #expect(state.acknowledged.ranges(limit: .max) == ranges)
    #expect(state.acknowledged.rangeCount == ranges.count)
    #expect(state.acknowledged.count == ranges.reduce(0) { $0 + $1.last - $1.first + 1 })
    for (position, messages) in naive.remaining {
      let words = state.partial[position]
      #expect(words != nil)
      for message in 0..<70 {
        let isSet = (words?.count ?? 0) > message / 64 && (words?[message / 64] ?? 0) >> UInt64(message % 64) & 1 == 1
        #expect(isSet == messages.contains(message))
      }
    }
  }

  @Test("takes 100,000 ranges in its stride")
  func manyRanges() {
    let chain = chain([(1, 200_000)])
    var state = CursorState(.earliest, in: chain)
    let time = threadCPUTime {
      // From the back: the worst order for a sorted list.
      for entry in stride(from: Int64(199_999), to: 0, by: -2) {
        _ = state.acknowledge(Position(ledgerID: 1, entryID: entry), batchAckSet: nil, batchSize: nil, in: chain)
      }
    }
    #expect(state.acknowledged.rangeCount == 100_000)
    #expect(state.markDelete == Position(ledgerID: 1, entryID: -1))
    #expect(time < .seconds(5), "a debug build takes a fraction of this")
    for entry in stride(from: Int64(0), to: 20_000, by: 2) {
      _ = state.acknowledge(Position(ledgerID: 1, entryID: entry), batchAckSet: nil, batchSize: nil, in: chain)
    }
    #expect(state.markDelete == Position(ledgerID: 1, entryID: 19_999))
    #expect(state.acknowledged.rangeCount == 90_000)
    state.acknowledgeCumulative(.latest, batchAckSet: nil, batchSize: nil, in: chain)
    #expect(state.markDelete == Position(ledgerID: 1, entryID: 199_999))
    #expect(state.acknowledged.isEmpty && state.acknowledged.rangeCount == 0)
  }

  @Test("ignores what does not exist")
  func nothing() {
    let chain = chain([(3, 10)])
    var state = CursorState(.latest, in: chain)
    let generation = state.generation
    for position in [Position(ledgerID: 3, entryID: -1), .earliest, .latest, Position(ledgerID: 4, entryID: 0)] {
      #expect(state.acknowledge(position, batchAckSet: nil, batchSize: nil, in: chain) == .alreadyAcknowledged)
    }
    state = CursorState(.earliest, in: chain)
    state.acknowledgeCumulative(Position(ledgerID: 3, entryID: -1), batchAckSet: nil, batchSize: nil, in: chain)
    #expect(state.generation == generation)
    state.acknowledgeCumulative(.latest, batchAckSet: nil, batchSize: nil, in: chain)
    #expect(state.markDelete == Position(ledgerID: 3, entryID: 9), "cut to the last entry")
  }

  @Test("a batch is done when no bit remains, however the set is written")
  func batches() {
    let chain = chain([(3, 10)])
    var state = CursorState(.earliest, in: chain)
    let p = Position(ledgerID: 3, entryID: 0)
    #expect(state.acknowledge(p, batchAckSet: [0b1110], batchSize: 4, in: chain) == .partial)
    #expect(state.partial[p] == [0b1110])
    #expect(state.acknowledge(p, batchAckSet: [0b0111], batchSize: 4, in: chain) == .partial)
    #expect(state.partial[p] == [0b0110])
    #expect(state.acknowledge(p, batchAckSet: [], batchSize: 4, in: chain) == .entryComplete)
    #expect(state.markDelete == p)
    // Cumulative into a batch: everything before it is acknowledged, and the given part of it.
    let q = Position(ledgerID: 3, entryID: 5)
    state.acknowledgeCumulative(q, batchAckSet: [0b100], batchSize: 3, in: chain)
    #expect(state.markDelete == Position(ledgerID: 3, entryID: 4))
    #expect(state.partial[q] == [0b100])
    #expect(state.acknowledge(q, batchAckSet: [0b011], batchSize: 3, in: chain) == .entryComplete)
    #expect(state.markDelete == q && state.partial.isEmpty)
    // Bits beyond the batch do not keep it open.
    let r = Position(ledgerID: 3, entryID: 6)
    #expect(state.acknowledge(r, batchAckSet: [-8], batchSize: 3, in: chain) == .entryComplete)
    // A hostile batch size costs nothing.
    let s = Position(ledgerID: 3, entryID: 7)
    #expect(state.acknowledge(s, batchAckSet: [1], batchSize: .max, in: chain) == .partial)
    #expect(state.acknowledge(s, batchAckSet: [0], batchSize: -5, in: chain) == .entryComplete)
  }

  @Test("reset makes the position the next one")
  func reset() {
    let chain = chain([(3, 10), (4, 5)])
    var state = CursorState(.latest, in: chain)
    #expect(state.backlog(in: chain) == 0)
    for (next, backlog) in [
      (Position(ledgerID: 4, entryID: 0), Int64(5)), (Position(ledgerID: 3, entryID: 9), 6), (.earliest, 15),
      (.latest, 0), (Position(ledgerID: 3, entryID: 50), 5),
    ] {
      state.reset(to: next, in: chain)
      #expect(state.backlog(in: chain) == backlog)
      #expect(chain.first(after: state.markDelete) == chain.first(atOrAfter: next))
    }
  }
}
