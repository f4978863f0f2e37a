import Testing

@testable import GeoReplication

@Suite struct LinkVerdictTests {
  private func seen(
    up: Bool = true, blocked: Int = 0, lag: LagState.Figures? = .init(seconds: 0, messages: 0, bytes: 0)
  ) -> LinkVerdict.Observation {
    .init(
      isUp: up, wasUp: true, linkReason: up ? "" : "no answer", blockedTopics: blocked, blockedReason: "t: refused",
      lag: lag, unknownReason: "unknown", limiter: "window full", patience: 1)
  }

  @Test func theWorstComesFirst() {
    var verdict = LinkVerdict()
    #expect(verdict.judge(seen(), nowMs: 0) == (.ok, ""))
    #expect(verdict.judge(seen(up: false, blocked: 1), nowMs: 0) == (.down, "no answer"))
    #expect(verdict.judge(seen(blocked: 2), nowMs: 0) == (.blocked, "t: refused (and 1 more)"))
    #expect(verdict.judge(seen(lag: nil), nowMs: 0) == (.behind, "unknown"))
  }

  @Test func aBacklogThatShrinksIsCatchingUpAndOneThatDoesNotIsBehind() {
    var verdict = LinkVerdict()
    func at(_ ms: Int64, _ bytes: UInt64) -> LinkLag.State {
      verdict.judge(seen(lag: .init(seconds: 20, messages: 10, bytes: bytes)), nowMs: ms).state
    }
    #expect(at(0, 1000) == .behind)
    #expect(at(1000, 900) == .catchingUp)
    #expect(verdict.drainBytesPerSecond == 100)
    #expect(at(2000, 1200) == .behind)
    #expect(at(12_500, 1200) == .behind)
    #expect(verdict.judge(seen(lag: .init(seconds: 0.5, messages: 10, bytes: 10)), nowMs: 13_000).state == .ok)
  }

  @Test func theHistoryIsOfChangesAndBounded() {
    var journal = LinkJournal()
    for i in 0..<100 { journal.note(i.isMultiple(of: 2) ? .down : .ok, "\(i)", nowMs: Int64(i)) }
    journal.note(.ok, "still", nowMs: 200)
    #expect(journal.history.count == LinkJournal.maximumChanges)
    #expect(journal.history.last == .init(atMs: 99, state: .ok, reason: "99"))
    #expect(journal.sinceMs == 99)
  }
}
