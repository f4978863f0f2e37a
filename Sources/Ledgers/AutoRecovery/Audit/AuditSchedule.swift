/// Decides when the auditor checks what. A value: it is told the time and which bookies are there.
struct AuditSchedule {
  enum Check: Equatable {
    /// Which ledgers name bookies that are gone? Those in `waitingFor` are away for so short that they count as there.
    case bookies(waitingFor: Set<String>)
    /// Do bookies have what metadata says?
    case contents
    /// Are copies where the placement policy wants them?
    case placement
  }

  struct Limits {
    var bookieCheckIntervalMs: Int64
    var contentCheckIntervalMs: Int64
    var placementCheckIntervalMs: Int64
    var lostBookieDelayMs: Int64
  }

  private let limits: Limits
  private let startMs: Int64
  private(set) var times: UnderReplicationStore.AuditTimes
  private var present: Set<String>?
  private var missingSince: [String: Int64] = [:]
  private var isFirstCheckDone = false
  private var places: [String: String] = [:]
  private var movedMs: Int64?
  /// Losses that a check was put off for.
  private(set) var delayed: Int64 = 0

  init(limits: Limits, times: UnderReplicationStore.AuditTimes, nowMs: Int64) {
    self.limits = limits
    self.times = times
    startMs = nowMs
  }

  /// What to check now. `usable` are the bookies that are registered and not being emptied; `isRequested`: an operator wants
  /// everything checked.
  mutating func tick(nowMs: Int64, usable: Set<String>, isRequested: Bool) -> [Check] {
    // Without any bookie it is the registrations that are lost, or the region is starting.
    guard !usable.isEmpty else { return [] }
    var news = 0
    for bookie in (present ?? usable).subtracting(usable) where missingSince[bookie] == nil {
      missingSince[bookie] = nowMs
      news += 1
    }
    missingSince = missingSince.filter { !usable.contains($0.key) }
    present = usable
    if missingSince.count == 1, news == 1, limits.lostBookieDelayMs > 0 { delayed += 1 }

    // One that is away may be restarting. Two at once are not waited for: a third one could be too much.
    let due = missingSince.filter { missingSince.count > 1 || nowMs - $0.value >= limits.lostBookieDelayMs }
    let waitingFor = Set(missingSince.keys).subtracting(due.keys)
    // Who was away when this auditor began is not known; it gets as long to come.
    let isFirst = !isFirstCheckDone && nowMs - startMs >= limits.lostBookieDelayMs
    var checks: [Check] = []
    if isRequested || !due.isEmpty || isFirst || isDue(limits.bookieCheckIntervalMs, times.bookies, nowMs) {
      // In the beginning an interval that has passed long ago must not overtake the delay.
      if isRequested || isFirstCheckDone || isFirst || !due.isEmpty {
        isFirstCheckDone = isFirstCheckDone || isFirst || isRequested
        checks.append(.bookies(waitingFor: waitingFor))
        times.bookies = nowMs
        for bookie in due.keys { missingSince[bookie] = nil }
      }
    }
    if isRequested || isDue(limits.contentCheckIntervalMs, times.contents, nowMs) {
      checks.append(.contents)
      times.contents = nowMs
    }
    let isMoved =
      limits.placementCheckIntervalMs > 0 && movedMs.map { nowMs - $0 >= limits.lostBookieDelayMs } == true
    if isRequested || isMoved || isDue(limits.placementCheckIntervalMs, times.placement, nowMs) {
      checks.append(.placement)
      times.placement = nowMs
      movedMs = nil
    }
    return checks
  }

  /// Where bookies are, as far as they or operators say. Once one was moved, and none for a while, placement is checked.
  mutating func found(_ now: [String: String], nowMs: Int64) {
    if now.contains(where: { bookie, place in places[bookie].map { $0 != place } ?? false }) { movedMs = nowMs }
    places.merge(now) { _, new in new }
  }

  private func isDue(_ interval: Int64, _ last: Int64, _ nowMs: Int64) -> Bool {
    guard interval > 0 else { return false }
    // A region that never checked began to hold data about now. A check that is still to come was noted by another clock.
    return nowMs - (last == 0 || last > nowMs ? startMs : last) >= interval
  }
}
