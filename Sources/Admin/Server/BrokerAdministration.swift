import Broker
import NIOCore
import TopicLog

/// What the admin API asks of a broker. `Broker` is one; tests have a small one in memory.
///
/// Names of partitions are topics of their own here: the API itself spreads a call on a partitioned topic over its
/// partitions. Refusals are `BrokerError`s.
public protocol BrokerAdministration: Sendable {
  /// Creates a topic that is not partitioned; `conflict` if it exists.
  func createTopic(_ topic: TopicName, properties: [String: String]) async throws
  /// Creates a partitioned topic; `conflict` if a topic of the name exists.
  func createPartitionedTopic(_ topic: TopicName, partitions: Int, properties: [String: String]) async throws
  /// Adds partitions; `conflict` if there would be fewer.
  func updatePartitions(of topic: TopicName, to partitions: Int) async throws
  /// Partitions of a topic, 0 for one that is not partitioned; creates it as the policies say if `autoCreate`; `topicNotFound`.
  func partitionMetadata(of topic: TopicName, autoCreate: Bool) async throws -> PartitionedTopicMetadata
  /// The topics of a namespace and domain (nil: both), partitions one by one, in order.
  func topics(in namespace: NamespaceName, domain: TopicDomain?) async throws -> [TopicName]
  /// Deletes a topic or one partition; without `force` only if nobody is connected.
  func deleteTopic(_ topic: TopicName, force: Bool) async throws
  /// Deletes a partitioned topic with its partitions.
  func deletePartitionedTopic(_ topic: TopicName, force: Bool) async throws
  /// Closes a topic; it is loaded again when it is used.
  func unloadTopic(_ topic: TopicName) async throws
  /// Ends a topic: nothing more can be published; returns its last position.
  func terminateTopic(_ topic: TopicName) async throws -> Position
  /// Removes what all subscriptions have passed, at once.
  func trimTopic(_ topic: TopicName) async throws
  /// Figures of a topic.
  func stats(of topic: TopicName, options: StatsOptions) async throws -> TopicStats
  /// Storage of a topic.
  func internalStats(of topic: TopicName) async throws -> TopicInternalStats
  /// Figures of every loaded topic; for metrics.
  func loadedTopicStats() async -> [(topic: TopicName, stats: TopicStats)]
  /// Names of subscriptions.
  func subscriptions(of topic: TopicName) async throws -> [String]
  /// Creates a subscription whose next message is at or after `position`; `conflict` if it exists.
  func createSubscription(
    _ name: String, of topic: TopicName, at position: Position, properties: [String: String]
  ) async throws
  /// Deletes a subscription; without `force` only if no consumer is connected (`preconditionFailed`).
  func deleteSubscription(_ name: String, of topic: TopicName, force: Bool) async throws
  /// Sets a subscription back (or forth) to the first message published at or after a time, in ms since 1970.
  func resetCursor(_ name: String, of topic: TopicName, toTimestampMs: Int64) async throws
  /// Sets a subscription to a position, which is delivered next.
  func resetCursor(_ name: String, of topic: TopicName, to position: Position) async throws
  /// Skips the next `count` entries of a subscription.
  func skipMessages(_ count: Int, on name: String, of topic: TopicName) async throws
  /// Skips everything.
  func skipAllMessages(on name: String, of topic: TopicName) async throws
  /// Skips what is older than `seconds`.
  func expireMessages(olderThanSeconds seconds: Int, on name: String, of topic: TopicName) async throws
  /// The stored entry of the `index`-th message (from 1) that a subscription has not acknowledged.
  func peekMessage(_ index: Int, on name: String, of topic: TopicName) async throws -> StoredEntry
  /// The stored entry at a position.
  func entry(at position: Position, of topic: TopicName) async throws -> StoredEntry
  /// The last message's position; entry -1 if there is none.
  func lastMessageID(of topic: TopicName) async throws -> Position
  /// Where a topic is served; `namespaceNotFound`, `topicNotFound`.
  func lookup(_ topic: TopicName) async throws -> BrokerAddress
  /// A version of a topic's schema (nil: the latest); nil if there is none.
  func schema(of topic: TopicName, version: Int64?) async throws -> SchemaRecord?
  /// All versions, oldest first.
  func schemas(of topic: TopicName) async throws -> [SchemaRecord]
  /// Registers a schema, or finds it; returns its version; `incompatibleSchema`.
  func putSchema(_ schema: SchemaDefinition, of topic: TopicName) async throws -> Int64
  /// Deletes all versions; returns the version of the deletion.
  func deleteSchema(of topic: TopicName) async throws -> Int64
  /// Whether a schema could be registered.
  func isCompatible(_ schema: SchemaDefinition, with topic: TopicName) async throws -> Bool
}

/// An entry as a topic stores it.
public struct StoredEntry: Sendable {
  /// Where it is.
  public var position: Position
  /// The stored bytes: broker's part, checksum, metadata and payload.
  public var bytes: ByteBuffer

  /// An entry of its parts.
  public init(position: Position, bytes: ByteBuffer) {
    self.position = position
    self.bytes = bytes
  }
}
