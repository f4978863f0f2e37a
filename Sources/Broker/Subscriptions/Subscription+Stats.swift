import NIOCore
import TopicLog

extension Subscription {
  /// The figures of this moment. On the loop.
  /// - Parameter options: what to compute beyond the counters.
  func stats(backlogSize: Bool = true, excludeConsumers: Bool = false) -> SubscriptionStats {
    eventLoop.assertInEventLoop()
    let now = NIODeadline.now()
    var stats = SubscriptionStats()
    let out = counters.out.rates(now: now)
    stats.msgRateOut = out.messages
    stats.msgThroughputOut = out.bytes
    stats.bytesOutCounter = counters.out.totalBytes
    stats.msgOutCounter = counters.out.totalMessages
    stats.msgRateRedeliver = counters.redelivered.rates(now: now).messages
    stats.messageAckRate = counters.acknowledged.rates(now: now).messages
    stats.chunkedMessageRate = Int(counters.chunks.rates(now: now).messages)
    stats.msgBacklog = cursor.backlogEntries
    stats.backlogSize = -1
    if backlogSize {
      let size = cursor.backlogEntries == 0 ? 0 : log.sizeInBytes(from: log.position(after: cursor.markDelete))
      stats.backlogSize = size
    }
    let delayed = usesShared ? Int64(shared.delayed.count) : 0
    stats.msgBacklogNoDelayed = max(0, stats.msgBacklog - delayed)
    stats.msgDelayed = delayed
    if usesShared {
      stats.blockedSubscriptionOnUnackedMsgs = shared.isBlockedOnUnacked
      stats.msgInReplay = Int64(shared.replay.count)
      stats.unackedMessages = Int64(shared.unackedMessages)
    } else if let key = single.activeConsumer {
      stats.activeConsumerName = consumersByKey[key]?.name
    }
    stats.type = type?.rawValue
    stats.msgRateExpired = counters.expired.rates(now: now).messages
    stats.msgExpired = counters.expired.totalMessages
    stats.totalMsgExpired = counters.expired.totalMessages
    stats.lastExpireTimestamp = counters.lastExpireMs
    stats.lastConsumedFlowTimestamp = counters.lastFlowMs
    stats.lastConsumedTimestamp = counters.lastConsumedMs
    stats.lastAckedTimestamp = counters.lastAckedMs
    stats.lastMarkDeleteAdvancedTimestamp = counters.lastMarkDeleteAdvancedMs
    stats.dispatchThrottledMsgEventsByTopicLimit = limits.counters.messagesByTopic
    stats.dispatchThrottledBytesEventsByTopicLimit = limits.counters.bytesByTopic
    stats.dispatchThrottledMsgEventsBySubscriptionLimit = limits.counters.messagesBySubscription
    stats.dispatchThrottledBytesEventsBySubscriptionLimit = limits.counters.bytesBySubscription
    stats.isDurable = isDurable
    stats.isReplicated = isReplicated
    stats.subscriptionProperties = properties
    stats.nonContiguousDeletedMessagesRanges = cursor.individuallyAcknowledgedRanges
    if type == .keyShared {
      stats.allowOutOfOrderDelivery = shared.allowsOutOfOrderDelivery
      stats.keySharedMode = shared.assignment.mode?.rawValue
      addDraining(to: &stats)
    }
    if !excludeConsumers { stats.consumers = consumers.map { consumerStats($0, now: now) } }
    return stats
  }

  /// The figures of one consumer, also for CONSUMER_STATS. On the loop.
  func consumerStats(_ consumer: SubscriptionConsumer, now: NIODeadline) -> ConsumerStats {
    var stats = consumer.baseStats(now: now)
    if usesShared, let member = shared.member(consumer.key) {
      stats.availablePermits = member.permits
      stats.unackedMessages = member.unacked
      stats.blockedConsumerOnUnackedMsgs = member.isBlocked
    } else if let member = single.members.first(where: { $0.key == consumer.key }) {
      stats.availablePermits = member.permits
    }
    if type == .keyShared {
      let ranges = shared.assignment.ranges(of: consumer.key)
      stats.keyHashRangeArrays = ranges.map { [$0.start, $0.end] }
      stats.keyHashRanges = ranges.map { "[\($0.start), \($0.end)]" }
      stats.readPositionWhenJoining = consumer.counters.joinedAt?.description
      let draining = shared.drainingHashes().filter { $0.consumer == consumer.key }
      stats.drainingHashesCount = draining.count
      stats.drainingHashesUnackedMessages = draining.reduce(0) { $0 + $1.entries }
      stats.drainingHashes = draining.map {
        DrainingHash(hash: Int($0.hash), unackMsgs: $0.entries, blockedAttempts: 0)
      }
    }
    return stats
  }

  private func addDraining(to stats: inout SubscriptionStats) {
    let draining = shared.drainingHashes()
    stats.drainingHashesCount = draining.count
    stats.drainingHashesUnackedMessages = draining.reduce(0) { $0 + $1.entries }
  }
}

extension SubscriptionConsumer {
  /// What does not depend on the kind of subscription.
  func baseStats(now: NIODeadline) -> ConsumerStats {
    var stats = ConsumerStats()
    stats.appId = options.role
    let out = counters.out.rates(now: now)
    stats.msgRateOut = out.messages
    stats.msgThroughputOut = out.bytes
    stats.bytesOutCounter = counters.out.totalBytes
    stats.msgOutCounter = counters.out.totalMessages
    stats.msgRateRedeliver = counters.redelivered.rates(now: now).messages
    stats.messageAckRate = counters.acknowledged.rates(now: now).messages
    stats.chunkedMessageRate = counters.chunks.rates(now: now).messages
    stats.consumerName = name
    if counters.entriesOut > 0 {
      stats.avgMessagesPerEntry = Int((Double(counters.out.totalMessages) / Double(counters.entriesOut)).rounded())
    }
    stats.address = options.address
    stats.connectedSince = ISO8601.string(ms: connectedSinceMs)
    stats.clientVersion = options.clientVersion
    stats.lastAckedTimestamp = counters.lastAckedMs
    stats.lastConsumedTimestamp = counters.lastConsumedMs
    stats.firstMessagesSentTimestamp = counters.firstSentMs
    stats.lastConsumedFlowTimestamp = counters.lastFlowMs
    stats.firstConsumedFlowTimestamp = counters.firstFlowMs
    stats.metadata = options.metadata
    return stats
  }
}
