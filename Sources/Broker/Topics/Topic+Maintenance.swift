import NIOCore
import TopicLog

/// When a topic last did what it does from time to time. Milliseconds of the loop's clock.
struct MaintenanceSchedule: Sendable {
  var lastTrimMs: Int64 = 0
  var lastExpiryMs: Int64 = 0
  var lastAgeCheckMs: Int64 = 0
  var isTrimming = false
  var isExpiring = false
  var isCheckingAge = false
}

extension Topic {
  /// How often a topic looks whether something is due.
  private static let tick = TimeAmount.seconds(1)

  func startMaintenance() {
    eventLoop.assertInEventLoop()
    let nowMs = WallClock.nowMs()
    maintenance.lastTrimMs = nowMs
    maintenance.lastExpiryMs = nowMs
    maintenance.lastAgeCheckMs = nowMs
    snapshot.lastMs = nowMs
    // Spread over the second: a broker has thousands of topics.
    let delay = TimeAmount.milliseconds(Int64(UInt(bitPattern: ObjectIdentifier(self).hashValue) % 1000))
    maintenanceTask = eventLoop.scheduleRepeatedTask(initialDelay: delay, delay: Self.tick) { [weak self] _ in
      self?.maintain(nowMs: WallClock.nowMs())
    }
  }

  private func maintain(nowMs: Int64) {
    guard state == .open else { return }
    sampleRates(nowMs: nowMs)
    if snapshot.isDue(
      entries: configuration.brokerDeduplicationEntriesInterval,
      intervalMs: configuration.brokerDeduplicationSnapshotInterval.milliseconds, nowMs: nowMs)
    {
      takeSnapshot(nowMs: nowMs)
    }
    if nowMs - maintenance.lastTrimMs >= configuration.retentionCheckInterval.milliseconds, !maintenance.isTrimming {
      maintenance.lastTrimMs = nowMs
      trim()
    }
    if policies.messageTTLSeconds > 0, !maintenance.isExpiring,
      nowMs - maintenance.lastExpiryMs >= configuration.messageExpiryCheckInterval.milliseconds
    {
      maintenance.lastExpiryMs = nowMs
      expire(nowMs: nowMs)
    }
    checkBacklogQuotas(nowMs: nowMs)
    checkInactivity(nowMs: nowMs)
  }

  private func sampleRates(nowMs: Int64) {
    rates.sample(counters, nowMs: nowMs)
    dispatchLimiter.published(messages: rates.messagesPerSecond, bytes: rates.bytesPerSecond)
    for subscription in subscriptions.values {
      subscription.limits.own.published(messages: rates.messagesPerSecond, bytes: rates.bytesPerSecond)
    }
    for producer in producers.values { producer.rates.sample(producer.counters, nowMs: nowMs) }
    for (cluster, replication) in inbound {
      inbound[cluster]?.rates.sample(replication.counters, nowMs: nowMs)
    }
  }

  // MARK: Snapshot

  /// Saves what the log taught, together with how far in the log that is.
  private func takeSnapshot(nowMs: Int64) {
    snapshot.isRunning = true
    snapshot.entriesSince = 0
    snapshot.lastMs = nowMs
    let position = progressPosition
    let bytes = progress.encode()
    Task { [self] in
      do {
        try await progressCursor.setMarkDelete(position, attachment: bytes)
      } catch {
        logger.warning("the deduplication snapshot could not be saved", metadata: ["reason": "\(error)"])
      }
      _ = try? await onLoop { $0.snapshot.isRunning = false }
    }
  }

  /// Saves it before the topic is closed; returns when it is durable.
  func saveSnapshot() async throws {
    let (position, bytes, isNew) = try await onLoop { topic in
      (topic.progressPosition, topic.progress.encode(), topic.snapshot.entriesSince > 0)
    }
    guard isNew, position > .earliest else { return }
    try await progressCursor.setMarkDelete(position, attachment: bytes)
  }

  // MARK: Trimming and expiry

  private func trim() {
    maintenance.isTrimming = true
    Task { [self] in
      do {
        try await log.trim()
      } catch {
        logger.warning("the log could not be trimmed", metadata: ["reason": "\(error)"])
      }
      _ = try? await onLoop { $0.maintenance.isTrimming = false }
    }
  }

  private func expire(nowMs: Int64) {
    expire(before: nowMs - Int64(min(policies.messageTTLSeconds, Int(Int32.max))) * 1000)
  }

  /// Expiry is for subscriptions: what another region has not received does not expire (ARCHITECTURE.md, R8).
  func expire(before cutoffMs: Int64) {
    guard !maintenance.isExpiring else { return }
    maintenance.isExpiring = true
    let all = Array(subscriptions.values)
    Task { [self] in
      for subscription in all {
        do {
          try await subscription.expireMessages(publishedBeforeMs: cutoffMs)
        } catch {
          logger.debug(
            "messages could not be expired", metadata: ["subscription": "\(subscription.name)", "reason": "\(error)"])
        }
      }
      _ = try? await onLoop { $0.maintenance.isExpiring = false }
    }
  }

  // MARK: Inactivity

  private func checkInactivity(nowMs: Int64) {
    guard policies.deletesInactive, producers.isEmpty, subscriptions.isEmpty, openingSubscriptions.isEmpty,
      replicators.isEmpty, policies.remoteClusters.isEmpty, policies.retentionTimeMinutes == 0,
      // A topic that receives from another region keeps the watermark: without it, the stream could not go on.
      progress.origins.persisted.isEmpty, !isTerminated,
      nowMs - lastUseMs >= Int64(min(policies.inactiveSeconds, Int(Int32.max))) * 1000
    else { return }
    lastUseMs = nowMs
    onInactive?(self)
  }
}

extension Duration {
  /// In whole milliseconds.
  var milliseconds: Int64 {
    let (seconds, attoseconds) = components
    return seconds * 1000 + attoseconds / 1_000_000_000_000_000
  }
}
