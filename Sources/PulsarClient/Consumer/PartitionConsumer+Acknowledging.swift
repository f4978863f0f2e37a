import NIOCore
import PulsarWire

extension PartitionConsumer {
  /// Takes the application's word; any thread. Many cross to the loop in one hop.
  func submit(_ word: Word) {
    let schedules = inbox.withLockedValue { inbox in
      inbox.words.append(word)
      defer { inbox.isScheduled = true }
      return !inbox.isScheduled
    }
    if schedules { eventLoop.execute { self.drainInbox() } }
  }

  func drainInbox() {
    let words = inbox.withLockedValue { inbox in
      inbox.isScheduled = false
      defer { inbox.words = [] }
      return inbox.words
    }
    if case .closed = state {
      for case .acknowledge(_, let receipt?) in words { receipt.fail(PulsarClientError.closed) }
      for case .acknowledgeCumulative(_, let receipt?) in words { receipt.fail(PulsarClientError.closed) }
      return
    }
    for word in words {
      switch word {
      case .acknowledge(let id, let receipt):
        if let receipt { receiptWaiters.append(receipt) }
        if acks.acknowledge(id) { sendAcknowledgements() }
      case .acknowledgeCumulative(let id, let receipt):
        if let receipt { receiptWaiters.append(receipt) }
        acks.acknowledgeCumulative(id)
      case .negativeAcknowledge(let id):
        for entry in acks.entries(of: id) { nacks.add(entry, now: .now()) }
        scheduleRedelivery()
      }
    }
    guard !acks.isEmpty || !receiptWaiters.isEmpty else { return }
    if configuration.acknowledgementGroupTime <= .zero || !receiptWaiters.isEmpty {
      sendAcknowledgements()
    } else if ackTimer == nil {
      ackTimer = eventLoop.assumeIsolated().scheduleTask(in: configuration.acknowledgementGroupTime) { [weak self] in
        self?.ackTimer = nil
        self?.sendAcknowledgements()
      }
    }
  }

  /// Tells the broker what was gathered; without a connection it stays for the next one.
  func sendAcknowledgements() {
    guard case .open(let connection) = state else { return }
    let round = acks.drain()
    let waiters = receiptWaiters
    receiptWaiters = []
    guard !round.isEmpty || !waiters.isEmpty else { return }
    var commands: [AckCommand] = []
    if let cumulative = round.cumulative {
      commands.append(AckCommand(consumerID: id, type: .cumulative, messageIDs: [cumulative]))
    }
    if !round.individual.isEmpty {
      commands.append(AckCommand(consumerID: id, type: .individual, messageIDs: round.individual))
    }
    guard configuration.ackReceiptEnabled || !waiters.isEmpty else {
      for command in commands { connection.send(command) }
      return
    }
    let epoch = self.epoch
    let answers = commands.map { command in
      connection.request(command).flatMapThrowing { answer in
        guard answer.ackResponse.hasError else { return }
        throw PulsarClientError.broker(answer.ackResponse.error, answer.ackResponse.message)
      }
    }
    EventLoopFuture.andAllComplete(answers, on: eventLoop).flatMap {
      EventLoopFuture.andAllSucceed(answers, on: self.eventLoop)
    }.whenComplete { result in
      switch result {
      case .success: for waiter in waiters { waiter.succeed(()) }
      case .failure(let error): self.unconfirmed(round, waiters, epoch: epoch, error)
      }
    }
  }

  /// The broker did not confirm a round. If it was out of reach, or no longer knew the consumer (it closed it for a topic that
  /// moves, or is about to), the round is told again, and who waits goes on waiting.
  /// - Parameter epoch: the opening of the consumer in which the round was sent.
  private func unconfirmed(
    _ round: AckTracker.Round, _ waiters: [EventLoopPromise<Void>], epoch sent: UInt64, _ error: any Error
  ) {
    let error = error as? PulsarClientError ?? .connection("\(error)")
    switch (state, error) {
    case (.closed, _): for waiter in waiters { waiter.fail(PulsarClientError.closed) }
    case (_, .connection), (_, .broker(.consumerNotFound, _)):
      acks.restore(round)
      receiptWaiters = waiters + receiptWaiters
      if case .broker = error, sent == epoch {
        reconnect(error)
      } else if case .open(let connection) = state, connection.isActive {
        sendAcknowledgements()
      }
    default: for waiter in waiters { waiter.fail(error) }
    }
  }

  func failReceiptWaiters(_ error: PulsarClientError) {
    let waiters = receiptWaiters
    receiptWaiters = []
    for waiter in waiters { waiter.fail(error) }
  }

  /// Acknowledges, and waits for the broker's answer, over reconnects too, for as long as an operation may take.
  func confirmed(_ word: @Sendable (EventLoopPromise<Void>) -> Word) async throws {
    let receipt = eventLoop.makePromise(of: Void.self)
    let limit = client.configuration.operationTimeout
    let topic = self.topic
    let timer = eventLoop.scheduleTask(in: limit) {
      let seconds = limit.nanoseconds / 1_000_000_000
      receipt.fail(PulsarClientError.timeout("no answer to an acknowledgement on \(topic) within \(seconds) s"))
    }
    submit(word(receipt))
    defer { timer.cancel() }
    try await receipt.futureResult.get()
  }

  private func scheduleRedelivery() {
    guard nackTimer == nil, let due = nacks.nextDue else { return }
    nackTimer = eventLoop.assumeIsolated().scheduleTask(deadline: due) { [weak self] in
      guard let self else { return }
      self.nackTimer = nil
      let entries = self.nacks.due(now: .now())
      if !entries.isEmpty { self.redeliver(entries) }
      self.scheduleRedelivery()
    }
  }

  private func redeliver(_ entries: [AckTracker.Entry]) {
    guard case .open(let connection) = state else { return }
    sendAcknowledgements()
    var command = ProtoCommandRedeliverUnacknowledgedMessages()
    command.consumerID = id
    if configuration.subscriptionType.redeliversSingleEntries {
      command.messageIds = entries.map { MessageIDData(ledgerID: $0.ledgerID, entryID: $0.entryID).proto }
    } else {
      // Here the broker begins again with the oldest that is not acknowledged: what waits comes again too.
      queue.drop(index)
    }
    connection.send(ProtoBaseCommand(command))
  }
}
