/// Says in one word how a link is doing, and why: down before blocked before behind before catching up before ok.
///
/// It remembers the backlog of the last seconds, to tell whether it shrinks. No clock of its own.
struct LinkVerdict: Sendable {
  /// What is known of the link at one moment.
  struct Observation: Sendable {
    var isUp: Bool
    var wasUp: Bool
    /// Why it is not up.
    var linkReason: String
    /// Topics that cannot go on, and the sentence of one of them.
    var blockedTopics: Int
    var blockedReason: String
    /// `nil` while not known.
    var lag: LagState.Figures?
    /// Why it is not known.
    var unknownReason: String
    /// What limits those that have a backlog.
    var limiter: String
    /// How old what waits may be while it is only on its way, in seconds.
    var patience: Double
  }

  /// Time over which a backlog is compared with itself.
  static let memoryMs: Int64 = 10_000

  private var backlog: [(atMs: Int64, bytes: UInt64)] = []
  /// Bytes a second by which the backlog shrinks; negative while it grows.
  private(set) var drainBytesPerSecond = 0.0

  /// Judges, and remembers the backlog.
  mutating func judge(_ seen: Observation, nowMs: Int64) -> (state: LinkLag.State, reason: String) {
    remember(seen.lag, nowMs: nowMs)
    guard seen.isUp else { return (seen.wasUp || !seen.linkReason.isEmpty ? .down : .connecting, seen.linkReason) }
    if seen.blockedTopics > 0 {
      let others = seen.blockedTopics > 1 ? " (and \(seen.blockedTopics - 1) more)" : ""
      return (.blocked, seen.blockedReason + others)
    }
    guard let lag = seen.lag else { return (.behind, seen.unknownReason) }
    guard lag.messages > 0, lag.seconds > seen.patience else { return (.ok, "") }
    return drainBytesPerSecond > 0 ? (.catchingUp, seen.limiter) : (.behind, seen.limiter)
  }

  private mutating func remember(_ lag: LagState.Figures?, nowMs: Int64) {
    guard let lag else {
      backlog = []
      drainBytesPerSecond = 0
      return
    }
    backlog.removeAll { nowMs - $0.atMs > Self.memoryMs || $0.atMs > nowMs }
    // Several who ask within a moment see the same.
    if let last = backlog.last, nowMs - last.atMs < 200 {
      backlog[backlog.count - 1].bytes = lag.bytes
    } else {
      backlog.append((nowMs, lag.bytes))
    }
    guard let first = backlog.first, nowMs - first.atMs >= 500 else { return }
    drainBytesPerSecond = (Double(first.bytes) - Double(lag.bytes)) * 1000 / Double(nowMs - first.atMs)
  }
}

/// A link's verdict over time.
struct LinkJournal: Sendable {
  /// Changes that are kept.
  static let maximumChanges = 32

  var verdict = LinkVerdict()
  private(set) var state = LinkLag.State.connecting
  private(set) var reason = ""
  private(set) var sinceMs: Int64 = 0
  private(set) var history: [LinkLag.Change] = []

  /// Takes note of a verdict.
  mutating func note(_ state: LinkLag.State, _ reason: String, nowMs: Int64) {
    defer { self.reason = reason }
    guard state != self.state || history.isEmpty else { return }
    self.state = state
    sinceMs = nowMs
    history.append(LinkLag.Change(atMs: nowMs, state: state, reason: reason))
    if history.count > Self.maximumChanges { history.removeFirst() }
  }
}
