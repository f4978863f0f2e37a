import NIOCore
import TopicLog

/// Acknowledgements. Ids come from clients: they may be unknown, repeated, beyond the end, or negative.
extension Subscription {
  func acknowledge(_ consumer: SubscriptionConsumer, _ ids: [Acknowledgement]) -> SubscriptionError? {
    let before = cursor.markDelete
    let hadToWait = usesShared && (shared.isBlockedOnUnacked || !shared.replay.isEmpty)
    let wasBlocked = usesShared && shared.member(consumer.key)?.isBlocked ?? false
    var messages = 0
    for id in ids where isPlausible(id.position) { messages += acknowledgeOne(id) }
    guard messages > 0 else { return nil }
    countAcknowledged(messages, by: consumer, markDeleteBefore: before)
    // A dispatch costs more than an acknowledgement: only when something may have been waiting for it.
    if usesShared, hadToWait || wasBlocked { dispatch() }
    if isTerminated { checkEndOfTopic() }
    return nil
  }

  func acknowledgeCumulative(_ consumer: SubscriptionConsumer, _ id: Acknowledgement) -> SubscriptionError? {
    guard let type, type.allowsCumulativeAcknowledgement else {
      return .notAllowed(
        "Subscription \(name) is \(type?.rawValue ?? "not in use"): its messages cannot be acknowledged cumulatively.")
    }
    guard isPlausible(id.position) else { return nil }
    let before = cursor.markDelete
    cursor.acknowledgeCumulative(id.position, batchAckSet: id.effectiveAckSet, batchSize: id.batchSize)
    let after = cursor.markDelete
    guard after != before else { return nil }
    let messages = before.ledgerID == after.ledgerID ? max(1, Int(after.entryID - before.entryID)) : 1
    countAcknowledged(messages, by: consumer, markDeleteBefore: before)
    if after >= readAhead.frontier {
      rewind()
      dispatch()
    }
    if isTerminated { checkEndOfTopic() }
    return nil
  }

  /// - Returns: the messages that were acknowledged by this.
  private func acknowledgeOne(_ id: Acknowledgement) -> Int {
    let ackSet = id.effectiveAckSet
    switch cursor.acknowledge(id.position, batchAckSet: ackSet, batchSize: id.batchSize) {
    case .entryComplete:
      guard usesShared else { return ackSet == nil ? max(1, id.batchSize ?? 1) : 1 }
      return shared.acknowledged(id.position).map { Int($0.messages) } ?? 1
    case .partial:
      guard usesShared, let remaining = cursor.remainingBatchBits(id.position) else { return 1 }
      return shared.partlyAcknowledged(id.position, remaining: remaining.setBits)
    case .alreadyAcknowledged:
      // The cursor may know it from a skip or an expiry: nobody has to wait for it any longer.
      if usesShared { shared.acknowledged(id.position) }
      return 0
    }
  }

  /// Readers send entry -1 for "nothing before the first entry"; ids beyond the end were never handed out.
  private func isPlausible(_ position: Position) -> Bool {
    position.ledgerID >= 0 && position.entryID >= 0 && position <= log.lastConfirmed
  }

  private func countAcknowledged(_ messages: Int, by consumer: SubscriptionConsumer, markDeleteBefore: Position) {
    let now = NIODeadline.now()
    let nowMs = wallClockMs()
    consumer.counters.acknowledged.record(messages: messages, bytes: 0, now: now)
    consumer.counters.lastAckedMs = nowMs
    counters.acknowledged.record(messages: messages, bytes: 0, now: now)
    counters.lastAckedMs = nowMs
    if cursor.markDelete != markDeleteBefore { counters.lastMarkDeleteAdvancedMs = nowMs }
  }

  /// The cursor passed entries without their consumers: nothing of them is delivered any more.
  func cursorAdvanced(from before: Position) {
    guard cursor.markDelete != before else { return }
    counters.lastMarkDeleteAdvancedMs = wallClockMs()
    if usesShared { shared.acknowledgedThrough(cursor.markDelete) }
    if cursor.markDelete >= readAhead.frontier { readAhead.rewind(to: log.position(after: cursor.markDelete)) }
    if isTerminated { checkEndOfTopic() }
    dispatch()
  }
}

extension Acknowledgement {
  /// Clients send an empty set for a whole entry.
  var effectiveAckSet: [Int64]? { ackSet.flatMap { $0.isEmpty ? nil : $0 } }
}
