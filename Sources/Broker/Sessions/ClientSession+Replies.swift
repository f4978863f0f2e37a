import NIOCore
import PulsarWire

/// What topics say about this connection's producers.
extension ClientSession {
  /// What topics answer, in order: one buffer, one write.
  func receive(_ replies: [PublishReply]) {
    eventLoop.assertInEventLoop()
    guard !isClosed else { return }
    var buffer = ByteBuffer()
    for reply in replies { encode(reply, into: &buffer) }
    if buffer.readableBytes > 0 { write(buffer, flush: true) }
    if pending.count <= broker.configuration.maxPendingPublishRequestsPerConnection / 2,
      pending.bytes <= broker.configuration.maxPendingPublishBytesPerConnection / 2
    {
      openGate(.publishes)
    }
  }

  private func encode(_ reply: PublishReply, into buffer: inout ByteBuffer) {
    switch reply.outcome {
    case .hold(let topic): return hold(for: topic)
    case .release(let topic): return release(by: topic)
    default: break
    }
    guard let state = producers[reply.producerID], state.life == reply.life else {
      // About an earlier producer of this id: only a request that waits for its answer still concerns anybody.
      if case .closedByClient(let requestID) = reply.outcome { encode(.success(requestID), into: &buffer) }
      return
    }
    switch reply.outcome {
    case .receipt(let sequenceID, let highest, let position):
      PulsarFrameEncoder.encode(
        SendReceiptCommand(
          producerID: reply.producerID, sequenceID: sequenceID,
          messageID: MessageIDData(ledgerID: position.ledgerID, entryID: position.entryID), highestSequenceID: highest),
        into: &buffer)
    case .watermark(let sequenceID, let stamp):
      PulsarFrameEncoder.encode(
        SendReceiptCommand(producerID: reply.producerID, sequenceID: sequenceID, watermark: stamp), into: &buffer)
    case .failed(let sequenceID, let error, let message):
      encode(.sendError(reply.producerID, sequenceID: sequenceID, error, message), into: &buffer)
    case .silent, .hold, .release: break
    case .closedByBroker:
      producers[reply.producerID] = nil
      if case .opening(_, let requestID, let isCancelled) = state {
        // The client knows of no producer yet: it waits for the answer to its request.
        guard !isCancelled else { break }
        let message = "The producer was closed while it was created: look the topic up again"
        encode(.error(requestID, .serviceNotReady, message), into: &buffer)
      } else {
        encode(.closeProducer(reply.producerID), into: &buffer)
      }
    case .closedByClient(let requestID):
      producers[reply.producerID] = nil
      encode(.success(requestID), into: &buffer)
    case .ready(let requestID, let topicEpoch):
      guard case .open(_, _, let producer, _) = state else {
        // Its client has not heard yet that it waits: it never will.
        earlyReady[reply.life] = topicEpoch
        break
      }
      var success = ProtoCommandProducerSuccess()
      success.requestID = requestID
      success.producerName = producer.name
      success.topicEpoch = UInt64(bitPattern: topicEpoch)
      success.producerReady = true
      encode(ProtoBaseCommand(success), into: &buffer)
    case .refused(let requestID, let error, let message):
      producers[reply.producerID] = nil
      encode(.error(requestID, error, message), into: &buffer)
    }
  }

  /// A number for a producer that is about to be created, never used twice.
  func nextProducerLife() -> UInt64 {
    lastProducerLife += 1
    return lastProducerLife
  }
}
