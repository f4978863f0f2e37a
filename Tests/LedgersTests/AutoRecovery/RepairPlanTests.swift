import NIOCore
import Testing

@testable import Ledgers

@Suite struct RepairPlanTests {
  private static func metadata(
    _ segments: [(EntryID, [String])], writeQuorum: Int = 2, state: LedgerMetadata.State = .closed,
    last: EntryID = -1
  ) -> LedgerMetadata {
    var metadata = LedgerMetadata(
      options: LedgerOptions(ensembleSize: 3, writeQuorumSize: writeQuorum, ackQuorumSize: 2), ensemble: [],
      createdMs: 0, creatorToken: 0)
    metadata.segments = segments.map { .init(firstEntry: $0.0, ensemble: $0.1) }
    metadata.state = state
    metadata.lastEntry = last
    return metadata
  }

  private static func plan(
    _ metadata: LedgerMetadata, suspects: [SuspectCopies] = [], lost: Set<String> = []
  ) -> RepairPlan {
    RepairPlan(metadata: metadata, suspects: suspects, misplaced: { _ in [] }, isLost: lost.contains)
  }

  private static func replaced(
    _ metadata: LedgerMetadata, _ fragment: LedgerFragment, with target: String
  ) -> LedgerMetadata? {
    var changed = metadata
    return changed.replaceMember(of: fragment, slot: 0, with: target) ? changed : nil
  }

  @Test func aWriterGetsItsTimeFromWhenThereIsAnotherBookie() {
    var spares = SpareSightings()
    func note(_ areThere: Bool, _ seconds: Int64) -> Bool {
      spares.note(7, areThere: areThere, now: .uptimeNanoseconds(0) + .seconds(seconds), grace: .seconds(30))
    }
    #expect(note(true, 1), "there was always one, as far as is known")
    #expect(!note(false, 2))
    #expect(!note(true, 100))
    #expect(!note(true, 129))
    #expect(note(true, 130))
    #expect(note(true, 131))
    #expect(!note(false, 132))
  }

  @Test func aTimeThatIsFarAheadIsNotWaitedFor() {
    func isOverdue(_ since: Int64) -> Bool {
      RepairPlan.isOverdue(since: since, now: 100_000, grace: .seconds(30))
    }
    #expect(isOverdue(70_000))
    #expect(!isOverdue(70_001))
    // Clocks differ a little.
    #expect(!isOverdue(130_000))
    #expect(isOverdue(130_001))
    #expect(isOverdue(Int64.max / 2))
  }

  @Test func aLostBookieIsReplacedWhereItHoldsEntriesAndNowhereElse() {
    let closed = Self.metadata([(0, ["a", "b", "c"]), (10, ["a", "d", "c"]), (20, ["a", "b", "c"])], last: 19)
    let plan = Self.plan(closed, lost: ["b"])
    #expect(plan.replacements.map(\.fragment.firstEntry) == [0])
    #expect(plan.replacements.map(\.slot) == [1])
    #expect(Array(closed.fragments[0].entries(of: 1)) == [0, 1, 3, 4, 6, 7, 9])
    #expect(Array(closed.fragments[1].entries(of: 0, from: 15)) == [15, 17, 18])
    #expect(closed.bookiesInUse == ["a", "b", "c", "d"])
    // The last segment has no entry: nobody needs its bookies.
    #expect(closed.fragments.count == 2)
    // One entry, two copies: the third place is unused.
    let single = Self.metadata([(0, ["a", "b", "c"])], last: 0)
    #expect(single.bookiesInUse == ["a", "b"])
    #expect(Self.plan(single, lost: ["c"]).isEmpty)
    #expect(Self.plan(Self.metadata([(0, ["a", "b", "c"])], last: -1), lost: ["a"]).isEmpty)
  }

  @Test func theSegmentThatIsBeingWrittenIsLeftToItsWriter() {
    let open = Self.metadata([(0, ["a", "b", "c"]), (10, ["a", "d", "c"])], state: .open)
    let plan = Self.plan(open, lost: ["a"])
    #expect(plan.replacements.map(\.fragment.firstEntry) == [0])
    #expect(plan.lostFromOpenSegment == ["a"])
    let growing = LedgerFragment(
      firstEntry: 10, lastEntry: 20, ensemble: ["a", "d", "c"], striping: open.striping)
    #expect(Self.replaced(open, growing, with: "e") == nil)
    let changed = Self.replaced(open, open.fragments[0], with: "e")
    #expect(changed?.segments[0].ensemble == ["e", "b", "c"])
    #expect(changed?.segments[1] == open.segments[1])
    // It is not what it was any more.
    #expect(changed.flatMap { Self.replaced($0, open.fragments[0], with: "f") } == nil)
    #expect(Self.replaced(open, open.fragments[0], with: "b") == nil, "never twice in one ensemble")
  }

  @Test func copiesInDoubtAreLookedAtOnTheBookieThatIsNamed() {
    let open = Self.metadata([(0, ["a", "b", "c"]), (10, ["a", "d", "c"])], state: .open)
    let plan = Self.plan(
      open,
      suspects: [
        .init(bookie: "a", first: 5, last: 12), .init(bookie: "b", first: 5, last: 12),
        .init(bookie: "x", first: 0, last: 12),
      ], lost: [])
    #expect(plan.restorations.map(\.fragment.firstEntry) == [0, 10, 0])
    #expect(plan.restorations.map(\.first) == [5, 10, 5])
    #expect(plan.restorations.map(\.last) == [9, 12, 9])
    // A bookie that is gone is replaced, not restored.
    #expect(Self.plan(open, suspects: [.init(bookie: "b", first: 5, last: 6)], lost: ["b"]).restorations.isEmpty)
  }

  @Test func copiesOfBookiesThatARecoveryMayBeAboutToNameWaitForIt() {
    let doubt = [SuspectCopies(bookie: "x", first: 3, last: 4)]
    func plan(_ state: LedgerMetadata.State) -> RepairPlan {
      Self.plan(Self.metadata([(0, ["a", "b", "c"])], state: state, last: state == .closed ? 9 : -1), suspects: doubt)
    }
    #expect(plan(.inRecovery).waitsForRecovery && !plan(.inRecovery).isEmpty)
    #expect(plan(.open).isEmpty)
    #expect(plan(.closed).isEmpty)
    #expect(!Self.plan(Self.metadata([(0, ["a", "x", "c"])], state: .inRecovery), suspects: doubt).waitsForRecovery)
  }

  @Test func newsThatRepeatsItselfIsCountedAndALossHasItsOwnTime() {
    var mark = UnderReplicatedLedger(ledgerID: 1, sinceMs: 100)
    mark.nextAttemptMs = 900
    let isNew = mark.add(suspects: [.init(bookie: "a", first: 1, last: 2)])
    #expect(isNew)
    #expect(mark.nextAttemptMs == 0)
    mark.nextAttemptMs = 900
    let before = mark.reports
    let known = mark.add(suspects: [.init(bookie: "a", first: 1, last: 2)])
    #expect(!known && mark.reports != before)
    #expect(mark.nextAttemptMs == 900, "else a reader would have it tried without a pause")
    mark.add(lost: ["b"], nowMs: 5_000)
    mark.add(lost: ["b", "c"], nowMs: 6_000)
    #expect(mark.lostBookies == ["b", "c"])
    #expect(mark.lostMs("b") == 5_000 && mark.lostMs("c") == 6_000 && mark.lostMs("d") == 100)
    mark.drop { $0 == "b" }
    #expect(mark.lostBookies == ["c"])
    mark.add(lost: ["b"], nowMs: 9_000)
    #expect(mark.lostMs("b") == 9_000)
  }

  @Test func rangesInDoubtAreJoinedAndBounded() {
    let many = (0..<2_000).map { SuspectCopies(bookie: "a", first: EntryID($0) * 1_000, last: EntryID($0) * 1_000) }
    let merged = SuspectCopies.merged(many.shuffled() + [.init(bookie: "b", first: 1, last: 2)])
    #expect(merged.count <= 256)
    #expect(merged.contains { $0.bookie == "a" && $0.first == 0 })
    #expect(merged.contains { $0.bookie == "a" && $0.last == 1_999_000 })
    #expect(merged.last == .init(bookie: "b", first: 1, last: 2))
    #expect(
      SuspectCopies.merged([.init(bookie: "a", first: 0, last: 9), .init(bookie: "a", first: 3, last: 4)]).count == 1)
    #expect(
      SuspectCopies.merged([.init(bookie: "a", first: 0, last: 9), .init(bookie: "a", first: 100, last: 104)]).count
        == 2)
  }

  private static func take(_ throttle: inout ByteThrottle, _ bytes: Int, now: NIODeadline) -> TimeAmount {
    throttle.take(bytes, now: now)
  }

  @Test func theThrottleSpreadsBytesOverTime() {
    var throttle = ByteThrottle(bytesPerSecond: 1_000)
    let start = NIODeadline.uptimeNanoseconds(1_000_000_000)
    #expect(Self.take(&throttle, 500, now: start) == .milliseconds(500))
    #expect(Self.take(&throttle, 500, now: start) == .seconds(1))
    #expect(Self.take(&throttle, 0, now: start + .seconds(5)) == .zero)
    // A pause earns no burst.
    #expect(Self.take(&throttle, 1_000, now: start + .seconds(10)) == .seconds(1))
    var unlimited = ByteThrottle(bytesPerSecond: 0)
    #expect(Self.take(&unlimited, Int.max, now: start) == .zero)
  }
}
