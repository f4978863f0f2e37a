import NIOCore
import PulsarWire
import Transport

extension PartitionProducer {
  /// Completes when everything that was submitted before has its receipt, or has failed.
  func flush() -> EventLoopFuture<Void> {
    eventLoop.assertInEventLoop()
    drainInbox()
    sendBatch()
    if pending.isEmpty { return eventLoop.makeSucceededVoidFuture() }
    let promise = eventLoop.makePromise(of: Void.self)
    flushWaiters.append((entriesSent, promise))
    return promise.futureResult
  }

  func received(receipt: SendReceiptCommand) {
    switch pending.receipt(sequence: receipt.sequenceID) {
    case .stale: break
    case .outOfOrder:
      if case .open(let connection) = state {
        connection.close(.connection("\(connection.address) acknowledged a message before those that were sent first"))
      }
    case .completed(let entry):
      release(messages: entry.messages, bytes: entry.bytes)
      let id = receipt.messageID
      let isBatch = entry.payload.isBatch
      if let chunk = entry.payload.chunk, chunk.index == 0 {
        firstChunk = id.map { MessageID.Chunk(ledgerID: $0.ledgerID, entryID: $0.entryID) }
      }
      let begin = entry.payload.chunk == nil ? nil : firstChunk
      for (index, completion) in entry.payload.completions.enumerated() {
        completion(
          .success(
            MessageID(
              ledgerID: id?.ledgerID ?? -1, entryID: id?.entryID ?? -1, partition: partition,
              batchIndex: isBatch ? Int32(index) : -1, batchSize: isBatch ? Int32(entry.messages) : 0,
              firstChunk: begin)))
      }
      notifyFlushed()
    }
  }

  func received(error: ProtoCommandSendError) {
    guard case .open(let connection) = state else { return }
    switch error.error {
    case .topicTerminatedError: finish(.failed(.terminated(topic)), .terminated(topic))
    case .producerFenced: finish(.failed(.fenced(topic)), .fenced(topic))
    case .checksumError, .notAllowedError:
      guard case .completed(let entry) = pending.receipt(sequence: error.sequenceID) else { return }
      // Of a message in chunks the others are of no use any more; their receipts will be taken for old ones.
      let rest =
        entry.payload.chunk == nil ? [] : pending.remove { $0.firstSequence == entry.firstSequence }
      for refused in [entry] + rest {
        fail(refused.payload.completions, refused.bytes, refused.messages, .broker(error.error, error.message))
      }
      notifyFlushed()
    default:
      // Nothing behind a refused entry may be stored before it: open anew and send everything again.
      abandon(connection)
      reconnect(.broker(error.error, error.message))
    }
  }

  func closedByBroker(_ command: ProtoCommandCloseProducer) {
    reconnect(.connection("the broker closed the producer"))
  }

  func connectionClosed(_ error: PulsarClientError) {
    reconnect(error)
  }

  private func reconnect(_ error: PulsarClientError) {
    switch state {
    case .open: break
    case .connecting, .failed, .closed: return
    }
    guard !isClosing else { return finish(.closed, .closed) }
    state = .connecting
    logger.debug("producer on \(topic) reconnects: \(error)")
    scheduleConnect()
  }

  private func scheduleConnect() {
    let pause = backoff.next(using: &generator).timeAmount
    eventLoop.assumeIsolated().scheduleTask(in: pause) {
      guard case .connecting = self.state else { return }
      self.connect().whenFailure { error in
        guard case .connecting = self.state else { return }
        let known = error as? PulsarClientError ?? .connection("\(error)")
        switch known {
        case .broker(.topicTerminatedError, _):
          self.finish(.failed(.terminated(self.topic)), .terminated(self.topic))
        case .broker(.producerFenced, _): self.finish(.failed(.fenced(self.topic)), .fenced(self.topic))
        case .closed: self.finish(.closed, .closed)
        default:
          // After a fault the old producer may still be known there for a while: everything but the final
          // words above is worth another try, for as long as the messages may wait.
          self.scheduleConnect()
        }
      }
    }
  }

  func failTimedOut(_ timeout: TimeAmount) {
    guard let oldest = pending.oldest, NIODeadline.now() - oldest > timeout else { return }
    failPending(.timeout("no receipt from \(topic) within \(timeout.nanoseconds / 1_000_000_000) s"))
  }

  func failPending(_ error: PulsarClientError) {
    for entry in pending.removeAll() { fail(entry.payload.completions, entry.bytes, entry.messages, error) }
    if batch.count > 0 {
      let count = batch.count
      let completions = batchCompletions
      let reserved = batchReserved
      batchTimer?.cancel()
      batchTimer = nil
      _ = batch.finish()
      batchCompletions = []
      batchFirst = nil
      batchReserved = 0
      fail(completions, reserved, count, error)
    }
    notifyFlushed()
  }

  func fail(_ completions: [Completion], _ bytes: Int, _ count: Int, _ error: PulsarClientError) {
    release(messages: count, bytes: bytes)
    for completion in completions { completion(.failure(error)) }
  }

  func notifyFlushed() {
    guard !flushWaiters.isEmpty else { return }
    let answered = entriesSent - pending.entries.count
    while let first = flushWaiters.first, first.until <= answered {
      flushWaiters.removeFirst().promise.succeed(())
    }
  }
}
