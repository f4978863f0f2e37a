/// A partitioned topic: the sums over its partitions in the fields of `TopicStats`, its metadata and, on request, each partition.
public struct PartitionedTopicStats: Codable, Hashable, Sendable {
  /// Sums over the partitions.
  public var total: TopicStats
  /// Number of partitions.
  public var metadata: PartitionedTopicMetadata
  /// Partitions by full topic name; empty unless asked for.
  public var partitions: [String: TopicStats]

  private enum CodingKeys: String, CodingKey {
    case metadata, partitions
  }

  /// Sums up `partitions`; they are kept in the result only if `perPartition`.
  public init(metadata: PartitionedTopicMetadata, partitions: [String: TopicStats], perPartition: Bool) {
    self.metadata = metadata
    self.partitions = perPartition ? partitions : [:]
    total = partitions.sorted { $0.key < $1.key }.reduce(into: TopicStats()) { $0.add($1.value) }
  }

  /// Reads the flat form.
  public init(from decoder: any Decoder) throws {
    total = try TopicStats(from: decoder)
    let container = try decoder.container(keyedBy: CodingKeys.self)
    metadata = try container.value(.metadata, default: PartitionedTopicMetadata(partitions: 0))
    partitions = try container.value(.partitions, default: [:])
  }

  /// Writes the flat form.
  public func encode(to encoder: any Encoder) throws {
    try total.encode(to: encoder)
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(metadata, forKey: .metadata)
    try container.encode(partitions, forKey: .partitions)
  }
}

extension TopicStats {
  /// Adds another partition's figures: rates, counters and sizes sum up, ages take the worst, producers of one name merge.
  public mutating func add(_ other: TopicStats) {
    let messages = msgRateIn + other.msgRateIn
    averageMsgSize =
      messages > 0
      ? (averageMsgSize * msgRateIn + other.averageMsgSize * other.msgRateIn) / messages
      : max(averageMsgSize, other.averageMsgSize)
    msgRateIn += other.msgRateIn
    msgThroughputIn += other.msgThroughputIn
    msgRateOut += other.msgRateOut
    msgThroughputOut += other.msgThroughputOut
    bytesInCounter &+= other.bytesInCounter
    msgInCounter &+= other.msgInCounter
    systemTopicBytesInCounter &+= other.systemTopicBytesInCounter
    bytesOutCounter &+= other.bytesOutCounter
    msgOutCounter &+= other.msgOutCounter
    bytesOutInternalCounter &+= other.bytesOutInternalCounter
    msgChunkPublished = msgChunkPublished || other.msgChunkPublished
    storageSize &+= other.storageSize
    backlogSize &+= other.backlogSize
    publishRateLimitedTimes &+= other.publishRateLimitedTimes
    offloadedStorageSize &+= other.offloadedStorageSize
    waitingPublishers += other.waitingPublishers
    nonContiguousDeletedMessagesRanges += other.nonContiguousDeletedMessagesRanges
    nonContiguousDeletedMessagesRangesSerializedSize += other.nonContiguousDeletedMessagesRangesSerializedSize
    delayedMessageIndexSizeInBytes &+= other.delayedMessageIndexSizeInBytes
    ongoingTxnCount &+= other.ongoingTxnCount
    abortedTxnCount &+= other.abortedTxnCount
    committedTxnCount &+= other.committedTxnCount
    backlogQuotaLimitSize = max(backlogQuotaLimitSize, other.backlogQuotaLimitSize)
    backlogQuotaLimitTime = max(backlogQuotaLimitTime, other.backlogQuotaLimitTime)
    lastPublishTimeStamp = max(lastPublishTimeStamp, other.lastPublishTimeStamp)
    topicCreationTimeStamp = earlier(topicCreationTimeStamp, other.topicCreationTimeStamp)
    earliestMsgPublishTimeInBacklogs = earlier(earliestMsgPublishTimeInBacklogs, other.earliestMsgPublishTimeInBacklogs)
    deduplicationStatus = deduplicationStatus ?? other.deduplicationStatus
    if other.oldestBacklogMessageAgeSeconds > oldestBacklogMessageAgeSeconds {
      oldestBacklogMessageAgeSeconds = other.oldestBacklogMessageAgeSeconds
      oldestBacklogMessageSubscriptionName = other.oldestBacklogMessageSubscriptionName
    }
    for publisher in other.publishers { add(publisher) }
    subscriptions.merge(other.subscriptions) { mine, theirs in mine.adding(theirs) }
    replication.merge(other.replication) { mine, theirs in mine.adding(theirs) }
  }

  private mutating func add(_ publisher: PublisherStats) {
    guard let index = publishers.firstIndex(where: { $0.producerName == publisher.producerName }) else {
      publishers.append(publisher)
      return
    }
    publishers[index].msgRateIn += publisher.msgRateIn
    publishers[index].msgThroughputIn += publisher.msgThroughputIn
    publishers[index].chunkedMessageRate += publisher.chunkedMessageRate
    publishers[index].averageMsgSize = max(publishers[index].averageMsgSize, publisher.averageMsgSize)
  }

  /// The earlier of two times of which 0 is "unknown".
  private func earlier(_ one: Int64, _ two: Int64) -> Int64 {
    if one <= 0 { return two }
    return two <= 0 ? one : min(one, two)
  }
}

extension SubscriptionStats {
  /// The sum of two partitions' figures of one subscription.
  func adding(_ other: SubscriptionStats) -> SubscriptionStats {
    var sum = self
    sum.msgRateOut += other.msgRateOut
    sum.msgThroughputOut += other.msgThroughputOut
    sum.bytesOutCounter &+= other.bytesOutCounter
    sum.msgOutCounter &+= other.msgOutCounter
    sum.msgRateRedeliver += other.msgRateRedeliver
    sum.messageAckRate += other.messageAckRate
    sum.chunkedMessageRate += other.chunkedMessageRate
    sum.msgBacklog &+= other.msgBacklog
    sum.backlogSize &+= other.backlogSize
    sum.msgBacklogNoDelayed &+= other.msgBacklogNoDelayed
    sum.msgDelayed &+= other.msgDelayed
    sum.msgInReplay &+= other.msgInReplay
    sum.unackedMessages &+= other.unackedMessages
    sum.msgRateExpired += other.msgRateExpired
    sum.msgExpired &+= other.msgExpired
    sum.totalMsgExpired &+= other.totalMsgExpired
    sum.blockedSubscriptionOnUnackedMsgs = blockedSubscriptionOnUnackedMsgs || other.blockedSubscriptionOnUnackedMsgs
    sum.lastExpireTimestamp = max(lastExpireTimestamp, other.lastExpireTimestamp)
    sum.lastConsumedFlowTimestamp = max(lastConsumedFlowTimestamp, other.lastConsumedFlowTimestamp)
    sum.lastConsumedTimestamp = max(lastConsumedTimestamp, other.lastConsumedTimestamp)
    sum.lastAckedTimestamp = max(lastAckedTimestamp, other.lastAckedTimestamp)
    sum.lastMarkDeleteAdvancedTimestamp = max(lastMarkDeleteAdvancedTimestamp, other.lastMarkDeleteAdvancedTimestamp)
    sum.nonContiguousDeletedMessagesRanges += other.nonContiguousDeletedMessagesRanges
    sum.drainingHashesCount += other.drainingHashesCount
    sum.drainingHashesClearedTotal &+= other.drainingHashesClearedTotal
    sum.drainingHashesUnackedMessages += other.drainingHashesUnackedMessages
    sum.type = type ?? other.type
    sum.keySharedMode = keySharedMode ?? other.keySharedMode
    sum.consumers += other.consumers
    return sum
  }
}

extension ReplicatorStats {
  /// The sum of two partitions' figures of one remote cluster; it is connected if both are, and late as the later one.
  func adding(_ other: ReplicatorStats) -> ReplicatorStats {
    var sum = self
    sum.msgRateIn += other.msgRateIn
    sum.msgInCount &+= other.msgInCount
    sum.msgThroughputIn += other.msgThroughputIn
    sum.bytesInCount &+= other.bytesInCount
    sum.msgRateOut += other.msgRateOut
    sum.msgOutCount &+= other.msgOutCount
    sum.msgThroughputOut += other.msgThroughputOut
    sum.bytesOutCount &+= other.bytesOutCount
    sum.msgRateExpired += other.msgRateExpired
    sum.msgExpiredCount &+= other.msgExpiredCount
    sum.replicationBacklog &+= other.replicationBacklog
    sum.connected = connected && other.connected
    sum.replicationDelayInSeconds = max(replicationDelayInSeconds, other.replicationDelayInSeconds)
    return sum
  }
}
