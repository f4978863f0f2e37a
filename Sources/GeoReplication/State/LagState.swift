import TopicLog

/// How far one replicator is behind, in seconds, messages and bytes, computed at the source from its own log.
///
/// The figures are never below the truth (DESIGN R7): where the exact one is not known yet, the bound that is known is
/// reported. Nothing here depends on the remote's clock or on its being reachable.
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

  private var acknowledgedCounters: ReplicatorState.Counters?
  private var caughtUpAtMs: Int64?
  private var oldest: (position: Position, storedAtMs: Int64)?

  init() {}

  mutating func acknowledged(_ counters: ReplicatorState.Counters) {
    acknowledgedCounters = counters
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
    acknowledgedCounters = counters
  }

  mutating func caughtUp(atMs: Int64) {
    caughtUpAtMs = max(caughtUpAtMs ?? atMs, atMs)
    oldest = nil
  }

  mutating func sawOldest(position: Position, storedAtMs: Int64) {
    if let oldest, oldest.position <= position { return }
    oldest = (position, storedAtMs)
  }

  func figures(
    head: Head, isDone: Bool, oldestKnown: (position: Position, storedAtMs: Int64)?, nowMs: Int64
  ) -> Figures? {
    guard !isDone else { return Figures.none }
    guard let counters = acknowledgedCounters else { return nil }
    let messages = head.localMessages - min(counters.messages, head.localMessages)
    // What waits came from other regions and will not be sent.
    guard messages > 0 else { return Figures.none }
    let bytes = head.localBytes - min(counters.bytes, head.localBytes)
    let since: Int64
    switch (oldestKnown, oldest) {
    case (let a?, let b?): since = a.position <= b.position ? a.storedAtMs : b.storedAtMs
    case (let a?, nil): since = a.storedAtMs
    case (nil, let b?): since = b.storedAtMs
    // Not read yet: it cannot be older than the entry before it, nor than the time when nothing waited.
    case (nil, nil): since = max(counters.storedAtMs, caughtUpAtMs ?? .min)
    }
    return Figures(seconds: Double(max(0, nowMs - since)) / 1000, messages: messages, bytes: bytes)
  }
}
