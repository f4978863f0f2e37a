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
    if case .closed = state { return }
    for word in words {
      switch word {
      case .acknowledge(let id):
        if acks.acknowledge(id) { sendAcknowledgements() }
      case .acknowledgeCumulative(let id): acks.acknowledgeCumulative(id)
      case .negativeAcknowledge(let id):
        nacks.add(id, now: .now())
        scheduleRedelivery()
      }
    }
    guard !acks.isEmpty else { return }
    if configuration.acknowledgementGroupTime <= .zero {
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
    guard case .open(let connection) = state, !acks.isEmpty else { return }
    let round = acks.drain()
    if let cumulative = round.cumulative {
      connection.send(AckCommand(consumerID: id, type: .cumulative, messageIDs: [cumulative]))
    }
    if !round.individual.isEmpty {
      connection.send(AckCommand(consumerID: id, type: .individual, messageIDs: round.individual))
    }
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
