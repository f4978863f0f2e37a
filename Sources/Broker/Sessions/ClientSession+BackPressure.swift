import NIOCore

/// When a connection is read, and when it waits.
extension ClientSession {
  func shutIfTooMuchIsPending() {
    let configuration = broker.configuration
    if pending.count >= configuration.maxPendingPublishRequestsPerConnection
      || pending.bytes >= configuration.maxPendingPublishBytesPerConnection
    {
      gate.shut(.publishes)
    }
    if pending.bytes > 0, broker.publishBuffer.isFull, !gate.reasons.contains(.publishBuffer) {
      gate.shut(.publishBuffer)
      broker.publishBuffer.wait(id) { [weak self] in
        guard let self else { return }
        eventLoop.execute { self.openGate(.publishBuffer) }
      }
    }
  }

  /// The broker's publish rate counts what was read just now.
  func takeFromBrokerRate() {
    guard published.messages > 0, let limit = broker.publishLimit else { return }
    let wait = limit.take(messages: published.messages, bytes: published.bytes)
    published = (0, 0)
    guard wait > .zero else { return }
    gate.shut(.brokerRate)
    waitForBrokerRate(wait)
  }

  private func waitForBrokerRate(_ wait: TimeAmount) {
    eventLoop.scheduleTask(in: wait) { [weak self] in
      guard let self, !isClosed else { return }
      // Others may have used up meanwhile what there was.
      let more = broker.publishLimit?.wait ?? .zero
      if more > .zero { waitForBrokerRate(more) } else { openGate(.brokerRate) }
    }
  }

  func hold(for topic: ObjectIdentifier) {
    holders.insert(topic)
    gate.shut(.topicRate)
  }

  func release(by topic: ObjectIdentifier) {
    holders.remove(topic)
    if holders.isEmpty { openGate(.topicRate) }
  }

  /// Asks the topics behind an outbox to say when they have done what they were asked.
  func mark(_ outbox: TopicOutbox) {
    outbox.eventLoop.execute { [weak self] in
      guard let self else { return }
      eventLoop.execute { self.markReached(outbox) }
    }
  }

  private func markReached(_ outbox: TopicOutbox) {
    guard !isClosed else { return }
    if outbox.caughtUp() { mark(outbox) }
    if !outboxes.values.contains(where: \.isBehind) { openGate(.topics) }
  }

  /// A reason not to read is gone.
  func openGate(_ reason: ReadGate.Reasons) {
    gate.open(reason)
    guard gate.isOpen, !isClosed else { return }
    if !held.isEmpty {
      decodeHeld()
      flushOutboxes()
    }
    if gate.takeOwedRead() { context?.read() }
  }

  /// Counts a request whose answer takes its time.
  func requestBegan() {
    eventLoop.assertInEventLoop()
    pendingRequests += 1
    if pendingRequests >= broker.configuration.maxPendingRequestsPerConnection { gate.shut(.requests) }
  }

  func requestEnded() {
    eventLoop.assertInEventLoop()
    pendingRequests -= 1
    if pendingRequests <= broker.configuration.maxPendingRequestsPerConnection / 2 { openGate(.requests) }
  }
}
