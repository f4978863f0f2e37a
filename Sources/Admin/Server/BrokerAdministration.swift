import Broker
import PulsarWire
import TopicLog

/// What the admin API asks of a broker. `Broker` is one; tests have a small one in memory.
///
/// The API itself spreads a call on a partitioned topic over its partitions. Refusals are `BrokerError`s.
public protocol BrokerAdministration: Sendable {
  /// Creates a topic that is not partitioned; `conflict` if it exists.
  func createTopic(_ name: TopicName, properties: [String: String]) async throws
  /// Creates a partitioned topic; `conflict` if a topic of the name exists.
  func createPartitionedTopic(_ name: TopicName, partitions: Int, properties: [String: String]) async throws
  /// Adds partitions; refuses to take any away.
  func updatePartitions(_ name: TopicName, to partitions: Int) async throws
  /// Makes the partitions that do not exist.
  func createMissingPartitions(of name: TopicName) async throws
  /// Partitions of a topic, 0 for one that is not partitioned; `topicNotFound`.
  func partitions(of name: TopicName, allowAutoCreation: Bool) async throws -> Int
  /// The topics of a namespace, partitions one by one, in order.
  func listTopics(in namespace: NamespaceName, mode: TopicListMode) async throws -> [TopicName]
  /// Deletes a topic or one partition; without `force` only if nobody uses it.
  func deleteTopic(_ name: TopicName, force: Bool) async throws
  /// Deletes a partitioned topic with its partitions.
  func deletePartitionedTopic(_ name: TopicName, force: Bool) async throws
  /// Deletes everything in a namespace but its own record.
  func deleteTopics(in namespace: NamespaceName, force: Bool) async throws
  /// Closes a topic; it is loaded again when it is used.
  func unloadTopic(_ name: TopicName) async throws
  /// Ends a topic: nothing more can be published; returns its last position.
  func terminateTopic(_ name: TopicName) async throws -> Position
  /// Removes what all subscriptions have passed, at once.
  func trimTopic(_ name: TopicName) async throws
  /// Figures of a topic.
  func topicStats(_ name: TopicName, _ options: StatsOptions) async throws -> TopicStats
  /// Storage of a topic.
  func topicInternalStats(_ name: TopicName) async throws -> TopicInternalStats
  /// Figures of every loaded topic; for metrics.
  func loadedTopicStats(_ options: StatsOptions) async -> [TopicName: TopicStats]
  /// Names of subscriptions.
  func subscriptions(of name: TopicName) async throws -> [String]
  /// Creates a subscription; `conflict` if it exists.
  func createSubscription(
    _ subscription: String, on name: TopicName, at initial: InitialPosition, isReplicated: Bool,
    properties: [String: String]
  ) async throws
  /// Deletes a subscription; without `force` only if no consumer is connected.
  func deleteSubscription(_ subscription: String, on name: TopicName, force: Bool) async throws
  /// Makes the first message published at or after a time (ms since 1970) the next one.
  func resetCursor(_ subscription: String, on name: TopicName, toTimestampMs ms: Int64) async throws
  /// Makes a position, or with `isExcluded` the one behind it, the next one.
  func resetCursor(_ subscription: String, on name: TopicName, to position: Position, isExcluded: Bool) async throws
  /// Skips the next `count` entries.
  func skip(_ count: Int, of subscription: String, on name: TopicName) async throws
  /// Skips everything.
  func skipAll(of subscription: String, on name: TopicName) async throws
  /// Skips what is older than `seconds`, for one subscription or, if it is nil, for all.
  func expireMessages(olderThanSeconds seconds: Int, of subscription: String?, on name: TopicName) async throws
  /// Skips everything up to a position, or with `isExcluded` what is before it.
  func expireMessages(
    through position: Position, isExcluded: Bool, of subscription: String, on name: TopicName
  ) async throws
  /// The `number`th entry, from 1, of a subscription's backlog; `messageNotFound`.
  func peekMessage(_ number: Int, of subscription: String, on name: TopicName) async throws -> PeekedMessage
  /// The entry at a position; `messageNotFound`.
  func message(at position: Position, of name: TopicName) async throws -> PeekedMessage
  /// The `number`th stored entry, from 1, from the oldest or the newest; `messageNotFound`.
  func examineMessage(_ number: Int, fromLatest: Bool, of name: TopicName) async throws -> PeekedMessage
  /// The first entry published at or after a time; nil if there is none.
  func position(publishedSinceMs ms: Int64, in name: TopicName) async throws -> Position?
  /// The entry that has the message of an index (see `brokerEntryMetadata`); nil if there is none.
  func position(ofIndex index: Int64, in name: TopicName) async throws -> Position?
  /// The last message's id; entry -1 if there is none.
  func lastMessageID(of name: TopicName) async throws -> MessageIDData
  /// Bytes from a position (inclusive) to the end.
  func backlogSize(of name: TopicName, from position: Position) async throws -> Int64
  /// Where a topic is served; `namespaceNotFound`.
  func lookup(_ name: TopicName) async throws -> BrokerAddress
  /// A version of a topic's schema, nil: the latest; `schemaNotFound`.
  func schema(of name: TopicName, version: Int64?) async throws -> SchemaRecord
  /// All versions, oldest first.
  func schemaVersions(of name: TopicName) async throws -> [SchemaRecord]
  /// Registers a schema, or finds it; `incompatibleSchema`.
  func postSchema(_ schema: SchemaDefinition, to name: TopicName) async throws -> SchemaRecord
  /// Deletes a topic's schema; returns the version of the mark, if one was made.
  func deleteSchema(of name: TopicName, force: Bool) async throws -> Int64?
  /// Why a schema could not be registered (nil: it could), and the strategy in force.
  func schemaObjection(
    to schema: SchemaDefinition, of name: TopicName
  ) async throws -> (reason: String?, strategy: SchemaCompatibilityStrategy)
}

extension Broker: BrokerAdministration {}
