import NIOCore
import PulsarWire

extension PartitionConsumer {
  /// Moves the subscription; the next message is the one at the place, or the first one behind it.
  func seek(_ place: SeekPlace) -> EventLoopFuture<Void> {
    eventLoop.assertInEventLoop()
    guard case .open(let connection) = state, !isSeeking else {
      return eventLoop.makeFailedFuture(PulsarClientError.connection("the consumer on \(topic) is not connected"))
    }
    drainInbox()
    sendAcknowledgements()
    var request = ProtoCommandSeek()
    request.consumerID = id
    request.requestID = connection.makeID()
    switch place {
    case .message(let id): request.messageID = id.wire.proto
    case .publishTime(let ms): request.messagePublishTime = UInt64(max(0, ms))
    }
    isSeeking = true
    return connection.request(ProtoBaseCommand(request), id: request.requestID).map { _ in
      self.moved(place, connection)
    }.flatMapErrorThrowing { error in
      self.stayed()
      throw error
    }
  }

  /// The broker did not move the subscription: what came meanwhile is wanted after all, and costs permits.
  private func stayed() {
    isSeeking = false
    let held = heldWhileSeeking
    heldWhileSeeking = []
    switch state {
    case .connecting: scheduleConnect()
    case .closed: break
    case .open:
      for (message, entry) in held { received(message: message, entry: entry) }
      receivedAll()
    }
  }

  private func moved(_ place: SeekPlace, _ connection: PulsarConnection) {
    isSeeking = false
    heldWhileSeeking = []
    gathered.removeAll()
    dropped = 0
    acks.reset()
    nacks.reset()
    chunks.reset()
    queue.forgetLastTaken(index)
    hasReachedEnd = false
    switch place {
    case .message(let id): start = isDurable && id.batchIndex < 0 ? nil : StartPoint(id, isInclusive: true)
    case .publishTime(let ms): start = isDurable ? nil : StartPoint(.earliest, isInclusive: true, publishTimeMs: ms)
    }
    resumeAt = nil
    // What was fetched before is not to be received any more, also while the consumer has yet to subscribe again.
    let opening = queue.reopen(index)
    epoch = opening.epoch
    switch state {
    case .connecting: scheduleConnect()
    case .closed: break
    // The broker moved it in place, without closing the consumer.
    case .open: grant(opening.permits)
    }
  }

  /// The topic's last message, and up to where the subscription is acknowledged if the broker says so.
  func lastMessageID() -> EventLoopFuture<(last: MessageID, markDelete: MessageID?)> {
    eventLoop.assertInEventLoop()
    guard case .open(let connection) = state else {
      return eventLoop.makeFailedFuture(PulsarClientError.connection("the consumer on \(topic) is not connected"))
    }
    drainInbox()
    sendAcknowledgements()
    var request = ProtoCommandGetLastMessageId()
    request.consumerID = id
    request.requestID = connection.makeID()
    return connection.request(ProtoBaseCommand(request), id: request.requestID).map { answer in
      let response = answer.getLastMessageIDResponse
      return (
        MessageID(MessageIDData(response.lastMessageID), partition: self.partition),
        response.hasConsumerMarkDeletePosition
          ? MessageID(MessageIDData(response.consumerMarkDeletePosition), partition: self.partition) : nil
      )
    }
  }
}

/// Where a subscription is moved to.
enum SeekPlace: Sendable {
  case message(MessageID)
  case publishTime(Int64)
}

extension MessageID {
  init(_ wire: MessageIDData, partition: Int32) {
    self.init(
      ledgerID: wire.ledgerID, entryID: wire.entryID, partition: partition, batchIndex: wire.batchIndex,
      batchSize: wire.batchSize ?? 0)
  }
}
