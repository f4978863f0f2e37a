import Broker

/// What one region knows of its outgoing links: the answer to `GET /meridian/v1/lag`.
///
/// All figures are computed at the source, from its own log and its own clock. A figure that is not known is absent;
/// it is never zero.
public struct LagReport: Codable, Sendable, Equatable {
  /// The version of this schema; fields are only ever added within a version.
  public static let currentVersion = 1

  /// Version of the schema.
  public var schemaVersion: Int
  /// The region that reports.
  public var region: String
  /// Its incarnation: a region rebuilt under the same name has another.
  public var incarnation: UInt64
  /// When, by its clock, in milliseconds since 1970.
  public var asOfMs: Int64
  /// Its links to other regions.
  public var links: [LinkLag]
  /// Every namespace that it replicates, for each remote region.
  public var namespaces: [NamespaceLag]

  /// A report.
  public init(region: String, incarnation: UInt64, asOfMs: Int64, links: [LinkLag], namespaces: [NamespaceLag]) {
    self.schemaVersion = Self.currentVersion
    self.region = region
    self.incarnation = incarnation
    self.asOfMs = asOfMs
    self.links = links
    self.namespaces = namespaces
  }
}

/// One link: everything that one region sends to another.
public struct LinkLag: Codable, Sendable, Equatable {
  /// What a link is doing.
  public enum State: String, Codable, Sendable, CaseIterable {
    /// Not connected yet since the start.
    case connecting
    /// Connected; nothing waits, or what waits is on its way.
    case ok
    /// Connected; the backlog shrinks.
    case catchingUp
    /// Connected; the backlog grows or does not move.
    case behind
    /// Connected, but some topic cannot go on; ``LinkLag/reason`` says why.
    case blocked
    /// The remote does not answer.
    case down
  }

  /// Records of gaps that a report holds at most.
  static let maximumGapRecords = 100

  /// One change of state.
  public struct Change: Codable, Sendable, Equatable {
    /// When, in milliseconds since 1970.
    public var atMs: Int64
    /// The state from then on.
    public var state: State
    /// Why.
    public var reason: String

    /// A change.
    public init(atMs: Int64, state: State, reason: String) {
      self.atMs = atMs
      self.state = state
      self.reason = reason
    }
  }

  /// The remote region.
  public var to: String
  /// What the link is doing.
  public var state: State
  /// Why it is doing so, or what limits it: `window`, `source read`, `remote`, `schema`, a refusal's sentence. Empty if
  /// all is well.
  public var reason: String
  /// Since when, in milliseconds since 1970.
  public var sinceMs: Int64
  /// Whether the connection to the remote stands.
  public var connected: Bool
  /// Age of the oldest entry that is not stored remotely: the largest of all topics.
  public var behindSeconds: Double?
  /// Messages that are not stored remotely, at most.
  public var behindMessages: UInt64?
  /// Bytes that are not stored remotely, at most.
  public var behindBytes: UInt64?
  /// Bytes a second that enter topics of this link in this region.
  public var inBytesPerSecond: Double
  /// Messages a second that enter.
  public var inMessagesPerSecond: Double
  /// Bytes a second that the remote acknowledges.
  public var outBytesPerSecond: Double
  /// Messages a second that it acknowledges.
  public var outMessagesPerSecond: Double
  /// How fast the backlog shrinks, in bytes a second; negative while it grows.
  public var drainBytesPerSecond: Double
  /// Seconds until nothing waits at this rate; absent if it never will.
  public var etaSeconds: Double?
  /// Round trip of the heartbeat in milliseconds.
  public var rttMs: Double?
  /// The remote's clock minus ours in milliseconds, as near as the heartbeat can tell.
  public var clockSkewMs: Double?
  /// Bytes sent and not acknowledged.
  public var inFlightBytes: Int
  /// Bytes that may be so.
  public var windowBytes: Int
  /// Topic partitions that are replicated over the link.
  public var topics: Int
  /// Of these, the ones that cannot go on now.
  public var blockedTopics: Int
  /// Entries that were sent again after a stream had ended.
  public var resentEntries: Int
  /// Times that data were found which the remote will never get, as both sides have lost them; of every topic, since
  /// its replication began.
  public var gaps: Int
  /// The records of the last of them, newest first; absent if there are none. The remote has them too.
  public var gapRecords: [TopicGap]?
  /// The last changes of state, oldest first.
  public var history: [Change]

  /// A link of which nothing is known yet.
  public init(to: String, state: State, reason: String, sinceMs: Int64, connected: Bool) {
    self.to = to
    self.state = state
    self.reason = reason
    self.sinceMs = sinceMs
    self.connected = connected
    inBytesPerSecond = 0
    inMessagesPerSecond = 0
    outBytesPerSecond = 0
    outMessagesPerSecond = 0
    drainBytesPerSecond = 0
    inFlightBytes = 0
    windowBytes = 0
    topics = 0
    blockedTopics = 0
    resentEntries = 0
    gaps = 0
    history = []
  }
}

/// How far one namespace is behind in one remote region.
public struct NamespaceLag: Codable, Sendable, Equatable {
  /// `tenant/namespace`.
  public var namespace: String
  /// The remote region.
  public var to: String
  /// Age of the oldest entry that is not stored there.
  public var behindSeconds: Double?
  /// Messages that are not stored there, at most.
  public var behindMessages: UInt64?
  /// Bytes that are not stored there, at most.
  public var behindBytes: UInt64?
  /// The topic partition that is furthest behind.
  public var worstTopic: String?
  /// The state of that topic's replicator.
  public var phase: ReplicatorPhase
  /// Why it is in that state; empty if all is well.
  public var reason: String
  /// Topic partitions.
  public var topics: Int

  /// The lag of a namespace.
  public init(
    namespace: String, to: String, behindSeconds: Double?, behindMessages: UInt64?, behindBytes: UInt64?,
    worstTopic: String?, phase: ReplicatorPhase, reason: String, topics: Int
  ) {
    self.namespace = namespace
    self.to = to
    self.behindSeconds = behindSeconds
    self.behindMessages = behindMessages
    self.behindBytes = behindBytes
    self.worstTopic = worstTopic
    self.phase = phase
    self.reason = reason
    self.topics = topics
  }
}

/// What a topic partition will never have in the remote region.
public struct TopicGap: Codable, Sendable, Equatable {
  /// The topic partition.
  public var topic: String
  /// What is missing.
  public var gap: ReplicationGap

  /// A gap of a topic.
  public init(topic: String, gap: ReplicationGap) {
    self.topic = topic
    self.gap = gap
  }
}
