/// One direction pair between a topic and a remote cluster, under Pulsar's names (key in `replication`: the remote cluster).
public struct ReplicatorStats: Codable, Hashable, Sendable {
  /// Messages a second received from the remote cluster.
  @Defaulted public var msgRateIn: Double = 0
  /// Messages received from the remote cluster.
  @Defaulted public var msgInCount: Int64 = 0
  /// Bytes a second received from the remote cluster.
  @Defaulted public var msgThroughputIn: Double = 0
  /// Bytes received from the remote cluster.
  @Defaulted public var bytesInCount: Int64 = 0
  /// Messages a second sent to the remote cluster.
  @Defaulted public var msgRateOut: Double = 0
  /// Messages sent to the remote cluster.
  @Defaulted public var msgOutCount: Int64 = 0
  /// Bytes a second sent to the remote cluster.
  @Defaulted public var msgThroughputOut: Double = 0
  /// Bytes sent to the remote cluster.
  @Defaulted public var bytesOutCount: Int64 = 0
  /// Messages a second that expired before they were sent.
  @Defaulted public var msgRateExpired: Double = 0
  /// Messages that expired before they were sent.
  @Defaulted public var msgExpiredCount: Int64 = 0
  /// Entries ahead of the cursor.
  @Defaulted public var replicationBacklog: Int64 = 0
  /// Whether the stream to the remote cluster is open.
  @Defaulted public var connected: Bool = false
  /// Age of the oldest message that the remote cluster has not confirmed; unlike Pulsar's, also while disconnected.
  @Defaulted public var replicationDelayInSeconds: Int64 = 0
  /// Address of the remote cluster's producer on this topic.
  public var inboundConnection: String?
  /// Since when, ISO 8601.
  public var inboundConnectedSince: String?
  /// Address of the stream to the remote cluster.
  public var outboundConnection: String?
  /// Since when, ISO 8601.
  public var outboundConnectedSince: String?
  /// Messages a second dropped; only on non-persistent topics.
  public var msgDropRate: Double?
  /// Messages dropped; only on non-persistent topics.
  public var msgDropCount: Int64?

  /// What the remote cluster will never get from here, as both sides have lost it; absent if nothing.
  public var gaps: [ReplicationGap]?
  /// What this cluster will never get from the remote one, as that one has told; absent if nothing.
  public var inboundGaps: [ReplicationGap]?
  /// Messages published here that were not sent because `residencyDeny` keeps them out of the cluster.
  public var msgDeniedCount: Int64?

  /// All zero.
  public init() {}
}
