import Broker
import NIOCore

extension Replicator {
  /// What the admin API reports, under Pulsar's names.
  func stats() -> ReplicatorStats {
    eventLoop.assertInEventLoop()
    var stats = ReplicatorStats()
    let rates = figures.sent.rates(now: .now())
    stats.msgRateOut = rates.messages
    stats.msgThroughputOut = rates.bytes
    stats.msgOutCount = figures.sent.totalMessages
    stats.bytesOutCount = figures.sent.totalBytes
    stats.replicationBacklog = cursor.backlogEntries
    let isOpen = state.phase == .streaming || state.phase == .waitingForSchema
    stats.connected = isOpen
    let lag = state.figures(head: head, now: .now())
    if gaps.count > 0 { stats.gaps = gaps.records }
    stats.replicationDelayInSeconds = lag.map { Int64($0.seconds.rounded(.up)) } ?? 0
    if isOpen, let stream {
      stats.outboundConnection = stream.connection.address.description
      stats.outboundConnectedSince = ISO8601.string(ms: stream.openedAtMs)
    }
    return stats
  }

  /// What the lag report is made of.
  func sample(now: NIODeadline) -> ReplicatorSample {
    eventLoop.assertInEventLoop()
    let head = head
    if let before = figures.enteredBefore {
      figures.entered.record(
        messages: Int(clamping: head.localMessages - min(before.messages, head.localMessages)),
        bytes: Int(clamping: head.localBytes - min(before.bytes, head.localBytes)), now: now)
    }
    figures.enteredBefore = (head.localMessages, head.localBytes)
    let sent = figures.sent.rates(now: now)
    let entered = figures.entered.rates(now: now)
    let isBlocked: Bool
    switch state.phase {
    case .backingOff, .connecting: isBlocked = state.isStuck || state.refusals >= configuration.failuresUntilBlocked
    default: isBlocked = false
    }
    return ReplicatorSample(
      topic: topic.name, phase: state.phase, reason: state.reason, lag: state.figures(head: head, now: now),
      inFlightBytes: state.inFlightBytes, windowBytes: state.window.size, limiter: figures.limiter,
      isBlocked: isBlocked, resent: state.resumes, gaps: gaps, sentMessagesPerSecond: sent.messages,
      sentBytesPerSecond: sent.bytes, enteredMessagesPerSecond: entered.messages,
      enteredBytesPerSecond: entered.bytes)
  }
}
