import NIOCore
import PulsarWire
import TopicLog

extension ClientSession {
  func handle(_ command: ProtoCommandSubscribe) {
    let id = command.consumerID
    let requestID = command.requestID
    switch consumers[id] {
    case .opening:
      return send(.error(requestID, .serviceNotReady, "Consumer is already present on the connection"))
    case .open:
      return send(.success(requestID))
    case nil: break
    }
    let topicName: TopicName
    do {
      topicName = try TopicName(command.topic)
    } catch {
      return send(.error(requestID, error))
    }
    consumers[id] = .opening(isCancelled: false)
    let spec = subscribeSpec(command)
    let sink = SessionConsumerSink(consumerID: id, partition: Int32(topicName.partition ?? -1), session: self)
    let creates = command.hasForceTopicCreation ? command.forceTopicCreation : true
    run {
      let topic = try await self.broker.topic(topicName, createIfMissing: creates)
      return (topic, try await topic.subscribe(spec, sink: sink))
    } then: { session, result in
      session.consumerOpened(spec, requestID: requestID, sink, result)
    }
  }

  private func subscribeSpec(_ command: ProtoCommandSubscribe) -> SubscribeSpec {
    let type: SubscriptionType =
      switch command.subType {
      case .exclusive: .exclusive
      case .shared: .shared
      case .failover: .failover
      case .keyShared: .keyShared
      }
    let meta = command.keySharedMeta
    let keyShared = KeySharedPolicy(
      mode: meta.keySharedMode == .sticky ? .sticky : .autoSplit,
      ranges: meta.hashRanges.map { KeyHashRange(start: Int($0.start), end: Int($0.end)) },
      allowsOutOfOrderDelivery: meta.allowOutOfOrderDelivery)
    let name = command.consumerName.isEmpty ? "consumer-\(id)-\(command.consumerID)" : command.consumerName
    let options = ConsumerOptions(
      consumerID: command.consumerID, name: name, priorityLevel: Int(command.priorityLevel), keyShared: keyShared,
      metadata: [String: String](command.metadata), address: address, clientVersion: client?.version ?? "")
    return SubscribeSpec(
      subscription: command.subscription, type: type, options: options, isDurable: command.durable,
      start: command.hasStartMessageID ? MessageIDData(command.startMessageID) : nil,
      initial: command.initialPosition == .earliest ? .earliest : .latest,
      rollbackSeconds: command.startMessageRollbackDurationSec,
      schema: command.hasSchema ? SchemaDefinition(command.schema) : nil,
      isReplicated: command.replicateSubscriptionState,
      properties: [String: String](command.subscriptionProperties))
  }

  private func consumerOpened(
    _ spec: SubscribeSpec, requestID: UInt64, _ sink: SessionConsumerSink,
    _ result: Result<(LoadedTopic, SubscriptionConsumer), any Error>
  ) {
    guard !isClosed, case .opening(let isCancelled) = consumers[sink.consumerID] else {
      if case .success((let topic, let consumer)) = result { abandon(consumer, sink, of: topic) }
      return
    }
    switch result {
    case .failure(let error):
      consumers[sink.consumerID] = nil
      send(.error(requestID, error))
    case .success((let topic, let consumer)):
      guard !isCancelled, sink.isAttached else {
        consumers[sink.consumerID] = nil
        abandon(consumer, sink, of: topic)
        if !isCancelled {
          send(.error(requestID, .serviceNotReady, "The subscription was closed while the consumer was created"))
        }
        return
      }
      consumers[sink.consumerID] = .open(
        topic, subscription: spec.subscription, consumer, sink, outbox(for: topic.eventLoop))
      send(.success(requestID))
    }
  }

  private func abandon(_ consumer: SubscriptionConsumer, _ sink: SessionConsumerSink, of topic: LoadedTopic) {
    sink.detach()
    topic.eventLoop.execute { consumer.close() }
  }

  func handle(_ command: ProtoCommandCloseConsumer) {
    switch consumers[command.consumerID] {
    case .opening:
      consumers[command.consumerID] = .opening(isCancelled: true)
      send(.success(command.requestID))
    case .open(_, _, let consumer, let sink, let outbox):
      consumers[command.consumerID] = nil
      sink.detach()
      flushOutboxes()
      // What it acknowledged a moment ago counts before it goes.
      let requestID = command.requestID
      outbox.eventLoop.execute {
        consumer.close()
        self.eventLoop.execute { self.send(.success(requestID)) }
      }
    case nil:
      send(.success(command.requestID))
    }
  }

  /// The subscription let the consumer go: the client connects again if it wants.
  func consumerClosedByBroker(_ sink: SessionConsumerSink) {
    eventLoop.assertInEventLoop()
    guard sink.isAttached else { return }
    sink.detach()
    guard case .open(_, _, _, let open, _) = consumers[sink.consumerID], open === sink else { return }
    consumers[sink.consumerID] = nil
    send(.closeConsumer(sink.consumerID))
  }

  // MARK: Acknowledging

  func handle(_ ack: AckCommand) {
    guard case .open(_, _, let consumer, _, let outbox) = consumers[ack.consumerID] else {
      if let requestID = ack.requestID {
        send(ackResponse(ack.consumerID, requestID, BrokerError(.consumerNotFound, "The consumer is closed")))
      }
      return
    }
    var reply: AckReply?
    if let requestID = ack.requestID {
      reply = { [weak self] error in
        guard let self else { return }
        eventLoop.execute {
          self.send(self.ackResponse(ack.consumerID, requestID, error.map { BrokerError($0) }))
        }
      }
    }
    guard ack.txnLeastBits == 0, ack.txnMostBits == 0 else {
      if let requestID = ack.requestID {
        send(ackResponse(ack.consumerID, requestID, BrokerError(.notAllowed, "This broker has no transactions")))
      }
      return
    }
    let ids = ack.messageIDs.map { id in
      Acknowledgement(
        Position(ledgerID: id.ledgerID, entryID: id.entryID), ackSet: id.ackSet.isEmpty ? nil : id.ackSet,
        batchSize: id.batchSize.map { Int($0) })
    }
    switch ack.type {
    case .individual: outbox.append(.acknowledge(consumer, ids, reply))
    case .cumulative:
      guard let id = ids.first else { return }
      outbox.append(.acknowledgeCumulative(consumer, id, reply))
    }
  }

  private func ackResponse(_ consumerID: UInt64, _ requestID: UInt64, _ error: BrokerError?) -> ProtoBaseCommand {
    var response = ProtoCommandAckResponse()
    response.consumerID = consumerID
    response.requestID = requestID
    if let error {
      response.error = error.serverError
      response.message = error.message
    }
    return ProtoBaseCommand(response)
  }

  func handle(_ command: ProtoCommandRedeliverUnacknowledgedMessages) {
    guard case .open(_, _, let consumer, _, let outbox) = consumers[command.consumerID] else { return }
    let positions = command.messageIds.map {
      Position(ledgerID: Int64(bitPattern: $0.ledgerID), entryID: Int64(bitPattern: $0.entryID))
    }
    outbox.append(.redeliver(consumer, positions))
  }

  // MARK: Requests

  func handle(_ command: ProtoCommandUnsubscribe) {
    let requestID = command.requestID
    guard case .open(let topic, let subscription, let consumer, let sink, _) = consumers[command.consumerID] else {
      return send(.error(requestID, .metadataError, "Consumer not found"))
    }
    flushOutboxes()
    let id = command.consumerID
    run {
      try await topic.unsubscribe(consumer, from: subscription)
    } then: { session, result in
      switch result {
      case .success:
        sink.detach()
        if case .open(_, _, _, let open, _) = session.consumers[id], open === sink { session.consumers[id] = nil }
        session.send(.success(requestID))
      case .failure(let error):
        session.send(.error(requestID, .metadataError, BrokerError.wrap(error).message))
      }
    }
  }

  func handle(_ command: ProtoCommandSeek) {
    let requestID = command.requestID
    guard case .open(let loaded, let name, _, _, _) = consumers[command.consumerID] else {
      return send(.error(requestID, .metadataError, "Consumer not found"))
    }
    guard case .persistent(let topic) = loaded else {
      return send(.error(requestID, .notAllowedError, "Seek not supported on non-persistent topic"))
    }
    flushOutboxes()
    run {
      let subscription = try await topic.existingSubscription(name)
      if command.hasMessageID {
        let id = MessageIDData(command.messageID)
        try await subscription.seek(
          to: Position(ledgerID: id.ledgerID, entryID: id.entryID), ackSet: id.ackSet.isEmpty ? nil : id.ackSet)
      } else {
        try await subscription.seek(toPublishTimeMs: Int64(clamping: command.messagePublishTime))
      }
    } then: { session, result in
      switch result {
      case .success: session.send(.success(requestID))
      case .failure(let error):
        let error = (error as? SubscriptionError).map { BrokerError($0) } ?? BrokerError.wrap(error)
        session.send(.error(requestID, error))
      }
    }
  }

  func handle(_ command: ProtoCommandGetLastMessageId) {
    let requestID = command.requestID
    guard case .open(let loaded, let name, _, _, _) = consumers[command.consumerID] else {
      return send(.error(requestID, .metadataError, "Consumer not found"))
    }
    guard case .persistent(let topic) = loaded else {
      return send(.error(requestID, .notAllowedError, "GetLastMessageId not supported on non-persistent topic"))
    }
    flushOutboxes()
    run {
      let last = try await topic.lastMessageID()
      let markDelete = try await topic.onLoop { $0.subscriptions[name]?.markDelete }
      return (last, markDelete)
    } then: { session, result in
      switch result {
      case .success((let last, let markDelete)):
        var response = ProtoCommandGetLastMessageIdResponse()
        response.requestID = requestID
        response.lastMessageID = last.proto
        if let markDelete {
          response.consumerMarkDeletePosition =
            MessageIDData(ledgerID: markDelete.ledgerID, entryID: markDelete.entryID).proto
        }
        session.send(ProtoBaseCommand(response))
      case .failure(let error): session.send(.error(requestID, error))
      }
    }
  }

  /// The answer to this request is awaited in its own form, also when it is an error.
  func handle(_ command: ProtoCommandConsumerStats) {
    let requestID = command.requestID
    guard case .open(let loaded, let name, let consumer, _, _) = consumers[command.consumerID] else {
      return send(
        .consumerStats(
          requestID, failure: BrokerError(.consumerNotFound, "Consumer \(command.consumerID) not found")))
    }
    let consumerName = consumer.name
    run {
      let stats = try await loaded.stats(StatsOptions())
      guard let subscription = stats.subscriptions[name],
        let of = subscription.consumers.first(where: { $0.consumerName == consumerName })
      else { throw BrokerError(.consumerNotFound, "Consumer \(consumerName) not found") }
      return (subscription, of)
    } then: { session, result in
      switch result {
      case .success((let subscription, let of)): session.send(.consumerStats(requestID, subscription, of))
      case .failure(let error): session.send(.consumerStats(requestID, failure: BrokerError.wrap(error)))
      }
    }
  }
}

extension ProtoBaseCommand {
  fileprivate static func consumerStats(
    _ requestID: UInt64, _ subscription: SubscriptionStats, _ consumer: ConsumerStats
  ) -> ProtoBaseCommand {
    var response = ProtoCommandConsumerStatsResponse()
    response.requestID = requestID
    response.msgRateOut = consumer.msgRateOut
    response.msgThroughputOut = consumer.msgThroughputOut
    response.msgRateRedeliver = consumer.msgRateRedeliver
    response.consumerName = consumer.consumerName ?? ""
    response.availablePermits = UInt64(max(0, consumer.availablePermits))
    response.unackedMessages = UInt64(max(0, consumer.unackedMessages))
    response.blockedConsumerOnUnackedMsgs = consumer.blockedConsumerOnUnackedMsgs
    response.address = consumer.address ?? ""
    response.connectedSince = consumer.connectedSince ?? ""
    response.type = subscription.type ?? ""
    response.msgRateExpired = subscription.msgRateExpired
    response.msgBacklog = UInt64(max(0, subscription.msgBacklog))
    response.messageAckRate = consumer.messageAckRate
    return envelope(response)
  }

  fileprivate static func consumerStats(_ requestID: UInt64, failure: BrokerError) -> ProtoBaseCommand {
    var response = ProtoCommandConsumerStatsResponse()
    response.requestID = requestID
    response.errorCode = failure.serverError
    response.errorMessage = failure.message
    return envelope(response)
  }

  private static func envelope(_ response: ProtoCommandConsumerStatsResponse) -> ProtoBaseCommand {
    var command = ProtoBaseCommand()
    command.type = .consumerStatsResponse
    command.consumerStatsResponse = response
    return command
  }
}
