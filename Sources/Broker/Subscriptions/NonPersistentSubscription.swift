import NIOCore
import TopicLog

/// A subscription of a non-persistent topic: messages go straight to consumers that have permits, and are dropped when
/// none has. Nothing is acknowledged, nothing comes twice.
///
/// Confined to the topic's `eventLoop`.
final class NonPersistentSubscription: SubscriptionHost, @unchecked Sendable {
  let topic: String
  let name: String
  let eventLoop: any EventLoop
  let partitionIndex: Int
  let wallClockMs: @Sendable () -> Int64
  var configuration: SubscriptionConfiguration
  var properties: [String: String]
  /// Called when the last consumer left by its own will.
  var onLastConsumerLeft: ((NonPersistentSubscription) -> Void)?

  private(set) var type: SubscriptionType?
  private(set) var consumers: [SubscriptionConsumer] = []
  private(set) var isClosed = false
  private var consumersByKey: [ConsumerKey: SubscriptionConsumer] = [:]
  private var nextKey: ConsumerKey = 0
  private var single = SingleActiveDispatcher(kind: .exclusive)
  private var shared = SharedDispatcher(kind: .shared, limits: SharedDispatcher.Limits())
  private var counters = SubscriptionCounters()
  private var dropped = RateMeter()

  init(
    topic: String, name: String, eventLoop: any EventLoop, partitionIndex: Int = -1,
    configuration: SubscriptionConfiguration = SubscriptionConfiguration(), properties: [String: String] = [:],
    wallClockMs: @escaping @Sendable () -> Int64
  ) {
    self.topic = topic
    self.name = name
    self.eventLoop = eventLoop
    self.partitionIndex = partitionIndex
    self.configuration = configuration
    self.properties = properties
    self.wallClockMs = wallClockMs
  }

  private var usesShared: Bool { type == .shared || type == .keyShared }

  /// Hands a group of entries to consumers, one call of each sink. Entries that nobody can take are dropped.
  /// - Parameter entries: as stored entries are, with or without broker metadata.
  func publish(_ entries: [LogEntry]) {
    eventLoop.assertInEventLoop()
    for consumer in consumers {
      let isWritable = consumer.sink.isWritable
      if usesShared {
        shared.setWritable(consumer.key, isWritable)
      } else {
        single.setWritable(consumer.key, isWritable)
      }
    }
    let now = NIODeadline.now()
    for entry in entries { offer(entry, now: now) }
    let nowMs = wallClockMs()
    for consumer in consumers where !consumer.outgoing.isEmpty {
      let batch = consumer.outgoing
      consumer.outgoing = []
      let messages = batch.reduce(0) { $0 + $1.messages }
      let bytes = batch.reduce(0) { $0 + $1.entry.readableBytes - $1.brokerMetadataLength }
      counters.out.record(messages: messages, bytes: bytes, now: now)
      counters.lastConsumedMs = nowMs
      consumer.counters.sent(messages: messages, bytes: bytes, entries: batch.count, now: now, nowMs: nowMs)
      consumer.sink.deliver(batch)
    }
  }

  private func offer(_ entry: LogEntry, now: NIODeadline) {
    let facts = EntryFacts(entry.payload, needsKey: type == .keyShared)
    guard !facts.isMarker else { return }
    let decision: DispatchDecision
    if usesShared {
      // Nothing is remembered of what was delivered: no key waits for another consumer, and nothing is held back.
      decision = shared.offerUnremembered(
        EntryDescription(position: entry.position, messages: facts.messages, keyHash: facts.keyHash))
    } else {
      decision = single.offer(messages: facts.messages)
    }
    guard case .deliver(let key, _) = decision, let consumer = consumersByKey[key] else {
      dropped.record(messages: facts.messages, bytes: entry.payload.readableBytes, now: now)
      return
    }
    consumer.outgoing.append(
      Delivery(
        position: entry.position, entry: entry.payload, brokerMetadataLength: facts.brokerMetadataLength,
        messages: facts.messages))
  }

  // MARK: Consumers

  /// As `Subscription.addConsumer`.
  func addConsumer(
    _ options: ConsumerOptions, type: SubscriptionType, sink: any ConsumerSink
  ) throws(SubscriptionError) -> SubscriptionConsumer {
    eventLoop.assertInEventLoop()
    guard !isClosed else { throw .closed(name) }
    if let current = self.type, current != type, !consumers.isEmpty {
      throw .typeMismatch(subscription: name, current: current, requested: type)
    }
    let limit = configuration.maxConsumersPerSubscription
    if limit > 0, consumers.count >= limit {
      throw .consumerBusy("Subscription \(name) already has its maximum of \(limit) consumers.")
    }
    if consumers.isEmpty { begin(type) }
    let key = nextKey
    if usesShared {
      try shared.add(key, name: options.name, priorityLevel: options.priorityLevel, policy: options.keyShared)
    } else {
      tell(try single.add(key, name: options.name, priorityLevel: options.priorityLevel, now: .now()))
    }
    nextKey += 1
    let consumer = SubscriptionConsumer(
      options: options, sink: sink, key: key, host: self, eventLoop: eventLoop, nowMs: wallClockMs())
    consumers.append(consumer)
    consumersByKey[key] = consumer
    return consumer
  }

  func remove(_ consumer: SubscriptionConsumer) {
    guard detach(consumer) else { return }
    if usesShared {
      _ = shared.remove(consumer.key)
    } else {
      tell(single.remove(consumer.key, now: .now()))
    }
    if consumers.isEmpty, !isClosed { onLastConsumerLeft?(self) }
  }

  func flow(_ consumer: SubscriptionConsumer, permits: Int) {
    let nowMs = wallClockMs()
    if consumer.counters.firstFlowMs == 0 { consumer.counters.firstFlowMs = nowMs }
    consumer.counters.lastFlowMs = nowMs
    counters.lastFlowMs = nowMs
    if usesShared {
      shared.grant(consumer.key, permits: permits)
    } else {
      single.grant(consumer.key, permits: permits)
    }
  }

  func acknowledge(_ consumer: SubscriptionConsumer, _ ids: [Acknowledgement]) -> SubscriptionError? { nil }
  func acknowledgeCumulative(_ consumer: SubscriptionConsumer, _ id: Acknowledgement) -> SubscriptionError? { nil }
  func redeliver(_ consumer: SubscriptionConsumer, _ positions: [Position]) {}
  func sinkBecameWritable(_ consumer: SubscriptionConsumer) {}

  /// Ends the subscription, consumers included.
  func close(_ reason: ConsumerCloseReason) {
    eventLoop.assertInEventLoop()
    guard !isClosed else { return }
    isClosed = true
    onLastConsumerLeft = nil
    let leaving = consumers
    for consumer in leaving { _ = detach(consumer) }
    for consumer in leaving { consumer.sink.close(reason) }
  }

  /// Whether `consumer` may delete the subscription: it is its only one.
  func checkUnsubscribe(_ consumer: SubscriptionConsumer) throws(SubscriptionError) {
    guard consumersByKey[consumer.key] === consumer, consumers.count == 1 else {
      throw .notAllowed("Subscription \(name) has \(consumers.count) consumers: the others must close first.")
    }
  }

  /// The figures of this moment. On the loop.
  func stats(excludeConsumers: Bool = false) -> SubscriptionStats {
    let now = NIODeadline.now()
    var stats = SubscriptionStats()
    let out = counters.out.rates(now: now)
    stats.msgRateOut = out.messages
    stats.msgThroughputOut = out.bytes
    stats.bytesOutCounter = counters.out.totalBytes
    stats.msgOutCounter = counters.out.totalMessages
    stats.type = type?.rawValue
    stats.lastConsumedFlowTimestamp = counters.lastFlowMs
    stats.lastConsumedTimestamp = counters.lastConsumedMs
    stats.subscriptionProperties = properties
    if !usesShared, let key = single.activeConsumer { stats.activeConsumerName = consumersByKey[key]?.name }
    guard !excludeConsumers else { return stats }
    stats.consumers = consumers.map { consumerStats($0, now: now) }
    return stats
  }

  /// The figures of one consumer. On the loop.
  func consumerStats(_ consumer: SubscriptionConsumer, now: NIODeadline) -> ConsumerStats {
    var stats = consumer.baseStats(now: now)
    let permits =
      usesShared
      ? shared.member(consumer.key)?.permits : single.members.first { $0.key == consumer.key }?.permits
    stats.availablePermits = permits ?? 0
    return stats
  }

  /// Messages dropped because nobody could take them: their rate, and their number since the start.
  func droppedMessages(now: NIODeadline) -> (rate: Double, total: Int64) {
    (dropped.rates(now: now).messages, dropped.totalMessages)
  }

  private func detach(_ consumer: SubscriptionConsumer) -> Bool {
    guard consumersByKey.removeValue(forKey: consumer.key) != nil else { return false }
    consumers.removeAll { $0 === consumer }
    consumer.detach()
    consumer.outgoing = []
    return true
  }

  private func begin(_ type: SubscriptionType) {
    self.type = type
    switch type {
    case .exclusive: single = SingleActiveDispatcher(kind: .exclusive)
    case .failover:
      let selector = ActiveConsumerSelector(partitionIndex: partitionIndex, topic: topic)
      // There is nothing to wait for: nothing is acknowledged.
      single = SingleActiveDispatcher(kind: .failover(selector, delay: .zero))
    case .shared, .keyShared:
      shared = SharedDispatcher(
        kind: type == .shared ? .shared : .keyShared, limits: SharedDispatcher.Limits(configuration))
    }
  }

  private func tell(_ change: SingleActiveDispatcher.Change) {
    guard type == .failover, !change.notices.isEmpty else { return }
    eventLoop.execute { [weak self] in
      for notice in change.notices {
        self?.consumersByKey[notice.consumer]?.sink.activeConsumerChanged(isActive: notice.isActive)
      }
    }
  }
}
