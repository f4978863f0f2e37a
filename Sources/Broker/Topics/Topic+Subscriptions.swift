import NIOCore
import PulsarWire
import TopicLog

/// What a session asks for when a client subscribes.
struct SubscribeSpec: Sendable {
  var subscription: String
  var type: SubscriptionType
  var options: ConsumerOptions
  var isDurable: Bool
  /// Where a reader begins; nil for `initial`.
  var start: MessageIDData?
  var initial: InitialPosition
  /// A new subscription begins this many seconds ago; 0 for `initial`.
  var rollbackSeconds: UInt64
  var schema: SchemaDefinition?
  var isReplicated: Bool
  var properties: [String: String]
}

extension Topic {
  /// Attaches a consumer, and makes its subscription if there is none. Throws ``BrokerError``.
  func subscribe(_ spec: SubscribeSpec, sink: any ConsumerSink & Sendable) async throws -> SubscriptionConsumer {
    let policies = try await onLoop { topic in
      topic.lastUseMs = WallClock.nowMs()
      try topic.requireOpen()
      try topic.requireRoom(for: spec)
      try topic.requirePatience(of: spec)
      return topic.policies
    }
    try await check(schemaOf: spec, policies)
    let subscription = try await subscription(for: spec, policies)
    return try await onLoop { _ in
      do {
        return try subscription.addConsumer(spec.options, type: spec.type, sink: sink)
      } catch let error as SubscriptionError {
        throw BrokerError(error)
      }
    }
  }

  private func requireRoom(for spec: SubscribeSpec) throws(BrokerError) {
    if !policies.subscriptionTypes.isEmpty, !policies.subscriptionTypes.contains(spec.type.rawValue) {
      throw BrokerError(
        .notAllowed, "Topic[\(name)] doesn't support \(spec.type.rawValue) sub type!")
    }
    let consumers = subscriptions.values.reduce(0) { $0 + $1.consumers.count }
    if policies.maxConsumers > 0, consumers >= policies.maxConsumers {
      throw BrokerError(.consumerBusy, "Topic \(name) reached its limit of \(policies.maxConsumers) consumers")
    }
  }

  private func requirePatience(of spec: SubscribeSpec) throws(BrokerError) {
    let address = spec.options.address
    let host = address.lastIndex(of: ":").map { String(address[..<$0]) } ?? address
    let consumer = SubscribeThrottle.Consumer(host: host, name: spec.options.name, id: spec.options.consumerID)
    guard subscribeThrottle.admit(consumer, now: .now()) else {
      throw BrokerError(
        .notAllowed,
        "Subscribe limited by subscribe rate limit per consumer: \(spec.options.name) of \(name) must wait")
    }
  }

  private func check(schemaOf spec: SubscribeSpec, _ policies: EffectivePolicies) async throws {
    guard let schema = spec.schema, schema.type != .autoConsume, schema.type != .none else { return }
    guard let latest = try await schemas.latest(name) else {
      _ = try await schemas.register(
        name, schema, strategy: policies.schemaCompatibility, isUpdateAllowed: policies.allowsSchemaUpdate)
      return
    }
    // What matters for a consumer is that it can read what is written now.
    let strategy: SchemaCompatibilityStrategy =
      policies.schemaCompatibility == .alwaysCompatible ? .alwaysCompatible : .backward
    if latest.schema.data != schema.data || latest.schema.type != schema.type,
      let objection = SchemaCompatibility.objection(to: schema, after: [latest.schema], strategy: strategy)
    {
      throw BrokerError(.incompatibleSchema, objection)
    }
  }

  private func subscription(for spec: SubscribeSpec, _ policies: EffectivePolicies) async throws -> Subscription {
    if let existing = try await onLoop({ $0.subscriptions[spec.subscription] }), !existing.isClosed {
      guard existing.isDurable == spec.isDurable else {
        throw BrokerError(
          .notAllowed,
          "\(existing.isDurable ? "Durable" : "NonDurable") subscription with the same name already exists.")
      }
      return existing
    }
    guard spec.isDurable else { return try await openReader(spec) }
    guard policies.allowsAutoSubscriptionCreation else {
      throw BrokerError(
        .subscriptionNotFound, "Subscription \(spec.subscription) does not exist and is not created automatically")
    }
    var initial = spec.initial
    if spec.rollbackSeconds > 0 {
      // The number comes off the wire: whatever it is, it must not overflow.
      let since = WallClock.nowMs() - Int64(min(spec.rollbackSeconds, UInt64(Int32.max))) * 1000
      initial = try await position(publishedSinceMs: since).map { .at($0) } ?? .latest
    }
    return try await openSubscription(
      spec.subscription, initial: initial, properties: spec.properties, isReplicated: spec.isReplicated)
  }

  /// A reader's subscription lives in memory only, and ends when its consumer goes for good.
  private func openReader(_ spec: SubscribeSpec) async throws -> Subscription {
    try await onLoop { topic in
      if let existing = topic.subscriptions[spec.subscription], !existing.isClosed { return existing }
      var start = spec.initial
      if let id = spec.start {
        switch (id.ledgerID, id.entryID) {
        case (..<0, _): start = .earliest
        case (.max, _): start = .latest
        case (let ledger, let entry): start = .at(Position(ledgerID: ledger, entryID: max(0, entry)))
        }
      }
      let subscription = Subscription.makeNonDurable(
        topic: topic.name.description, name: spec.subscription, log: topic.log, start: start,
        partitionIndex: topic.name.partition ?? -1, configuration: topic.subscriptionLimits(),
        properties: spec.properties, wallClockMs: { WallClock.nowMs() }, logger: topic.logger)
      topic.subscriptions[spec.subscription] = subscription
      topic.limitDispatch(of: subscription)
      if topic.isTerminated { subscription.topicTerminated() }
      subscription.onLastConsumerLeft = { [weak topic] subscription in topic?.removeReader(subscription) }
      return subscription
    }
  }

  private func removeReader(_ subscription: Subscription) {
    guard subscriptions[subscription.name] === subscription else { return }
    subscriptions[subscription.name] = nil
    lastUseMs = WallClock.nowMs()
    subscription.close(.subscriptionDeleted)
    // At once, and this one only: a reader of the same name may come next.
    log.dropCursor(subscription.cursor)
  }

  /// The durable subscription `name`, which is made if there is none. Throws ``BrokerError``.
  func openSubscription(
    _ name: String, initial: InitialPosition, properties: [String: String], isReplicated: Bool = false
  ) async throws -> Subscription {
    try requireSubscriptionName(name)
    let future = try await onLoop { topic -> EventLoopFuture<Subscription> in
      try topic.requireOpen()
      if let existing = topic.subscriptions[name], !existing.isClosed {
        return topic.eventLoop.makeSucceededFuture(existing)
      }
      if let opening = topic.openingSubscriptions[name] { return opening }
      let limit = topic.policies.maxSubscriptions
      if limit > 0, topic.subscriptions.values.count(where: \.isDurable) >= limit {
        throw BrokerError(.notAllowed, "Exceed the maximum number of subscriptions of the topic: \(topic.name)")
      }
      let promise = topic.eventLoop.makePromise(of: Subscription.self)
      topic.openingSubscriptions[name] = promise.futureResult
      promise.completeWithTask {
        try await topic.open(name, initial: initial, properties: properties, isReplicated: isReplicated)
      }
      return promise.futureResult
    }
    return try await future.get()
  }

  private func open(
    _ name: String, initial: InitialPosition, properties: [String: String], isReplicated: Bool
  ) async throws -> Subscription {
    let limits = try await onLoop { $0.subscriptionLimits() }
    let result: Result<Subscription, any Error>
    do {
      let subscription = try await Subscription.open(
        topic: self.name.description, name: name, log: log, initial: initial,
        partitionIndex: self.name.partition ?? -1, configuration: limits, properties: properties,
        isReplicated: isReplicated ? true : nil, wallClockMs: { WallClock.nowMs() }, logger: logger)
      result = .success(subscription)
    } catch {
      result = .failure(BrokerError(.persistence, "Subscription \(name) could not be opened: \(error)"))
    }
    return try await onLoop { topic in
      topic.openingSubscriptions[name] = nil
      let subscription = try result.get()
      guard topic.state != .closed else {
        subscription.close(.topicClosed)
        throw BrokerError.notReady("Topic \(topic.name) is being unloaded: look it up again")
      }
      topic.subscriptions[name] = subscription
      topic.limitDispatch(of: subscription)
      if topic.isTerminated { subscription.topicTerminated() }
      return subscription
    }
  }

  /// Makes the subscription of a cursor that was found in the log. On the loop.
  func restoreSubscription(_ name: String, _ cursor: TopicCursor) {
    eventLoop.assertInEventLoop()
    let subscription = Subscription(
      topic: self.name.description, name: name, log: log, cursor: cursor, partitionIndex: self.name.partition ?? -1,
      configuration: subscriptionLimits(), properties: SubscriptionProperties.decode(cursor.attachment ?? []),
      isReplicated: cursor.properties[Subscription.replicatedProperty] == 1, wallClockMs: { WallClock.nowMs() },
      logger: logger)
    subscriptions[name] = subscription
    if isTerminated { subscription.topicTerminated() }
  }

  private func requireSubscriptionName(_ name: String) throws(BrokerError) {
    guard !name.isEmpty, name.utf8.count <= 1024 else {
      throw .badRequest("A subscription's name has 1 to 1024 bytes")
    }
    guard name != Self.progressCursorName, !name.hasPrefix(Self.replicatorPrefix) else {
      throw BrokerError(.notAllowed, "The subscription name \(name) is reserved for the broker")
    }
  }

  func subscriptionLimits() -> SubscriptionConfiguration {
    var limits = SubscriptionConfiguration()
    if let consumer = policies.maxUnackedMessagesPerConsumer { limits.maxUnackedMessagesPerConsumer = consumer }
    if let all = policies.maxUnackedMessagesPerSubscription { limits.maxUnackedMessagesPerSubscription = all }
    limits.maxConsumersPerSubscription = policies.maxConsumersPerSubscription
    return limits
  }

  /// Puts changed limits into force.
  func applyLimits() {
    publishThrottle.apply(policies.publishRate)
    subscribeThrottle.apply(policies.subscribeRate)
    let isNewRate = dispatchLimiter.apply(policies.dispatchRate)
    for subscription in subscriptions.values {
      subscription.configuration = subscriptionLimits()
      limitDispatch(of: subscription)
      if isNewRate { subscription.limitsChanged() }
    }
  }

  /// Puts the dispatch rates into force that hold for a subscription.
  func limitDispatch(of subscription: Subscription) {
    subscription.limits.topic = dispatchLimiter
    let rate = policies.dispatchRateBySubscription[subscription.name] ?? policies.subscriptionDispatchRate
    if subscription.limits.own.apply(rate) { subscription.limitsChanged() }
  }

  /// The subscription `name`; throws ``BrokerError`` (`subscriptionNotFound`).
  func existingSubscription(_ name: String) async throws -> Subscription {
    try await onLoop { topic in
      guard let subscription = topic.subscriptions[name], !subscription.isClosed else {
        throw BrokerError.subscriptionNotFound(name, topic.name)
      }
      return subscription
    }
  }

  /// Deletes a subscription at the request of an operator. Throws ``BrokerError``.
  func deleteSubscription(_ name: String, force: Bool) async throws {
    if let cluster = Self.cluster(ofCursor: name) {
      let isUsed = try await onLoop { $0.policies.remoteClusters.contains(cluster) || $0.replicators[cluster] != nil }
      if isUsed {
        throw BrokerError(
          .preconditionFailed, "\(name) belongs to the replicator towards \(cluster): remove the cluster first")
      }
      try await log.deleteCursor(name)
      return
    }
    let subscription = try await existingSubscription(name)
    do {
      try await subscription.delete(force: force)
    } catch let error as SubscriptionError {
      if case .consumerBusy(let reason) = error { throw BrokerError(.preconditionFailed, reason) }
      throw BrokerError(error)
    }
    try await forgetSubscription(subscription)
  }

  /// Deletes a subscription at the request of its consumer. Throws ``BrokerError``.
  func unsubscribe(_ consumer: SubscriptionConsumer, from name: String) async throws {
    let subscription = try await existingSubscription(name)
    do {
      try await subscription.unsubscribe(consumer)
    } catch let error as SubscriptionError {
      throw BrokerError(error)
    }
    try await forgetSubscription(subscription)
  }

  private func forgetSubscription(_ subscription: Subscription) async throws {
    try await onLoop { topic in
      guard topic.subscriptions[subscription.name] === subscription else { return }
      topic.subscriptions[subscription.name] = nil
      topic.lastUseMs = WallClock.nowMs()
    }
  }

  // MARK: Positions

  /// The first entry published at or after a time; nil if there is none.
  func position(publishedSinceMs ms: Int64) async throws -> Position? {
    try await log.findPosition { EntryFacts($0.payload, needsKey: false).publishTimeMs < ms }
  }

  /// The id of the last message: with the place in its batch if it is one, entry -1 if there is none.
  func lastMessageID() async throws -> MessageIDData {
    let partition = Int32(name.partition ?? -1)
    let last = try await onLoop { $0.log.lastConfirmed }
    guard last.entryID >= 0 else {
      return MessageIDData(ledgerID: last.ledgerID, entryID: -1, partition: partition)
    }
    var id = MessageIDData(ledgerID: last.ledgerID, entryID: last.entryID, partition: partition)
    let entries = (try? await read(from: last, maxEntries: 1)) ?? []
    guard let entry = entries.first, entry.position == last, let header = try? EntryHeader.parse(entry.payload),
      let metadata = try? MessageMetadataView(header.metadata), let count = metadata.numMessagesInBatch, count > 0
    else { return id }
    id.batchIndex = count - 1
    id.batchSize = count
    return id
  }

  /// Reads entries from anywhere.
  func read(from: Position, maxEntries: Int, maxBytes: Int = 5 * 1024 * 1024) async throws -> [LogEntry] {
    let promise = eventLoop.makePromise(of: [LogEntry].self)
    eventLoop.execute {
      self.log.read(from: from, maxEntries: maxEntries, maxBytes: maxBytes) { result in
        promise.completeWith(result.mapError { $0 })
      }
    }
    return try await promise.futureResult.get()
  }
}

extension BrokerError {
  /// What a subscription refuses, as the broker says it.
  init(_ error: SubscriptionError) {
    switch error {
    case .consumerBusy(let reason): self.init(.consumerBusy, reason)
    case .consumerAssign(let reason): self.init(.consumerAssign, reason)
    case .typeMismatch: self.init(.consumerBusy, error.description)
    case .notAllowed(let reason): self.init(.notAllowed, reason)
    case .fenced, .closed: self.init(.notReady, error.description)
    case .storage: self.init(.persistence, error.description)
    }
  }
}
