import Logging
import NIOCore
import PulsarWire
import TopicLog

/// A topic that stores nothing: a message goes to the consumers that are there and have room, and is gone.
///
/// Confined to `eventLoop`.
final class NonPersistentTopic: @unchecked Sendable {
  let name: TopicName
  let eventLoop: any EventLoop
  let configuration: BrokerConfiguration
  let schemas: SchemaRegistry
  let logger: Logger
  let createdAtMs = WallClock.nowMs()
  private(set) var policies: EffectivePolicies
  private let publishThrottle: PublishThrottle
  private var producers: [ProducerAdmission.ID: TopicProducer] = [:]
  private var admission: ProducerAdmission
  private var nextProducerID: ProducerAdmission.ID = 1
  private(set) var subscriptions: [String: NonPersistentSubscription] = [:]
  private var counters = PublishCounters()
  private var rates = SampledRates()
  private var nextEntryID: Int64 = 0
  private var lastPublishMs: Int64 = 0
  private var isClosed = false
  private var sampling: RepeatedTask?
  private var lastUseMs = WallClock.nowMs()
  /// Set by the service: nobody has used the topic for long.
  var onInactive: ((NonPersistentTopic) -> Void)?

  init(
    name: TopicName, policies: EffectivePolicies, configuration: BrokerConfiguration, schemas: SchemaRegistry,
    on eventLoop: any EventLoop, logger: Logger
  ) {
    self.name = name
    self.policies = policies
    self.configuration = configuration
    self.schemas = schemas
    self.eventLoop = eventLoop
    publishThrottle = PublishThrottle(eventLoop: eventLoop)
    self.logger = logger
    admission = ProducerAdmission(maximumProducers: policies.maxProducers, topicEpoch: nil)
  }

  func start() {
    publishThrottle.apply(policies.publishRate)
    sampling = eventLoop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { [weak self] _ in
      guard let self else { return }
      let nowMs = WallClock.nowMs()
      rates.sample(counters, nowMs: nowMs)
      for producer in producers.values { producer.rates.sample(producer.counters, nowMs: nowMs) }
      checkInactivity(nowMs: nowMs)
    }
  }

  private func checkInactivity(nowMs: Int64) {
    guard policies.deletesInactive, producers.isEmpty, subscriptions.values.allSatisfy(\.consumers.isEmpty) else {
      lastUseMs = nowMs
      return
    }
    guard nowMs - lastUseMs >= Int64(policies.inactiveSeconds) * 1000 else { return }
    lastUseMs = nowMs
    onInactive?(self)
  }

  // MARK: Producers

  func addProducer(_ spec: ProducerSpec, port: SessionPort) async throws -> ProducerGrant {
    var schemaVersion: [UInt8]?
    if let schema = spec.schema {
      let policies = try await eventLoop.submit { self.policies }.get()
      schemaVersion = try await schemas.register(
        name, schema, strategy: policies.schemaCompatibility, isUpdateAllowed: policies.allowsSchemaUpdate
      ).versionBytes
    }
    return try await eventLoop.submit { [schemaVersion] in
      try self.attach(spec, schemaVersion: schemaVersion, port: port)
    }.get()
  }

  private func attach(_ spec: ProducerSpec, schemaVersion: [UInt8]?, port: SessionPort) throws -> ProducerGrant {
    guard !isClosed else { throw BrokerError.notReady("Topic \(name) is being unloaded: look it up again") }
    let id = nextProducerID
    nextProducerID += 1
    let producerName = spec.name
    let producer = TopicProducer(
      id: id, spec: spec, kind: .client, port: port, nowMs: WallClock.nowMs())
    var grant = ProducerGrant(producer: producer, name: producerName, schemaVersion: schemaVersion)
    let request = ProducerAdmission.Request(
      id: id, name: producerName, mode: ProducerAdmission.AccessMode(spec.accessMode), topicEpoch: spec.topicEpoch,
      epoch: spec.epoch, isNameChosen: spec.isNameChosen, connection: port.connection)
    switch admission.request(request) {
    case .admitted(let epoch, let fenced):
      for id in fenced {
        guard let old = producers.removeValue(forKey: id) else { continue }
        old.markClosed(mute: false)
        old.announce(.closedByBroker)
      }
      grant.topicEpoch = epoch
    case .queued:
      producer.isWaiting = true
      grant.isReady = false
    case .refused(let kind, let message): throw BrokerError(kind, message)
    }
    producers[id] = producer
    return grant
  }

  func publish(_ producer: TopicProducer, _ request: PublishRequest, nowMs: Int64) {
    eventLoop.assertInEventLoop()
    let bytes = request.body.readableBytes
    guard !producer.isClosed, !isClosed else { return producer.answer(.silent, bytes: bytes) }
    if let fault = request.fault {
      producer.answer(
        .failed(
          sequenceID: request.command.sequenceID, fault.isChecksum ? .checksumError : .notAllowedError, "\(fault)"),
        bytes: bytes)
      return
    }
    counters.add(messages: request.messages, bytes: bytes, isChunk: request.command.isChunk)
    producer.counters.add(messages: request.messages, bytes: bytes, isChunk: request.command.isChunk)
    lastPublishMs = nowMs
    publishThrottle.published(messages: request.messages, bytes: bytes, by: producer.port)
    let entry = LogEntry(
      position: Position(ledgerID: 0, entryID: nextEntryID), payload: request.body, cumulativeLength: 0)
    nextEntryID += 1
    for subscription in subscriptions.values { subscription.publish([entry]) }
    producer.answer(
      .receipt(
        sequenceID: request.command.sequenceID, highestSequenceID: request.command.highestSequenceID ?? 0,
        position: .earliest), bytes: bytes)
  }

  func close(_ producer: TopicProducer, requestID: UInt64?) {
    eventLoop.assertInEventLoop()
    if let requestID { producer.answer(.closedByClient(requestID: requestID), bytes: 0, settled: 0) }
    producer.markClosed(mute: requestID == nil)
    guard producers.removeValue(forKey: producer.id) != nil, let next = admission.leave(producer.id),
      let promoted = producers[next.id]
    else { return }
    promoted.isWaiting = false
    promoted.announce(.ready(requestID: promoted.spec.requestID, topicEpoch: next.topicEpoch))
  }

  // MARK: Consumers

  func subscribe(_ spec: SubscribeSpec, sink: any ConsumerSink & Sendable) async throws -> SubscriptionConsumer {
    try await eventLoop.submit {
      guard !self.isClosed else { throw BrokerError.notReady("Topic \(self.name) is being unloaded: look it up again") }
      do {
        return try self.subscription(spec.subscription).addConsumer(spec.options, type: spec.type, sink: sink)
      } catch let error as SubscriptionError {
        throw BrokerError(error)
      }
    }.get()
  }

  private func subscription(_ subscription: String) -> NonPersistentSubscription {
    if let existing = subscriptions[subscription], !existing.isClosed { return existing }
    let new = NonPersistentSubscription(
      topic: name.description, name: subscription, eventLoop: eventLoop, partitionIndex: name.partition ?? -1,
      wallClockMs: { WallClock.nowMs() })
    subscriptions[subscription] = new
    return new
  }

  func deleteSubscription(_ subscription: String, force: Bool) async throws {
    try await eventLoop.submit {
      guard let existing = self.subscriptions[subscription] else {
        throw BrokerError.subscriptionNotFound(subscription, self.name)
      }
      guard force || existing.consumers.isEmpty else {
        throw BrokerError(.preconditionFailed, "Subscription \(subscription) has active connected consumers")
      }
      self.subscriptions[subscription] = nil
      existing.close(.subscriptionDeleted)
    }.get()
  }

  /// Makes a subscription without consumers, so that it is listed.
  func createSubscription(_ subscription: String) async throws {
    try await eventLoop.submit {
      guard self.subscriptions[subscription] == nil else {
        throw BrokerError(.conflict, "Subscription \(subscription) already exists for topic \(self.name)")
      }
      _ = self.subscription(subscription)
    }.get()
  }

  func subscriptionNames() async throws -> [String] {
    try await eventLoop.submit { self.subscriptions.keys.sorted() }.get()
  }

  // MARK: Control

  func apply(_ new: EffectivePolicies) async {
    try? await eventLoop.submit {
      self.policies = new
      self.admission.maximumProducers = new.maxProducers
      self.publishThrottle.apply(new.publishRate)
    }.get()
  }

  /// Whether nobody produces to it or consumes from it.
  func isUnused() async -> Bool {
    (try? await eventLoop.submit {
      self.producers.isEmpty && self.subscriptions.values.allSatisfy { $0.consumers.isEmpty }
    }.get()) ?? true
  }

  func close() async {
    try? await eventLoop.submit {
      self.isClosed = true
      self.sampling?.cancel()
      self.publishThrottle.release()
      for producer in self.producers.values {
        producer.markClosed(mute: false)
        producer.announce(.closedByBroker)
      }
      self.producers = [:]
      for subscription in self.subscriptions.values { subscription.close(.topicClosed) }
      self.subscriptions = [:]
    }.get()
  }

  func stats(_ options: StatsOptions) async throws -> TopicStats {
    try await eventLoop.submit {
      var stats = TopicStats()
      stats.msgRateIn = self.rates.messagesPerSecond
      stats.msgThroughputIn = self.rates.bytesPerSecond
      stats.averageMsgSize = self.rates.averageMessageSize
      stats.msgInCounter = self.counters.messages
      stats.bytesInCounter = self.counters.bytes
      stats.topicCreationTimeStamp = self.createdAtMs
      stats.lastPublishTimeStamp = self.lastPublishMs
      if !options.excludePublishers {
        stats.publishers = self.producers.values.sorted { $0.id < $1.id }.map(\.publisherStats)
      }
      for (name, subscription) in self.subscriptions {
        let of = subscription.stats(excludeConsumers: options.excludeConsumers)
        stats.subscriptions[name] = of
        stats.msgOutCounter += of.msgOutCounter
        stats.bytesOutCounter += of.bytesOutCounter
      }
      return stats
    }.get()
  }
}

extension PublishRequest.Fault {
  var isChecksum: Bool {
    if case .checksum = self { return true }
    return false
  }
}
