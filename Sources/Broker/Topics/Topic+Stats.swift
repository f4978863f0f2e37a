import NIOCore
import PulsarWire
import TopicLog

extension Topic {
  /// What the admin API reports of the topic.
  func stats(_ options: StatsOptions) async throws -> TopicStats {
    var stats = try await onLoop { $0.collectStats(options) }
    if options.getEarliestTimeInBacklog { await addOldest(to: &stats) }
    return stats
  }

  private func collectStats(_ options: StatsOptions) -> TopicStats {
    var stats = TopicStats()
    stats.msgRateIn = rates.messagesPerSecond
    stats.msgThroughputIn = rates.bytesPerSecond
    stats.averageMsgSize = rates.averageMessageSize
    stats.bytesInCounter = counters.bytes
    stats.msgInCounter = counters.messages
    stats.msgChunkPublished = chunksPublished
    stats.storageSize = log.totalSize
    stats.backlogSize = backlogSize
    if let quota = policies.backlogQuotas[BacklogQuota.destinationStorage] {
      stats.backlogQuotaLimitSize = quota.limitSize
    }
    if let quota = policies.backlogQuotas[BacklogQuota.messageAge] {
      stats.backlogQuotaLimitTime = Int64(quota.limitTime)
    }
    if let oldestBacklog {
      stats.oldestBacklogMessageAgeSeconds = oldestBacklog.ageSeconds
      stats.oldestBacklogMessageSubscriptionName = oldestBacklog.cursor
    }
    stats.publishRateLimitedTimes = publishThrottle.times
    stats.waitingPublishers = admission.waitingCount
    stats.deduplicationStatus = policies.isDeduplicationEnabled ? "Enabled" : "Disabled"
    stats.topicEpoch = admission.topicEpoch
    stats.topicCreationTimeStamp = createdAtMs
    stats.lastPublishTimeStamp = lastPublishMs
    if !options.excludePublishers {
      stats.publishers = producers.values.filter { !$0.kind.isReplicator && !$0.isWaiting }
        .sorted { $0.id < $1.id }.map(\.publisherStats)
    }
    for (name, subscription) in subscriptions {
      let of = subscription.stats(
        backlogSize: options.subscriptionBacklogSize, excludeConsumers: options.excludeConsumers)
      stats.subscriptions[name] = of
      stats.msgRateOut += of.msgRateOut
      stats.msgThroughputOut += of.msgThroughputOut
      stats.bytesOutCounter += of.bytesOutCounter
      stats.msgOutCounter += of.msgOutCounter
      stats.nonContiguousDeletedMessagesRanges += of.nonContiguousDeletedMessagesRanges
    }
    stats.replication = replicationStats()
    return stats
  }

  /// Reads the oldest entry that each subscription has not acknowledged.
  private func addOldest(to stats: inout TopicStats) async {
    let waiting =
      (try? await onLoop { topic in
        topic.subscriptions.mapValues { subscription -> Position? in
          let next = topic.log.position(after: subscription.markDelete)
          return next <= topic.log.lastConfirmed ? next : nil
        }
      }) ?? [:]
    let nowMs = WallClock.nowMs()
    stats.oldestBacklogMessageAgeSeconds = -1
    stats.oldestBacklogMessageSubscriptionName = nil
    for (name, position) in waiting.sorted(by: { $0.key < $1.key }) {
      guard let position, let entry = try? await read(from: position, maxEntries: 1, maxBytes: 1).first else {
        continue
      }
      let publishedMs = EntryFacts(entry.payload, needsKey: false).publishTimeMs
      stats.subscriptions[name]?.earliestMsgPublishTimeInBacklog = publishedMs
      let earliest = stats.earliestMsgPublishTimeInBacklogs
      stats.earliestMsgPublishTimeInBacklogs = earliest == 0 ? publishedMs : min(earliest, publishedMs)
      let age = max(0, nowMs - Self.storedAtMs(entry)) / 1000
      guard age > stats.oldestBacklogMessageAgeSeconds else { continue }
      stats.oldestBacklogMessageAgeSeconds = age
      stats.oldestBacklogMessageSubscriptionName = name
    }
  }

  private func replicationStats() -> [String: ReplicatorStats] {
    var all = runningReplicators.mapValues { $0.stats() }
    for (cluster, replication) in inbound {
      var stats = all[cluster] ?? ReplicatorStats()
      stats.msgRateIn = replication.rates.messagesPerSecond
      stats.msgThroughputIn = replication.rates.bytesPerSecond
      stats.msgInCount = replication.counters.messages
      stats.bytesInCount = replication.counters.bytes
      if let producer = replication.producers.values.first {
        stats.inboundConnection = producer.spec.address
        stats.inboundConnectedSince = ISO8601.string(ms: producer.connectedSinceMs)
      }
      all[cluster] = stats
    }
    for (cluster, gaps) in inboundGaps { all[cluster, default: ReplicatorStats()].inboundGaps = gaps.records }
    for (cluster, count) in withheld { all[cluster, default: ReplicatorStats()].msgDeniedCount = count }
    return all
  }

  /// What the admin API reports of the topic's storage.
  func internalStats() async throws -> TopicInternalStats {
    try await onLoop { topic in
      var stats = TopicInternalStats()
      let log = topic.log.internalStats
      stats.entriesAddedCounter = log.entriesAddedCounter
      stats.numberOfEntries = log.numberOfEntries
      stats.totalSize = log.totalSize
      stats.currentLedgerEntries = log.currentLedgerEntries
      stats.currentLedgerSize = log.currentLedgerSize
      stats.lastLedgerCreatedTimestamp = ISO8601.string(ms: log.lastLedgerCreatedTimestampMs)
      stats.lastLedgerCreationFailureTimestamp = ISO8601.string(ms: log.lastLedgerCreationFailureTimestampMs)
      stats.pendingAddEntriesCount = log.pendingAddEntriesCount
      stats.lastConfirmedEntry = log.lastConfirmedEntry.description
      stats.state = log.state
      stats.ledgers = log.ledgers.map { LedgerInfo(ledgerId: $0.ledgerID, entries: $0.entries, size: $0.size) }
      stats.cursors = log.cursors.mapValues { CursorInternalStats($0) }
      stats.properties = log.properties
      // Pulsar's form of "never compacted".
      stats.compactedLedger = LedgerInfo(ledgerId: -1, entries: -1, size: -1)
      return stats
    }
  }
}

extension TopicProducer {
  var publisherStats: PublisherStats {
    var stats = PublisherStats()
    stats.accessMode = ProducerAdmission.AccessMode.name(spec.accessMode)
    stats.msgRateIn = rates.messagesPerSecond
    stats.msgThroughputIn = rates.bytesPerSecond
    stats.averageMsgSize = rates.averageMessageSize
    stats.chunkedMessageRate = rates.chunksPerSecond
    stats.producerId = Int64(bitPattern: spec.producerID)
    stats.supportsPartialProducer = spec.supportsPartialProducer
    stats.producerName = name
    stats.address = spec.address
    stats.connectedSince = ISO8601.string(ms: connectedSinceMs)
    stats.clientVersion = spec.clientVersion
    stats.metadata = spec.metadata
    return stats
  }
}

extension CursorInternalStats {
  init(_ cursor: TopicLogStats.Cursor) {
    self.init()
    markDeletePosition = cursor.markDeletePosition.description
    readPosition = cursor.readPosition.description
    messagesConsumedCounter = cursor.messagesConsumedCounter
    cursorLedger = cursor.cursorLedger
    cursorLedgerLastEntry = cursor.cursorLedgerLastEntry
    individuallyDeletedMessages = cursor.individuallyDeletedMessages
    lastLedgerSwitchTimestamp = ISO8601.string(ms: cursor.lastLedgerSwitchTimestampMs)
    state = cursor.state
    active = cursor.active
    numberOfEntriesSinceFirstNotAckedMessage = cursor.numberOfEntriesSinceFirstNotAckedMessage
    totalNonContiguousDeletedMessagesRange = cursor.totalNonContiguousDeletedMessagesRange
    properties = cursor.properties
  }
}
