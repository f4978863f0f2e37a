import NIOCore
import TopicLog

/// How far one replicator is behind, in seconds, messages and bytes, computed at the source from its own log.
///
/// The figures are never below the truth (ARCHITECTURE.md, R7): where the exact one is not known yet, the bound that is known is
/// reported. Nothing here depends on the remote's clock or on its being reachable, and ages are differences of the loop's
/// clock: setting the wall clock makes none of them smaller.
public struct LagState: Sendable {
  /// Where the local log stands.
  public struct Head: Sendable, Equatable {
    /// The last entry.
    public var position: Position
    /// Messages that entered the topic in this region, in all.
    public var localMessages: UInt64
    /// Bytes that entered the topic in this region, in all.
    public var localBytes: UInt64

    /// A head of the log.
    public init(position: Position, localMessages: UInt64, localBytes: UInt64) {
      self.position = position
      self.localMessages = localMessages
      self.localBytes = localBytes
    }
  }

  /// How far behind.
  public struct Figures: Sendable, Equatable {
    /// Age of the oldest entry that the remote has not stored, in seconds.
    public var seconds: Double
    /// Messages that it has not stored, at most.
    public var messages: UInt64
    /// Bytes that it has not stored, at most.
    public var bytes: UInt64

    /// Figures of so much.
    public init(seconds: Double, messages: UInt64, bytes: UInt64) {
      self.seconds = seconds
      self.messages = messages
      self.bytes = bytes
    }

    /// Nothing is behind.
    public static let none = Figures(seconds: 0, messages: 0, bytes: 0)
  }

  private var clock: ClockTrack
  private var acknowledgedCounters: (counters: ReplicatorState.Counters, bornAtMs: Int64)?
  private var caughtUpAtMs: Int64?
  private var oldest: (position: Position, bornAtMs: Int64)?

  /// - Parameter nowMs: the wall clock at `now`.
  init(now: NIODeadline, nowMs: Int64) {
    clock = ClockTrack(now: now, nowMs: nowMs)
  }

  mutating func noteClock(now: NIODeadline, nowMs: Int64, head: Position, done: Position) {
    clock.note(now: now, nowMs: nowMs, head: head, done: done)
  }

  /// When an entry was stored, by the loop's clock: never later than now, when it is seen.
  func bornAtMs(_ position: Position, storedAtMs: Int64, now: NIODeadline) -> Int64 {
    min(clock.bornAtMs(position, storedAtMs: storedAtMs), ClockTrack.milliseconds(now))
  }

  mutating func acknowledged(_ counters: ReplicatorState.Counters) {
    acknowledgedCounters = (counters, clock.bornAtMs(counters.position, storedAtMs: counters.storedAtMs))
    oldest = nil
  }

  /// The remote has less than was thought: nothing that was noted holds.
  mutating func forget() {
    acknowledgedCounters = nil
    caughtUpAtMs = nil
    oldest = nil
  }

  /// The counters right before the first entry that waits, read from that entry.
  mutating func learned(_ counters: ReplicatorState.Counters) {
    acknowledgedCounters = (counters, clock.bornAtMs(counters.position, storedAtMs: counters.storedAtMs))
  }

  mutating func caughtUp(now: NIODeadline) {
    caughtUpAtMs = max(caughtUpAtMs ?? .min, ClockTrack.milliseconds(now))
    oldest = nil
  }

  mutating func sawOldest(_ position: Position, bornAtMs: Int64) {
    if let oldest, oldest.position <= position { return }
    oldest = (position, bornAtMs)
  }

  func figures(
    head: Head, isDone: Bool, oldestKnown: (position: Position, bornAtMs: Int64)?, now: NIODeadline
  ) -> Figures? {
    guard !isDone else { return Figures.none }
    guard let (counters, bornAtMs) = acknowledgedCounters else { return nil }
    let messages = head.localMessages - min(counters.messages, head.localMessages)
    // What waits came from other regions and will not be sent.
    guard messages > 0 else { return Figures.none }
    let bytes = head.localBytes - min(counters.bytes, head.localBytes)
    let since: Int64
    switch (oldestKnown, oldest) {
    case (let a?, let b?): since = a.position <= b.position ? a.bornAtMs : b.bornAtMs
    case (let a?, nil): since = a.bornAtMs
    case (nil, let b?): since = b.bornAtMs
    // Not read yet: it cannot be older than the entry before it, nor than the time when nothing waited.
    case (nil, nil): since = max(bornAtMs, caughtUpAtMs ?? .min)
    }
    let age = ClockTrack.milliseconds(now).subtractingReportingOverflow(since)
    return Figures(
      seconds: Double(age.overflow ? Int64.max : max(0, age.partialValue)) / 1000, messages: messages, bytes: bytes)
  }
}
