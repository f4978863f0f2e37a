import NIOCore
import PulsarWire
import TopicLog

/// What happens when too much is stored that nobody has consumed, or for too long. Replicators' cursors count, but are
/// never moved (ARCHITECTURE.md, R8).
extension Topic {
  /// Bytes that the slowest cursor still needs, replicators included.
  var backlogSize: Int64 {
    slowestCursor.map { log.sizeInBytes(from: log.position(after: $0.markDelete)) } ?? 0
  }

  private var slowestCursor: TopicCursor? {
    log.cursors.values.filter { $0.name != Self.progressCursorName }.min { $0.markDelete < $1.markDelete }
  }

  func checkBacklogQuotas(nowMs: Int64) {
    let type = BacklogQuota.destinationStorage
    if let quota = policies.backlogQuotas[type], quota.limitSize >= 0 {
      let isOver = backlogSize >= quota.limitSize
      enforce(quota, type, isOver: isOver) { $0.evictBacklog(keeping: quota.limitSize) }
    } else {
      exceededQuotas[type] = nil
    }
    guard let quota = policies.backlogQuotas[BacklogQuota.messageAge], quota.limitTime > 0 else {
      exceededQuotas[BacklogQuota.messageAge] = nil
      oldestBacklog = nil
      return
    }
    guard !maintenance.isCheckingAge,
      nowMs - maintenance.lastAgeCheckMs >= configuration.backlogQuotaCheckInterval.milliseconds
    else { return }
    maintenance.lastAgeCheckMs = nowMs
    checkAge(quota, nowMs: nowMs)
  }

  private func enforce(_ quota: BacklogQuota, _ type: String, isOver: Bool, evict: (Topic) -> Void) {
    guard isOver, quota.policy != .consumerBacklogEviction else {
      exceededQuotas[type] = nil
      if isOver { evict(self) }
      return
    }
    let isNew = exceededQuotas[type] == nil
    exceededQuotas[type] = quota.policy
    guard isNew else { return }
    logger.warning("the backlog quota is exceeded: producers are disconnected", metadata: ["quota": "\(type)"])
    for producer in producers.values where producer.kind == .client { disconnect(producer) }
  }

  // MARK: Size

  /// Moves subscriptions forward until the rest fits.
  private func evictBacklog(keeping limit: Int64) {
    let slow = subscriptions.values.filter {
      log.sizeInBytes(from: log.position(after: $0.markDelete)) >= limit
    }
    for subscription in slow {
      let count = subscription.backlogEntries / 2 + 1
      Task { [logger] in
        do {
          try await subscription.skip(Int(clamping: count))
        } catch {
          logger.debug("the backlog could not be evicted", metadata: ["reason": "\(error)"])
        }
      }
    }
  }

  // MARK: Age

  /// Reads the oldest entry that a cursor still needs: its age decides.
  private func checkAge(_ quota: BacklogQuota, nowMs: Int64) {
    guard let cursor = slowestCursor, case let next = log.position(after: cursor.markDelete), next <= log.lastConfirmed
    else {
      oldestBacklog = nil
      return enforce(quota, BacklogQuota.messageAge, isOver: false) { _ in }
    }
    maintenance.isCheckingAge = true
    let name = cursor.name
    log.read(from: next, maxEntries: 1, maxBytes: 1) { [weak self] result in
      guard let self else { return }
      maintenance.isCheckingAge = false
      guard state == .open, let entry = try? result.get().first else { return }
      let ageMs = max(0, nowMs - Self.storedAtMs(entry))
      oldestBacklog = (ageMs / 1000, name)
      let limitMs = Int64(min(quota.limitTime, Int(Int32.max))) * 1000
      enforce(quota, BacklogQuota.messageAge, isOver: ageMs >= limitMs) { $0.expire(before: nowMs - limitMs) }
    }
  }

  /// When an entry came in: by our clock if it says so, else by its producer's.
  static func storedAtMs(_ entry: LogEntry) -> Int64 {
    let broker = (try? EntryHeader.parse(entry.payload))?.brokerEntryMetadata
    return broker?.brokerTimestampMs ?? EntryFacts(entry.payload, needsKey: false).publishTimeMs
  }
}
