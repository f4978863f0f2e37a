/// A topic, under Pulsar's names. Timestamps are milliseconds since 1970, 0 for never; rates are per second.
public struct TopicStats: Codable, Hashable, Sendable {
  /// Messages a second published.
  @Defaulted public var msgRateIn: Double = 0
  /// Bytes a second published.
  @Defaulted public var msgThroughputIn: Double = 0
  /// Messages a second sent to consumers.
  @Defaulted public var msgRateOut: Double = 0
  /// Bytes a second sent to consumers.
  @Defaulted public var msgThroughputOut: Double = 0
  /// Bytes published since the topic was loaded.
  @Defaulted public var bytesInCounter: Int64 = 0
  /// Messages published since the topic was loaded.
  @Defaulted public var msgInCounter: Int64 = 0
  /// Bytes published to system topics.
  @Defaulted public var systemTopicBytesInCounter: Int64 = 0
  /// Bytes sent to consumers since the topic was loaded.
  @Defaulted public var bytesOutCounter: Int64 = 0
  /// Messages sent to consumers since the topic was loaded.
  @Defaulted public var msgOutCounter: Int64 = 0
  /// Bytes sent to internal readers.
  @Defaulted public var bytesOutInternalCounter: Int64 = 0
  /// Bytes of a message, on average.
  @Defaulted public var averageMsgSize: Double = 0
  /// Whether chunks were published.
  @Defaulted public var msgChunkPublished: Bool = false
  /// Bytes stored (one copy).
  @Defaulted public var storageSize: Int64 = 0
  /// Bytes that the slowest cursor has not acknowledged.
  @Defaulted public var backlogSize: Int64 = 0
  /// Limit of the backlog in bytes; -1: none.
  @Defaulted public var backlogQuotaLimitSize: Int64 = -1
  /// Limit of the backlog in seconds; -1: none.
  @Defaulted public var backlogQuotaLimitTime: Int64 = -1
  /// Age of the oldest message not acknowledged; -1 when not computed.
  @Defaulted public var oldestBacklogMessageAgeSeconds: Int64 = -1
  /// The subscription that holds it.
  public var oldestBacklogMessageSubscriptionName: String?
  /// How often the publish rate was limited.
  @Defaulted public var publishRateLimitedTimes: Int64 = 0
  /// Publish time of the oldest message not acknowledged; 0 when not computed.
  @Defaulted public var earliestMsgPublishTimeInBacklogs: Int64 = 0
  /// Bytes in tiered storage.
  @Defaulted public var offloadedStorageSize: Int64 = 0
  /// Last ledger moved to tiered storage.
  @Defaulted public var lastOffloadLedgerId: Int64 = 0
  /// When that succeeded.
  @Defaulted public var lastOffloadSuccessTimeStamp: Int64 = 0
  /// When that failed.
  @Defaulted public var lastOffloadFailureTimeStamp: Int64 = 0
  /// Open transactions.
  @Defaulted public var ongoingTxnCount: Int64 = 0
  /// Aborted transactions.
  @Defaulted public var abortedTxnCount: Int64 = 0
  /// Committed transactions.
  @Defaulted public var committedTxnCount: Int64 = 0
  /// Connected producers, without those of replicators.
  @Defaulted public var publishers: [PublisherStats] = []
  /// Producers waiting for exclusive access.
  @Defaulted public var waitingPublishers: Int = 0
  /// Subscriptions by name.
  @Defaulted public var subscriptions: [String: SubscriptionStats] = [:]
  /// Replicators by remote cluster.
  @Defaulted public var replication: [String: ReplicatorStats] = [:]
  /// `Enabled` or `Disabled`.
  public var deduplicationStatus: String?
  /// Epoch of exclusive producers.
  public var topicEpoch: Int64?
  /// Ranges acknowledged beyond mark-delete positions.
  @Defaulted public var nonContiguousDeletedMessagesRanges: Int = 0
  /// Their size in bytes when stored.
  @Defaulted public var nonContiguousDeletedMessagesRangesSerializedSize: Int = 0
  /// Memory of the delayed-delivery index.
  @Defaulted public var delayedMessageIndexSizeInBytes: Int64 = 0
  /// Compaction.
  @Defaulted public var compaction: CompactionStats = CompactionStats()
  /// The broker that serves the topic.
  public var ownerBroker: String?
  /// When the topic was created.
  @Defaulted public var topicCreationTimeStamp: Int64 = 0
  /// When the last message was published.
  @Defaulted public var lastPublishTimeStamp: Int64 = 0

  /// All zero.
  public init() {}
}

/// Compaction of a topic.
public struct CompactionStats: Codable, Hashable, Sendable, JSONDefault {
  /// Messages dropped by the last run.
  @Defaulted public var lastCompactionRemovedEventCount: Int64 = 0
  /// End of the last run that succeeded.
  @Defaulted public var lastCompactionSucceedTimestamp: Int64 = 0
  /// End of the last run that failed.
  @Defaulted public var lastCompactionFailedTimestamp: Int64 = 0
  /// Milliseconds of the last run.
  @Defaulted public var lastCompactionDurationTimeInMills: Int64 = 0

  /// Never ran.
  public init() {}

  /// Never ran.
  public static var jsonDefault: CompactionStats { CompactionStats() }
}
