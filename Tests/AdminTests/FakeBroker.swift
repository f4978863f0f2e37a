import Broker
import NIOConcurrencyHelpers
import NIOCore
import PulsarWire
import TopicLog

@testable import Admin

/// A broker in memory: names, subscriptions and schemas, no messages.
final class FakeBroker: BrokerAdministration {
  struct State {
    var topics: [TopicName: Set<String>] = [:]
    var schemas: [TopicName: [SchemaRecord]] = [:]
    var calls: [String] = []
    var peeked: PeekedMessage?
  }

  let policies: PolicyStore
  let state = NIOLockedValueBox(State())

  init(policies: PolicyStore) {
    self.policies = policies
  }

  var calls: [String] { state.withLockedValue { $0.calls } }

  private func note(_ call: String) { state.withLockedValue { $0.calls.append(call) } }

  private func missing(_ name: TopicName) -> BrokerError { BrokerError(.topicNotFound, "Topic \(name) does not exist") }

  private func require(_ name: TopicName, subscription: String? = nil) throws {
    try state.withLockedValue { state in
      guard let names = state.topics[name] else { throw missing(name) }
      if let subscription, !names.contains(subscription) {
        throw BrokerError(.subscriptionNotFound, "Subscription \(subscription) of \(name) does not exist")
      }
    }
  }

  func createTopic(_ name: TopicName, properties: [String: String]) async throws {
    try state.withLockedValue { state in
      guard state.topics[name] == nil else { throw BrokerError(.conflict, "This topic already exists: \(name)") }
      state.topics[name] = []
    }
  }

  func createPartitionedTopic(_ name: TopicName, partitions: Int, properties: [String: String]) async throws {
    try await policies.createPartitionedTopic(
      name, PartitionedTopicMetadata(partitions: partitions, properties: properties.isEmpty ? nil : properties))
    state.withLockedValue { state in
      for index in 0..<partitions { state.topics[name.partition(index)] = [] }
    }
  }

  func updatePartitions(_ name: TopicName, to partitions: Int) async throws {
    try await policies.updatePartitionedTopic(name) { $0.partitions = partitions }
  }

  func createMissingPartitions(of name: TopicName) async throws { note("createMissing \(name)") }

  func partitions(of name: TopicName, allowAutoCreation: Bool) async throws -> Int {
    if let known = try await policies.partitions(of: name) { return known.partitions }
    if allowAutoCreation {
      state.withLockedValue { $0.topics[name] = $0.topics[name] ?? [] }
    } else {
      try require(name)
    }
    return 0
  }

  func listTopics(in namespace: NamespaceName, mode: TopicListMode) async throws -> [TopicName] {
    state.withLockedValue { Array($0.topics.keys) }.filter { name in
      guard name.namespace == namespace else { return false }
      switch mode {
      case .all: return true
      case .persistent: return name.isPersistent
      case .nonPersistent: return !name.isPersistent
      }
    }.sorted()
  }

  func deleteTopic(_ name: TopicName, force: Bool) async throws {
    try require(name)
    state.withLockedValue { $0.topics[name] = nil }
  }

  func deletePartitionedTopic(_ name: TopicName, force: Bool) async throws {
    state.withLockedValue { state in
      state.topics = state.topics.filter { $0.key.partitionedTopic != name }
    }
    try await policies.removePartitionedTopic(name)
  }

  func deleteTopics(in namespace: NamespaceName, force: Bool) async throws {
    state.withLockedValue { state in state.topics = state.topics.filter { $0.key.namespace != namespace } }
  }

  func unloadTopic(_ name: TopicName) async throws {
    try require(name)
    note("unload \(name)")
  }

  func terminateTopic(_ name: TopicName) async throws -> Position {
    try require(name)
    return Position(ledgerID: 7, entryID: 8)
  }

  func trimTopic(_ name: TopicName) async throws { try require(name) }

  func topicStats(_ name: TopicName, _ options: StatsOptions) async throws -> TopicStats {
    try require(name)
    var stats = TopicStats()
    stats.msgInCounter = 5
    for subscription in state.withLockedValue({ $0.topics[name] ?? [] }) {
      stats.subscriptions[subscription] = SubscriptionStats()
    }
    return stats
  }

  func topicInternalStats(_ name: TopicName) async throws -> TopicInternalStats {
    try require(name)
    var stats = TopicInternalStats()
    stats.lastConfirmedEntry = "7:8"
    return stats
  }

  func loadedTopicStats(_ options: StatsOptions) async -> [TopicName: TopicStats] {
    state.withLockedValue { $0.topics.mapValues { _ in TopicStats() } }
  }

  func subscriptions(of name: TopicName) async throws -> [String] {
    try require(name)
    return state.withLockedValue { $0.topics[name]?.sorted() ?? [] }
  }

  func createSubscription(
    _ subscription: String, on name: TopicName, at initial: InitialPosition, isReplicated: Bool,
    properties: [String: String]
  ) async throws {
    try require(name)
    let isNew = state.withLockedValue { $0.topics[name, default: []].insert(subscription).inserted }
    guard isNew else { throw BrokerError(.conflict, "Subscription already exists for topic") }
    note("subscribe \(subscription) \(initial)")
  }

  func deleteSubscription(_ subscription: String, on name: TopicName, force: Bool) async throws {
    try require(name, subscription: subscription)
    state.withLockedValue { _ = $0.topics[name]?.remove(subscription) }
  }

  func resetCursor(_ subscription: String, on name: TopicName, toTimestampMs ms: Int64) async throws {
    try require(name, subscription: subscription)
    note("reset \(subscription) \(ms)")
  }

  func resetCursor(_ subscription: String, on name: TopicName, to position: Position, isExcluded: Bool) async throws {
    try require(name, subscription: subscription)
    note("reset \(subscription) \(position) \(isExcluded)")
  }

  func skip(_ count: Int, of subscription: String, on name: TopicName) async throws {
    try require(name, subscription: subscription)
    note("skip \(subscription) \(count)")
  }

  func skipAll(of subscription: String, on name: TopicName) async throws {
    try require(name, subscription: subscription)
    note("skipAll \(subscription) \(name)")
  }

  func expireMessages(olderThanSeconds seconds: Int, of subscription: String?, on name: TopicName) async throws {
    try require(name, subscription: subscription)
    note("expire \(subscription ?? "all") \(seconds)")
  }

  func expireMessages(
    through position: Position, isExcluded: Bool, of subscription: String, on name: TopicName
  ) async throws {
    try require(name, subscription: subscription)
    note("expire \(subscription) \(position) \(isExcluded)")
  }

  func peekMessage(_ number: Int, of subscription: String, on name: TopicName) async throws -> PeekedMessage {
    try require(name, subscription: subscription)
    guard number == 1, let message = state.withLockedValue({ $0.peeked }) else {
      throw BrokerError(.messageNotFound, "Message not found")
    }
    return message
  }

  func message(at position: Position, of name: TopicName) async throws -> PeekedMessage {
    throw BrokerError(.messageNotFound, "Message not found")
  }

  func examineMessage(_ number: Int, fromLatest: Bool, of name: TopicName) async throws -> PeekedMessage {
    throw BrokerError(.messageNotFound, "Message not found")
  }

  func position(publishedSinceMs ms: Int64, in name: TopicName) async throws -> Position? { nil }

  func position(ofIndex index: Int64, in name: TopicName) async throws -> Position? {
    try require(name)
    return index <= 9 ? Position(ledgerID: 7, entryID: 8) : nil
  }

  func lastMessageID(of name: TopicName) async throws -> MessageIDData {
    try require(name)
    return MessageIDData(ledgerID: 7, entryID: 8)
  }

  func backlogSize(of name: TopicName, from position: Position) async throws -> Int64 { 100 }

  func lookup(_ name: TopicName) async throws -> BrokerAddress {
    guard policies.cachedPolicies(for: name.namespace) != nil else {
      throw BrokerError(.namespaceNotFound, "Namespace \(name.namespace) does not exist: create it first")
    }
    return BrokerAddress(
      serviceURL: "pulsar://localhost:6650", serviceURLTLS: "", webServiceURL: "http://localhost:8080",
      webServiceURLTLS: "")
  }

  func schema(of name: TopicName, version: Int64?) async throws -> SchemaRecord {
    let all = state.withLockedValue { $0.schemas[name] ?? [] }
    guard let found = version == nil ? all.last : all.first(where: { $0.version == version }) else {
      throw BrokerError(.schemaNotFound, "Schema not found for topic \(name)")
    }
    return found
  }

  func schemaVersions(of name: TopicName) async throws -> [SchemaRecord] {
    state.withLockedValue { $0.schemas[name] ?? [] }
  }

  func postSchema(_ schema: SchemaDefinition, to name: TopicName) async throws -> SchemaRecord {
    throw BrokerError(.incompatibleSchema, "The schema of \(name) is incompatible")
  }

  func deleteSchema(of name: TopicName, force: Bool) async throws -> Int64? { 1 }

  func schemaObjection(
    to schema: SchemaDefinition, of name: TopicName
  ) async throws -> (reason: String?, strategy: SchemaCompatibilityStrategy) {
    (schema.type == .json ? nil : "another type", .full)
  }
}
