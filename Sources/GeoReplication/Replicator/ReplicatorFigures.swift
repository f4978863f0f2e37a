import Broker

/// What a replicator counts and remembers for its reports; nothing depends on it.
struct ReplicatorFigures {
  /// What keeps entries that wait from being sent.
  enum Limiter: Sendable {
    case none, window, connection, source
  }

  /// What the remote acknowledged.
  var sent = RateMeter()
  /// What entered the topic in this region.
  var entered = RateMeter()
  /// The log's counters when they were last looked at.
  var enteredBefore: (messages: UInt64, bytes: UInt64)?
  var limiter = Limiter.none
  var lastFailure = ""
  var failures = 0
  var streamsOpened = 0
}

/// What a replicator looks like at one moment, for those on other threads.
struct ReplicatorSample: Sendable {
  var topic: TopicName
  var phase: ReplicatorPhase
  var reason: String
  /// `nil` while not known.
  var lag: LagState.Figures?
  var inFlightBytes: Int
  var windowBytes: Int
  var limiter: ReplicatorFigures.Limiter
  /// Whether it cannot go on although the link stands.
  var isBlocked: Bool
  var resent: Int
  var gaps: ReplicationGaps
  var sentMessagesPerSecond: Double
  var sentBytesPerSecond: Double
  var enteredMessagesPerSecond: Double
  var enteredBytesPerSecond: Double
}

extension ReplicatorSample {
  /// What is known of a topic that was closed and is to be loaded again.
  ///
  /// - Parameter lag: what waited in it, until now; `nil` if that was not known.
  init(absent topic: TopicName, lag: LagState.Figures?) {
    self.init(
      topic: topic, phase: .stopped, reason: "the topic is being loaded again", lag: lag, inFlightBytes: 0,
      windowBytes: 0, limiter: .none, isBlocked: false, resent: 0, gaps: ReplicationGaps(), sentMessagesPerSecond: 0,
      sentBytesPerSecond: 0, enteredMessagesPerSecond: 0, enteredBytesPerSecond: 0)
  }
}
