import NIOCore
import PulsarWire
import TopicLog

/// A message that was looked at without consuming it.
public struct PeekedMessage: Sendable {
  /// Where its entry is.
  public var position: Position
  /// What the broker noted when it stored it: time, index, origin.
  public var broker: BrokerEntryMetadataView?
  /// What its producer said about it.
  public var metadata: MessageMetadataView
  /// The payload as stored: perhaps compressed, perhaps a batch.
  public var payload: ByteBuffer

  /// A message of its parts.
  public init(
    position: Position, broker: BrokerEntryMetadataView?, metadata: MessageMetadataView, payload: ByteBuffer
  ) {
    self.position = position
    self.broker = broker
    self.metadata = metadata
    self.payload = payload
  }
}

/// What operators do with one topic.
extension Broker {
  /// The statistics of a topic. Throws `topicNotFound`.
  public func topicStats(_ name: TopicName, _ options: StatsOptions = StatsOptions()) async throws -> TopicStats {
    var stats = try await topic(name, createIfMissing: false).stats(options)
    stats.ownerBroker = address.webServiceURL.isEmpty ? address.serviceURL : address.webServiceURL
    return stats
  }

  /// The statistics of every topic that is loaded, by name.
  public func loadedTopicStats(_ options: StatsOptions = StatsOptions()) async -> [TopicName: TopicStats] {
    var all: [TopicName: TopicStats] = [:]
    for topic in directory.all {
      if let stats = try? await topic.stats(options) { all[topic.name] = stats }
    }
    return all
  }

  /// The storage of a topic. Throws `topicNotFound`.
  public func topicInternalStats(_ name: TopicName) async throws -> TopicInternalStats {
    try await existingTopic(name).internalStats()
  }

  /// The loaded topic itself, for replication and tests; nil if it is not loaded or not persistent.
  public func loadedTopic(_ name: TopicName) -> Topic? {
    guard case .persistent(let topic)? = directory.loaded(name) else { return nil }
    return topic
  }

  // MARK: Subscriptions

  /// Names of the subscriptions of a topic, or of all partitions of one.
  public func subscriptions(of name: TopicName) async throws -> [String] {
    if let whole = try await partitionedMetadata(of: name) {
      var names: Set<String> = []
      for index in 0..<whole.partitions where try await exists(name.partition(index)) {
        names.formUnion(try await subscriptions(of: name.partition(index)))
      }
      return names.sorted()
    }
    switch try await topic(name, createIfMissing: false) {
    case .persistent(let topic): return try await topic.onLoop { $0.subscriptions.keys.sorted() }
    case .nonPersistent(let topic): return try await topic.subscriptionNames()
    }
  }

  /// Makes a durable subscription. Throws `conflict` if it exists.
  public func createSubscription(
    _ subscription: String, on name: TopicName, at initial: InitialPosition = .latest, isReplicated: Bool = false,
    properties: [String: String] = [:]
  ) async throws {
    if let whole = try await partitionedMetadata(of: name) {
      for index in 0..<whole.partitions {
        try await createSubscription(
          subscription, on: name.partition(index), at: initial, isReplicated: isReplicated, properties: properties)
      }
      return
    }
    switch try await topic(name, createIfMissing: true) {
    case .nonPersistent(let topic): try await topic.createSubscription(subscription)
    case .persistent(let topic):
      if try await topic.onLoop({ $0.subscriptions[subscription] != nil }) {
        throw BrokerError(.conflict, "Subscription \(subscription) already exists for topic \(name)")
      }
      _ = try await topic.openSubscription(
        subscription, initial: initial, properties: properties, isReplicated: isReplicated)
    }
  }

  /// Deletes a subscription. Connected consumers are a reason to refuse unless `force` is set.
  public func deleteSubscription(_ subscription: String, on name: TopicName, force: Bool) async throws {
    try await onEachPartition(name) { topic in
      switch topic {
      case .persistent(let topic): try await topic.deleteSubscription(subscription, force: force)
      case .nonPersistent(let topic): try await topic.deleteSubscription(subscription, force: force)
      }
    }
  }

  /// Makes the first message published at or after a time the next one for the subscription.
  public func resetCursor(_ subscription: String, on name: TopicName, toTimestampMs ms: Int64) async throws {
    try await onSubscription(subscription, name) { try await $0.seek(toPublishTimeMs: ms) }
  }

  /// Makes `position` the next one for the subscription; with `isExcluded`, the one behind it.
  public func resetCursor(
    _ subscription: String, on name: TopicName, to position: Position, isExcluded: Bool = false
  ) async throws {
    try await onSubscription(subscription, name) { subscription in
      let target =
        isExcluded
        ? try await subscription.eventLoop.submit { subscription.log.position(after: position) }.get() : position
      try await subscription.seek(to: target)
    }
  }

  /// Acknowledges the first `count` entries of the subscription's backlog.
  public func skip(_ count: Int, of subscription: String, on name: TopicName) async throws {
    guard !Topic.isReplicatorCursor(subscription) else { throw BrokerError.replicatorCursor(subscription) }
    try await onSubscription(subscription, name) { try await $0.skip(count) }
  }

  /// Acknowledges the whole backlog of the subscription.
  public func skipAll(of subscription: String, on name: TopicName) async throws {
    guard !Topic.isReplicatorCursor(subscription) else { throw BrokerError.replicatorCursor(subscription) }
    try await onSubscription(subscription, name) { try await $0.skipAll() }
  }

  /// Acknowledges what is older than `seconds`, of one subscription or, if it is nil, of all.
  public func expireMessages(
    olderThanSeconds seconds: Int, of subscription: String?, on name: TopicName
  ) async throws {
    let cutoff = WallClock.nowMs() - Int64(seconds) * 1000
    if let subscription {
      guard !Topic.isReplicatorCursor(subscription) else { throw BrokerError.replicatorCursor(subscription) }
      try await onSubscription(subscription, name) { try await $0.expireMessages(publishedBeforeMs: cutoff) }
      return
    }
    try await onEachPartition(name) { topic in
      guard case .persistent(let topic) = topic else { return }
      for subscription in try await topic.onLoop({ Array($0.subscriptions.values) }) {
        try await subscription.expireMessages(publishedBeforeMs: cutoff)
      }
    }
  }

  /// Acknowledges everything up to a position, with `isExcluded` what is before it. Throws `notAllowed` for the cursor of
  /// a replicator.
  public func expireMessages(
    through position: Position, isExcluded: Bool, of subscription: String, on name: TopicName
  ) async throws {
    guard !Topic.isReplicatorCursor(subscription) else { throw BrokerError.replicatorCursor(subscription) }
    try await onSubscription(subscription, name) {
      try await $0.expireMessages(through: position, isExcluded: isExcluded)
    }
  }

  private func onSubscription<T>(
    _ subscription: String, _ name: TopicName, _ body: @escaping (Subscription) async throws -> T
  ) async throws {
    try await onEachPartition(name) { topic in
      guard case .persistent(let topic) = topic else {
        throw BrokerError(.notAllowed, "\(topic.name) is not persistent: it has no backlog")
      }
      do {
        _ = try await body(topic.existingSubscription(subscription))
      } catch let error as SubscriptionError {
        throw BrokerError(error)
      }
    }
  }

  private func onEachPartition(_ name: TopicName, _ body: (LoadedTopic) async throws -> Void) async throws {
    guard let whole = try await partitionedMetadata(of: name) else {
      return try await body(try await topic(name, createIfMissing: false))
    }
    for index in 0..<whole.partitions {
      try await body(try await topic(name.partition(index), createIfMissing: true, isReplicator: true))
    }
  }

  // MARK: Messages

  /// The `number`th entry, from 1, of a subscription's backlog. Throws `messageNotFound` if it is shorter.
  public func peekMessage(
    _ number: Int, of subscription: String, on name: TopicName
  ) async throws -> PeekedMessage {
    let topic = try await existingTopic(name)
    do {
      guard number > 0, let entry = try await topic.existingSubscription(subscription).peek(number) else {
        throw BrokerError(.messageNotFound, "Message not found: the backlog of \(subscription) has no entry \(number)")
      }
      return try Self.peeked(entry)
    } catch let error as SubscriptionError {
      throw BrokerError(error)
    }
  }

  /// The entry at a position. Throws `messageNotFound`.
  public func message(at position: Position, of name: TopicName) async throws -> PeekedMessage {
    let topic = try await existingTopic(name)
    guard let entry = try await topic.read(from: position, maxEntries: 1).first, entry.position == position else {
      throw BrokerError(.messageNotFound, "Message not found: \(name) has no entry at \(position)")
    }
    return try Self.peeked(entry)
  }

  /// The `number`th entry, from 1, counted from the oldest or from the newest that is stored. Throws `messageNotFound`.
  public func examineMessage(_ number: Int, fromLatest: Bool, of name: TopicName) async throws -> PeekedMessage {
    let topic = try await existingTopic(name)
    let position = try await topic.onLoop { topic -> Position? in
      let total = Int(clamping: topic.log.totalEntries)
      guard total > 0, let first = topic.log.firstPosition else { return nil }
      let steps = fromLatest ? max(0, total - max(1, number)) : min(max(1, number), total) - 1
      var position = first
      for _ in 0..<steps { position = topic.log.position(after: position) }
      return position
    }
    guard let position else { throw BrokerError(.messageNotFound, "Could not examine messages: \(name) is empty") }
    return try await message(at: position, of: name)
  }

  /// The first entry published at or after a time; nil if there is none.
  public func position(publishedSinceMs ms: Int64, in name: TopicName) async throws -> Position? {
    try await existingTopic(name).position(publishedSinceMs: ms)
  }

  /// The entry that holds the message of an index, as brokers count the messages of a topic; nil if there is none.
  public func position(ofIndex index: Int64, in name: TopicName) async throws -> Position? {
    let topic = try await existingTopic(name)
    // An entry's own index is that of its last message.
    return try await topic.log.findPosition { entry in
      guard let last = (try? EntryHeader.parse(entry.payload))?.brokerEntryMetadata?.index else { return true }
      return last < index
    }
  }

  private static func peeked(_ entry: LogEntry) throws -> PeekedMessage {
    do {
      let header = try EntryHeader.parse(entry.payload)
      return PeekedMessage(
        position: entry.position, broker: header.brokerEntryMetadata,
        metadata: try MessageMetadataView(header.metadata), payload: header.payload)
    } catch {
      throw BrokerError(.persistence, "The entry at \(entry.position) cannot be understood: \(error)")
    }
  }

  /// The id of the last message; entry -1 if there is none.
  public func lastMessageID(of name: TopicName) async throws -> MessageIDData {
    try await existingTopic(name).lastMessageID()
  }

  /// Bytes from a position (inclusive) to the end.
  public func backlogSize(of name: TopicName, from position: Position) async throws -> Int64 {
    try await existingTopic(name).onLoop { $0.log.sizeInBytes(from: position) }
  }

  // MARK: Schemas

  /// The topic's schema, or one version of it. Throws `schemaNotFound`.
  public func schema(of name: TopicName, version: Int64? = nil) async throws -> SchemaRecord {
    _ = try await namespacePolicies(name.namespace)
    let record: SchemaRecord?
    if let version {
      record = try await schemas.get(name, version: version)
    } else {
      record = try await schemas.latest(name)
    }
    guard let record else { throw BrokerError(.schemaNotFound, "Schema not found for topic \(name)") }
    return record
  }

  /// Every version of the topic's schema, oldest first.
  public func schemaVersions(of name: TopicName) async throws -> [SchemaRecord] {
    _ = try await namespacePolicies(name.namespace)
    return try await schemas.versions(name)
  }

  /// Registers a schema; one that is known keeps its version. Throws `incompatibleSchema`.
  @discardableResult
  public func postSchema(_ schema: SchemaDefinition, to name: TopicName) async throws -> SchemaRecord {
    let policies = try await effectivePolicies(name, namespacePolicies(name.namespace))
    return try await schemas.register(
      name, schema, strategy: policies.schemaCompatibility, isUpdateAllowed: policies.allowsSchemaUpdate)
  }

  /// Deletes the topic's schema: marks it as deleted, or with `force` removes all versions. Returns the mark's version.
  @discardableResult
  public func deleteSchema(of name: TopicName, force: Bool) async throws -> Int64? {
    _ = try await namespacePolicies(name.namespace)
    return try await schemas.delete(name, force: force)
  }

  /// Why a schema could not be registered and the strategy in force; the reason is nil if it could.
  public func schemaObjection(
    to schema: SchemaDefinition, of name: TopicName
  ) async throws -> (reason: String?, strategy: SchemaCompatibilityStrategy) {
    let policies = try await effectivePolicies(name, namespacePolicies(name.namespace))
    let reason = try await schemas.objection(name, to: schema, strategy: policies.schemaCompatibility)
    return (reason, policies.schemaCompatibility)
  }
}

extension Topic {
  static func isReplicatorCursor(_ name: String) -> Bool { cluster(ofCursor: name) != nil }
}

extension BrokerError {
  static func replicatorCursor(_ name: String) -> BrokerError {
    BrokerError(
      .notAllowed, "\(name) is a replicator's position: moving it would lose messages that its region has not received")
  }
}
