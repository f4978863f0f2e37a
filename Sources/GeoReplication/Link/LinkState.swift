import NIOCore

/// What decides whether a link stands: its control connection's life, heartbeats and their figures.
///
/// Events and the time in, actions out; no I/O. What was asked for by an earlier attempt counts for nothing.
public struct LinkState: Sendable {
  /// What the link is doing.
  public enum Phase: Sendable, Equatable {
    /// Not started yet, or stopped.
    case idle
    /// The control connection is being made.
    case connecting
    /// It stands, and is answered.
    case up
    /// It failed, and is made again after a pause.
    case waiting
  }

  /// What the carrier has to do.
  public enum Action: Sendable, Equatable {
    /// Make the control connection; its result comes back with this number.
    case connect(attempt: UInt64)
    /// Close every connection of the link.
    case disconnect(reason: String)
    /// Streams may be opened now.
    case announceUp
    /// Send a heartbeat with this number: our clock in milliseconds since 1970.
    case ping(UInt64)
    /// Call ``retry(now:)`` after the pause that follows so many failures in a row.
    case retry(failures: Int)
  }

  /// Heartbeats remembered while they wait for their answer.
  private static let maximumOutstanding = 16

  private let heartbeatTimeout: TimeAmount
  /// What the link is doing.
  public private(set) var phase = Phase.idle
  /// Why the link is not up; empty while it is.
  public private(set) var reason = ""
  /// Whether the link was ever up.
  public private(set) var wasUp = false
  /// The last round trip of a heartbeat.
  public private(set) var roundTrip: TimeAmount?
  /// The remote's clock minus ours in milliseconds, as seen by the heartbeat that was answered fastest of late.
  public private(set) var clockSkewMs: Double?
  private var attempt: UInt64 = 0
  private var failures = 0
  private var heardAt = NIODeadline.uptimeNanoseconds(0)
  private var outstanding: [(number: UInt64, sentAt: NIODeadline, sentAtMs: Int64)] = []
  private var nextPing: UInt64 = 1
  private var minimumRoundTrip = WindowedExtreme<Int64>(memory: .seconds(60), isBetter: { $0 < $1 })

  /// A link that was not started.
  public init(heartbeatTimeout: TimeAmount) {
    self.heartbeatTimeout = heartbeatTimeout
  }

  /// The shortest round trip of late.
  public var shortestRoundTrip: TimeAmount? { minimumRoundTrip.value.map { .nanoseconds($0) } }

  /// Begins to connect.
  public mutating func start(now: NIODeadline) -> [Action] {
    guard phase == .idle else { return [] }
    failures = 0
    return connect()
  }

  /// Ends it.
  public mutating func stop() -> [Action] {
    guard phase != .idle else { return [] }
    phase = .idle
    reason = "the link is closed"
    attempt += 1
    return [.disconnect(reason: reason)]
  }

  /// The remote's address changed: everything is made anew at once.
  public mutating func addressChanged() -> [Action] {
    guard phase != .idle else { return [] }
    let reason = "the cluster's address or certificates were changed"
    failures = 0
    return [.disconnect(reason: reason)] + connect()
  }

  /// The pause is over.
  public mutating func retry(now: NIODeadline) -> [Action] {
    phase == .waiting ? connect() : []
  }

  /// Whether the connection that this attempt asked for is still wanted.
  public func isCurrent(attempt: UInt64) -> Bool { phase == .connecting && attempt == self.attempt }

  /// The control connection stands.
  public mutating func connected(attempt: UInt64, now: NIODeadline, nowMs: Int64) -> [Action] {
    guard phase == .connecting, attempt == self.attempt else { return [] }
    phase = .up
    reason = ""
    wasUp = true
    heardAt = now
    outstanding = []
    minimumRoundTrip = WindowedExtreme(memory: .seconds(60), isBetter: { $0 < $1 })
    return [.announceUp] + ping(now: now, nowMs: nowMs)
  }

  /// The control connection could not be made, or was lost.
  public mutating func failed(attempt: UInt64, reason: String) -> [Action] {
    guard phase == .connecting || phase == .up, attempt == self.attempt else { return [] }
    return goDown(reason)
  }

  /// Sends a heartbeat, unless the remote has been silent for too long. To be called at the heartbeat's interval.
  ///
  /// - Parameter remote: how the remote is called in the reason.
  public mutating func tick(remote: String, now: NIODeadline, nowMs: Int64) -> [Action] {
    guard phase == .up else { return [] }
    let silence = now - heardAt
    guard silence < heartbeatTimeout else {
      return goDown("no answer from \(remote) for \((silence.nanoseconds + 500_000_000) / 1_000_000_000) s")
    }
    // What was heard settles all that was asked before.
    return ping(now: now, nowMs: nowMs)
  }

  /// A heartbeat was answered.
  ///
  /// - Parameters:
  ///   - number: of the heartbeat; `nil` if the remote does not echo it.
  ///   - remoteClockMs: the remote's clock.
  public mutating func answered(number: UInt64?, remoteClockMs: Int64?, now: NIODeadline) {
    guard phase == .up, !outstanding.isEmpty else { return }
    guard let index = number == nil ? 0 : outstanding.firstIndex(where: { $0.number == number }) else { return }
    let sent = outstanding[index]
    outstanding.removeSubrange(...index)
    heardAt = now
    let elapsed = max(0, (now - sent.sentAt).nanoseconds)
    roundTrip = .nanoseconds(elapsed)
    minimumRoundTrip.add(elapsed, now: now)
    if let remoteClockMs, minimumRoundTrip.value == elapsed || clockSkewMs == nil {
      clockSkewMs = Double(remoteClockMs) - Double(sent.sentAtMs) - Double(elapsed) / 2e6
    }
  }

  private mutating func connect() -> [Action] {
    attempt += 1
    phase = .connecting
    return [.connect(attempt: attempt)]
  }

  private mutating func goDown(_ reason: String) -> [Action] {
    phase = .waiting
    self.reason = reason
    roundTrip = nil
    outstanding = []
    defer { failures += 1 }
    return [.disconnect(reason: reason), .retry(failures: failures)]
  }

  private mutating func ping(now: NIODeadline, nowMs: Int64) -> [Action] {
    // The clock itself, so that the remote sees it, but never the same twice.
    let number = max(nextPing, UInt64(max(0, nowMs)))
    nextPing = number + 1
    outstanding.append((number, now, nowMs))
    if outstanding.count > Self.maximumOutstanding { outstanding.removeFirst() }
    return [.ping(number)]
  }
}
