import Testing

@testable import TopicLog

@Suite("The chain of ledgers")
struct LedgerChainTests {
  /// A chain of random ledgers, and the list of positions that it stands for.
  private func random(_ generator: inout SeededGenerator) -> (LedgerChain, [(Position, Int)]) {
    var chain = LedgerChain()
    var all: [(Position, Int)] = []
    var id: Int64 = 3
    for _ in 0..<Int.random(in: 0...6, using: &generator) {
      chain.append(.init(ledgerID: id, createdAtMs: 1))
      for entry in 0..<Int64.random(in: 0...5, using: &generator) {
        let size = Int.random(in: 1...9, using: &generator)
        let (position, _) = chain.confirm(size: size)
        #expect(position == Position(ledgerID: id, entryID: entry))
        all.append((position, size))
      }
      chain.markClosed(id, atMs: id)
      id += Int64.random(in: 1...3, using: &generator)
    }
    return (chain, all)
  }

  @Test("answers like a plain list of positions")
  func model() {
    var generator = SeededGenerator(seed: 7)
    for _ in 0..<200 {
      var (chain, all) = random(&generator)
      if Bool.random(using: &generator), let first = chain.segments.first {
        chain.trim([first.ledgerID])
        all.removeAll { $0.0.ledgerID == first.ledgerID }
      }
      #expect(chain.totalEntries == Int64(all.count))
      #expect(chain.totalSize == all.reduce(0) { $0 + Int64($1.1) })
      #expect(chain.firstPosition == all.first?.0)
      if let last = all.last?.0 { #expect(chain.lastConfirmed == last) }
      for (index, entry) in all.enumerated() {
        #expect(chain.position(atIndex: Int64(index)) == entry.0)
        #expect(chain.index(of: entry.0) == Int64(index))
      }
      #expect(chain.position(atIndex: Int64(all.count)) == nil)
      var probes: [Position] = [.earliest, .latest]
      for _ in 0..<20 {
        probes.append(
          Position(ledgerID: .random(in: 0...20, using: &generator), entryID: .random(in: -1...7, using: &generator)))
      }
      for probe in probes {
        #expect(chain.contains(probe) == all.contains { $0.0 == probe })
        #expect(chain.first(atOrAfter: probe) == all.first { $0.0 >= probe }?.0)
        #expect(chain.first(after: probe) == all.first { $0.0 > probe }?.0)
        #expect(chain.last(atOrBefore: probe) == all.last { $0.0 <= probe }?.0)
        #expect(chain.entryCount(after: probe) == Int64(all.count { $0.0 > probe }))
        #expect(chain.next(after: probe) > probe || probe == .latest)
        for other in probes {
          let expected = other < probe ? 0 : all.count { $0.0 >= probe && $0.0 <= other }
          #expect(chain.entryCount(from: probe, through: other) == Int64(expected))
        }
        let size = chain.size(from: probe)
        #expect(size >= 0 && size <= chain.totalSize)
        if probe.entryID <= 0 {
          #expect(size == all.reduce(0) { $0 + ($1.0 >= probe ? Int64($1.1) : 0) })
        }
      }
    }
  }

  @Test("the position behind the last entry is where the next append goes")
  func nextAtTheEnd() {
    var chain = LedgerChain()
    #expect(chain.next(after: .earliest) == Position(ledgerID: -1, entryID: 0))
    chain.append(.init(ledgerID: 4, createdAtMs: 1))
    #expect(chain.next(after: .earliest) == Position(ledgerID: 4, entryID: 0))
    _ = chain.confirm(size: 1)
    #expect(chain.next(after: Position(ledgerID: 4, entryID: 0)) == Position(ledgerID: 4, entryID: 1))
    chain.append(.init(ledgerID: 9, createdAtMs: 1))
    #expect(chain.next(after: Position(ledgerID: 4, entryID: 0)) == Position(ledgerID: 9, entryID: 0))
    #expect(chain.lastConfirmed == Position(ledgerID: 4, entryID: 0))
  }

  @Test("the last position survives trimming")
  func lastConfirmedAfterTrim() {
    var chain = LedgerChain(segments: [.init(ledgerID: 4, entries: 10, size: 100, createdAtMs: 1, closedAtMs: 5)])
    chain.trim([4])
    #expect(chain.lastConfirmed == Position(ledgerID: 4, entryID: 9))
    #expect(chain.firstPosition == nil)
    #expect(chain.totalEntries == 0)
  }

  @Test("trims what is acknowledged and beyond retention, from the front only")
  func trimming() {
    let segments = (1...4).map {
      LedgerChain.Segment(
        ledgerID: $0, entries: 10, size: 100, createdAtMs: 0, closedAtMs: $0 < 4 ? $0 * 1000 : 0)
    }
    let chain = LedgerChain(segments: segments)
    func ids(
      _ acknowledged: Position, floor: Position? = nil, timeMs: Int64? = 0, size: Int64? = 0, nowMs: Int64 = 10_000
    ) -> [Int64] {
      chain.trimmable(
        acknowledged: acknowledged, floor: floor, retention: .init(timeMs: timeMs, size: size), nowMs: nowMs)
    }
    #expect(ids(.latest) == [1, 2, 3], "the ledger that is written stays")
    #expect(ids(Position(ledgerID: 2, entryID: 8)) == [1])
    #expect(ids(Position(ledgerID: 2, entryID: 9)) == [1, 2])
    #expect(ids(Position(ledgerID: 3, entryID: -1)) == [1, 2])
    #expect(ids(.earliest).isEmpty)
    #expect(ids(.latest, floor: Position(ledgerID: 2, entryID: 3)) == [1])
    #expect(ids(.latest, floor: Position(ledgerID: 1, entryID: 9)).isEmpty)
    #expect(ids(.latest, timeMs: nil, size: nil).isEmpty, "kept for ever")
    #expect(ids(.latest, timeMs: 8500, size: nil) == [1])
    #expect(ids(.latest, timeMs: nil, size: 250) == [1])
    #expect(ids(.latest, timeMs: nil, size: 300) == [1])
    #expect(ids(.latest, timeMs: nil, size: 301).isEmpty)
  }

  @Test("asks for the next ledger before the end of this one")
  func rollover() {
    let rules = RolloverRules(maxEntries: 100, maxSize: 1000, minimumAgeMs: 60, maximumAgeMs: 600)
    #expect(rules.need(entries: 0, size: 0, ageMs: 10_000) == .nothing, "an empty ledger stays")
    #expect(rules.need(entries: 500, size: 1, ageMs: 10) == .nothing, "too young")
    #expect(rules.need(entries: 89, size: 1, ageMs: 100) == .nothing)
    #expect(rules.need(entries: 90, size: 1, ageMs: 100) == .prepare)
    #expect(rules.need(entries: 500, size: 1, ageMs: 55) == .prepare)
    #expect(rules.need(entries: 100, size: 1, ageMs: 60) == .roll)
    #expect(rules.need(entries: 1, size: 900, ageMs: 100) == .prepare)
    #expect(rules.need(entries: 1, size: 1000, ageMs: 100) == .roll)
    #expect(rules.need(entries: 1, size: 1, ageMs: 600) == .roll)
  }
}
