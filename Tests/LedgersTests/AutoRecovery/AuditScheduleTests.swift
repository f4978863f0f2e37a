import Testing

@testable import Ledgers

@Suite struct AuditScheduleTests {
  private static func make(
    delay: Int64 = 1_000, contents: Int64 = 0, placement: Int64 = 0,
    times: UnderReplicationStore.AuditTimes = .init(bookies: 1)
  ) -> AuditSchedule {
    AuditSchedule(
      limits: .init(
        bookieCheckIntervalMs: 1_000_000, contentCheckIntervalMs: contents, placementCheckIntervalMs: placement,
        lostBookieDelayMs: delay), times: times, nowMs: 10_000)
  }

  private static func tick(
    _ schedule: inout AuditSchedule, nowMs: Int64, usable: Set<String>, isRequested: Bool
  ) -> [AuditSchedule.Check] {
    schedule.tick(nowMs: nowMs, usable: usable, isRequested: isRequested)
  }

  private static let all: Set = ["a", "b", "c", "d"]

  /// A schedule that has made its first check.
  private static func settled(delay: Int64 = 1_000) -> AuditSchedule {
    var schedule = make(delay: delay)
    _ = schedule.tick(nowMs: 11_000, usable: all, isRequested: false)
    return schedule
  }

  @Test func aNewAuditorGivesBookiesTimeToComeAndThenLooks() {
    var schedule = Self.make()
    #expect(
      Self.tick(&schedule, nowMs: 10_000, usable: ["a"], isRequested: false) == [])
    #expect(
      Self.tick(&schedule, nowMs: 10_900, usable: ["a", "b"], isRequested: false) == [])
    #expect(
      Self.tick(&schedule, nowMs: 11_000, usable: Self.all, isRequested: false) == [.bookies(waitingFor: [])])
    #expect(
      Self.tick(&schedule, nowMs: 11_001, usable: Self.all, isRequested: false) == [])
  }

  @Test func oneBookieIsWaitedForAndTwoAreNot() {
    var schedule = Self.settled()
    #expect(
      Self.tick(&schedule, nowMs: 20_000, usable: ["a", "b", "c"], isRequested: false) == [])
    #expect(schedule.delayed == 1)
    #expect(
      Self.tick(&schedule, nowMs: 20_500, usable: Self.all, isRequested: false) == [], "it is back")
    #expect(
      Self.tick(&schedule, nowMs: 21_500, usable: Self.all, isRequested: false) == [])
    #expect(
      Self.tick(&schedule, nowMs: 30_000, usable: ["a", "b", "c"], isRequested: false) == [])
    #expect(
      Self.tick(&schedule, nowMs: 31_000, usable: ["a", "b", "c"], isRequested: false) == [.bookies(waitingFor: [])])
    #expect(
      Self.tick(&schedule, nowMs: 31_001, usable: ["a", "b", "c"], isRequested: false) == [], "once for each loss")
    #expect(
      Self.tick(&schedule, nowMs: 32_000, usable: ["a"], isRequested: false) == [.bookies(waitingFor: [])])
  }

  @Test func aCheckForAnotherReasonDoesNotTakeWhoIsAwayForShortAsLost() {
    var schedule = Self.settled()
    #expect(
      Self.tick(&schedule, nowMs: 20_000, usable: ["a", "b", "c"], isRequested: false) == [])
    #expect(
      Self.tick(&schedule, nowMs: 20_100, usable: ["a", "b", "c"], isRequested: true)
        == [.bookies(waitingFor: ["d"]), .contents, .placement])
    #expect(
      Self.tick(&schedule, nowMs: 21_000, usable: ["a", "b", "c"], isRequested: false) == [.bookies(waitingFor: [])])
  }

  @Test func withoutAnyBookieNothingIsConcluded() {
    var schedule = Self.settled(delay: 0)
    #expect(
      Self.tick(&schedule, nowMs: 20_000, usable: [], isRequested: true) == [])
    #expect(
      Self.tick(&schedule, nowMs: 20_001, usable: Self.all, isRequested: false) == [])
  }

  @Test func contentsAreCheckedOncePerInterval() {
    var schedule = Self.make(delay: 0, contents: 5_000, times: .init(bookies: 9_000, contents: 6_000))
    #expect(
      Self.tick(&schedule, nowMs: 10_000, usable: Self.all, isRequested: false) == [.bookies(waitingFor: [])])
    #expect(
      Self.tick(&schedule, nowMs: 11_000, usable: Self.all, isRequested: false) == [.contents])
    #expect(
      Self.tick(&schedule, nowMs: 15_999, usable: Self.all, isRequested: false) == [])
    #expect(
      Self.tick(&schedule, nowMs: 16_000, usable: Self.all, isRequested: false) == [.contents])
    #expect(schedule.times.contents == 16_000)
  }

  @Test func whenBookiesWereMovedPlacementIsCheckedOnceTheyStayThere() {
    var schedule = Self.make(placement: 1_000_000)
    var checks: [Int64] = []
    let places: [Int64: [String: String]] = [
      10_000: ["a": "/1", "b": "/1"], 13_000: ["a": "/1"], 20_000: ["a": "/2", "b": "/1", "c": "/3"],
      20_500: ["a": "/2", "b": "/4"],
    ]
    for nowMs in stride(from: Int64(10_000), through: 40_000, by: 500) {
      if let now = places[nowMs] { schedule.found(now, nowMs: nowMs) }
      if Self.tick(&schedule, nowMs: nowMs, usable: Self.all, isRequested: false).contains(.placement) {
        checks.append(nowMs)
      }
    }
    #expect(checks == [21_500])
  }

  @Test func aTimeThatIsStillToComeIsOfAnotherClock() {
    var schedule = Self.make(delay: 0, contents: 5_000, times: .init(bookies: 9_000, contents: 9_000_000))
    #expect(
      Self.tick(&schedule, nowMs: 14_999, usable: Self.all, isRequested: false) == [.bookies(waitingFor: [])])
    #expect(Self.tick(&schedule, nowMs: 15_000, usable: Self.all, isRequested: false) == [.contents])
  }
}
