import Logging
import NIOCore
import TopicLog

/// A subscription of a persistent topic: its cursor, its consumers, and the entries on their way to them.
///
/// Confined to the topic's `eventLoop`: call synchronous members there only; `async` members can be called from
/// anywhere. What is delivered to whom is decided by `SingleActiveDispatcher` and `SharedDispatcher`; this class reads
/// entries from the log, carries the decisions out, and keeps the cursor. It never touches a payload.
final class Subscription: SubscriptionHost, @unchecked Sendable {
  enum State: Equatable {
    case open
    /// A seek or another reset is under way: consumers are gone, new ones must try again.
    case resetting
    case closed
  }

  /// The property of the cursor that says that the subscription's state is replicated; Pulsar's name.
  static let replicatedProperty = "pulsar.replicated.subscription"
  /// How long a non-durable subscription waits for its reader to come back after a seek.
  static let reconnectGrace = TimeAmount.seconds(60)

  let topic: String
  let name: String
  let log: TopicLog
  let cursor: TopicCursor
  let eventLoop: any EventLoop
  /// -1 for a topic that is not a partition.
  let partitionIndex: Int
  let wallClockMs: @Sendable () -> Int64
  let logger: Logger

  /// Limits; a change counts for consumers that come later and for the next read.
  var configuration: SubscriptionConfiguration
  var properties: [String: String]
  var isReplicated: Bool
  /// Called when the last consumer of the subscription left by its own will, not by a seek: a topic deletes a
  /// non-durable subscription then.
  var onLastConsumerLeft: ((Subscription) -> Void)?

  var state = State.open
  /// The kind of the consumers that are there or were there last; nil before the first.
  var type: SubscriptionType?
  var consumers: [SubscriptionConsumer] = []
  var consumersByKey: [ConsumerKey: SubscriptionConsumer] = [:]
  private var nextKey: ConsumerKey = 0

  var single = SingleActiveDispatcher(kind: .exclusive)
  var shared = SharedDispatcher(kind: .shared, limits: SharedDispatcher.Limits())
  var readAhead: ReadAhead
  var replays = ReplayReads()
  var isDispatching = false
  var isRoundScheduled = false
  var needsAnotherRound = false
  var retryDelay = TimeAmount.milliseconds(100)
  var isRetryScheduled = false
  var delayTimer: (dueMs: Int64, task: Scheduled<Void>)?
  /// Dispatch rates; while they are used up, nothing is handed out.
  var limits = DispatchLimits()
  var limitTimer: Scheduled<Void>?
  var isTerminated = false
  /// Consumers that the current round has something for.
  var touched: [SubscriptionConsumer] = []
  var counters = SubscriptionCounters()
  private var listener: TopicLog.ListenerID?

  /// Makes the subscription over a cursor that is open. On the loop.
  /// - Parameter properties: if empty, those that are stored with the cursor.
  init(
    topic: String, name: String, log: TopicLog, cursor: TopicCursor, partitionIndex: Int = -1,
    configuration: SubscriptionConfiguration = SubscriptionConfiguration(), properties: [String: String] = [:],
    isReplicated: Bool = false, wallClockMs: @escaping @Sendable () -> Int64, logger: Logger
  ) {
    self.topic = topic
    self.name = name
    self.log = log
    self.cursor = cursor
    self.eventLoop = log.eventLoop
    self.partitionIndex = partitionIndex
    self.configuration = configuration
    self.properties = properties.isEmpty ? SubscriptionProperties.decode(cursor.attachment ?? []) : properties
    self.isReplicated = isReplicated
    self.wallClockMs = wallClockMs
    self.logger = logger
    self.readAhead = ReadAhead(
      next: log.position(after: cursor.markDelete), minBatch: configuration.dispatcherMaxReadBatchSize,
      maxBatch: configuration.maxCatchUpReadBatchSize, maxBytes: configuration.dispatcherMaxReadSizeBytes)
    eventLoop.assertInEventLoop()
    cursor.isActive = false
    listener = log.addAppendListener { [weak self] in self?.dispatch() }
  }

  /// Whether the position survives a restart.
  var isDurable: Bool { cursor.isDurable }
  /// Everything up to here is acknowledged.
  var markDelete: Position { cursor.markDelete }
  /// Entries that are not acknowledged.
  var backlogEntries: Int64 { cursor.backlogEntries }
  var isClosed: Bool { state == .closed }
  /// Whether messages are remembered one by one.
  var usesShared: Bool { type == .shared || type == .keyShared }

  // MARK: Consumers

  /// Attaches a consumer. It gets messages once it gives permits; a Failover consumer is told whether it is active, in
  /// a later turn of the loop.
  /// - Throws: `consumerBusy`, `typeMismatch`, `consumerAssign`, or `fenced`/`closed` while the subscription is reset
  ///   or after its end.
  func addConsumer(
    _ options: ConsumerOptions, type: SubscriptionType, sink: any ConsumerSink
  ) throws(SubscriptionError) -> SubscriptionConsumer {
    eventLoop.assertInEventLoop()
    switch state {
    case .open: break
    case .resetting: throw .fenced(name)
    case .closed: throw .closed(name)
    }
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
      try shared.add(
        key, name: options.name, priorityLevel: options.priorityLevel, policy: options.keyShared)
    } else {
      apply(
        try single.add(key, name: options.name, priorityLevel: options.priorityLevel, now: .now()))
    }
    nextKey += 1
    let consumer = SubscriptionConsumer(
      options: options, sink: sink, key: key, host: self, eventLoop: eventLoop, nowMs: wallClockMs())
    consumer.counters.joinedAt = readAhead.frontier
    consumers.append(consumer)
    consumersByKey[key] = consumer
    cursor.isActive = true
    return consumer
  }

  func remove(_ consumer: SubscriptionConsumer) {
    guard detach(consumer) else { return }
    if usesShared {
      if shared.remove(consumer.key) { rewind() }
    } else {
      apply(single.remove(consumer.key, now: .now()))
    }
    if consumers.isEmpty {
      rewind()
      if state == .open { onLastConsumerLeft?(self) }
    } else {
      dispatch()
    }
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
    dispatch()
  }

  func sinkBecameWritable(_ consumer: SubscriptionConsumer) { dispatch() }

  func redeliver(_ consumer: SubscriptionConsumer, _ positions: [Position]) {
    let messages: Int
    if !usesShared {
      guard single.redeliverAll(consumer.key) else { return }
      messages = 0
      rewind()
    } else if positions.isEmpty {
      messages = shared.redeliverAll(from: consumer.key)
    } else {
      messages = shared.redeliver(positions, from: consumer.key)
    }
    if messages > 0 {
      let now = NIODeadline.now()
      consumer.counters.redelivered.record(messages: messages, bytes: 0, now: now)
      counters.redelivered.record(messages: messages, bytes: 0, now: now)
    }
    dispatch()
  }

  /// The topic takes no more messages: consumers are told when they have had the last one.
  func topicTerminated() {
    eventLoop.assertInEventLoop()
    isTerminated = true
    checkEndOfTopic()
  }

  /// Ends the subscription in this broker, consumers included; the cursor stays. May be called twice.
  func close(_ reason: ConsumerCloseReason) {
    eventLoop.assertInEventLoop()
    guard state != .closed else { return }
    state = .closed
    disconnectAll(reason)
    if let listener { log.removeAppendListener(listener) }
    listener = nil
    limitTimer?.cancel()
    onLastConsumerLeft = nil
  }

  // MARK: Inner workings

  /// Removes every consumer and what is known of their messages, then tells their sessions.
  func disconnectAll(_ reason: ConsumerCloseReason) {
    let leaving = consumers
    for consumer in leaving { _ = detach(consumer) }
    begin(type ?? .exclusive)
    for consumer in leaving { consumer.sink.close(reason) }
  }

  /// Drops what was read and begins again with the first unacknowledged entry.
  func rewind() {
    readAhead.rewind(to: log.position(after: cursor.markDelete))
    cursor.readPosition = readAhead.next
    replays.cancel()
  }

  func detach(_ consumer: SubscriptionConsumer) -> Bool {
    guard consumersByKey.removeValue(forKey: consumer.key) != nil else { return false }
    consumers.removeAll { $0 === consumer }
    if consumers.isEmpty { cursor.isActive = false }
    consumer.detach()
    consumer.outgoing = []
    return true
  }

  /// Starts afresh, without consumers.
  private func begin(_ type: SubscriptionType) {
    self.type = type
    delayTimer?.task.cancel()
    delayTimer = nil
    switch type {
    case .exclusive:
      single = SingleActiveDispatcher(kind: .exclusive)
    case .failover:
      let selector = ActiveConsumerSelector(partitionIndex: partitionIndex, topic: topic)
      single = SingleActiveDispatcher(
        kind: .failover(selector, delay: configuration.activeConsumerFailoverDelayTime))
    case .shared, .keyShared:
      shared = SharedDispatcher(
        kind: type == .shared ? .shared : .keyShared, limits: SharedDispatcher.Limits(configuration))
    }
    rewind()
  }

  private func apply(_ change: SingleActiveDispatcher.Change) {
    if change.rewind { rewind() }
    if let wakeAt = change.wakeAt {
      eventLoop.scheduleTask(deadline: wakeAt) { [weak self] in
        guard let self, state == .open else { return }
        apply(single.timeReached(.now()))
        dispatch()
      }
    }
    guard type == .failover, !change.notices.isEmpty else { return }
    // Later, so that a consumer that is joining is known to its session when it is told.
    eventLoop.execute { [weak self] in
      for notice in change.notices {
        self?.consumersByKey[notice.consumer]?.sink.activeConsumerChanged(isActive: notice.isActive)
      }
    }
  }
}

extension SharedDispatcher.Limits {
  init(_ configuration: SubscriptionConfiguration) {
    self.init(
      maxUnackedMessagesPerConsumer: configuration.maxUnackedMessagesPerConsumer,
      maxUnackedMessagesPerSubscription: configuration.maxUnackedMessagesPerSubscription,
      maxDelayedEntries: configuration.maxDelayedEntries,
      delayedDeliveryEnabled: configuration.delayedDeliveryEnabled,
      lookAheadPerSubscription: configuration.keySharedLookAheadMsgInReplayThresholdPerSubscription,
      lookAheadPerConsumer: configuration.keySharedLookAheadMsgInReplayThresholdPerConsumer,
      hashPointsPerConsumer: configuration.subscriptionKeySharedConsistentHashingReplicaPoints)
  }
}
