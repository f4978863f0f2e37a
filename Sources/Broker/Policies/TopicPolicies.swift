/// What an operator can set on one topic; an absent field falls back to the namespace, then to the broker.
public struct TopicPolicies: Codable, Hashable, Sendable {
  /// Limits of the backlog by `destination_storage` and `message_age`.
  public var backlogQuotaMap: [String: BacklogQuota]?
  /// Subscription types allowed.
  public var subscriptionTypesEnabled: [String]?
  /// Clusters between which the topic is replicated.
  public var replicationClusters: [String]?
  /// Stored for tools.
  public var shadowTopics: [String]?
  /// Copies of each entry.
  public var persistence: PersistencePolicies?
  /// How long and how much acknowledged data is kept.
  public var retentionPolicies: RetentionPolicies?
  /// Whether producers' sequence ids are checked.
  public var deduplicationEnabled: Bool?
  /// Age after which unacknowledged messages expire.
  public var messageTTLInSeconds: Int?
  /// Limit of producers; 0: none.
  public var maxProducerPerTopic: Int?
  /// Limit of consumers; 0: none.
  public var maxConsumerPerTopic: Int?
  /// Limit of consumers of a subscription; 0: none.
  public var maxConsumersPerSubscription: Int?
  /// Limit of unacknowledged messages of a consumer; 0: none.
  public var maxUnackedMessagesOnConsumer: Int?
  /// Limit of unacknowledged messages of a subscription; 0: none.
  public var maxUnackedMessagesOnSubscription: Int?
  /// Limit of subscriptions; 0: none.
  public var maxSubscriptionsPerTopic: Int?
  /// Limit of a message in bytes; 0: the broker's.
  public var maxMessageSize: Int?
  /// Delayed delivery.
  public var delayedDelivery: DelayedDeliveryPolicies?
  /// Removal when unused.
  public var inactiveTopicPolicies: InactiveTopicPolicies?
  /// Dispatch rate of the topic.
  public var dispatchRate: DispatchRate?
  /// Dispatch rate of each subscription.
  public var subscriptionDispatchRate: DispatchRate?
  /// Dispatch rates by subscription.
  public var dispatchRateBySubscription: [String: DispatchRate]?
  /// Rate of each replicator.
  public var replicatorDispatchRate: DispatchRate?
  /// Publish rate.
  public var publishRate: PublishRate?
  /// Subscribe rate of each consumer.
  public var subscribeRate: SubscribeRate?
  /// Backlog in bytes that triggers compaction.
  public var compactionThreshold: Int64?
  /// Seconds between snapshots of deduplication state.
  public var deduplicationSnapshotIntervalSeconds: Int?
  /// Stored for tools.
  public var offloadPolicies: JSONValue?
  /// How a new schema must relate to the earlier ones.
  public var schemaCompatibilityStrategy: SchemaCompatibilityStrategy?
  /// Whether producers without a schema are refused when the topic has one.
  public var schemaValidationEnforced: Bool?
  /// Server-side filters.
  public var entryFilters: EntryFilters?
  /// Automatic creation of subscriptions.
  public var autoSubscriptionCreationOverride: AutoSubscriptionCreationOverride?
  /// Stored for tools.
  public var dispatcherPauseOnAckStatePersistentEnabled: Bool?
  /// Rights on the topic: actions by role.
  public var permissions: [String: [String]]?
  /// Free properties of a topic that is not partitioned.
  public var properties: [String: String]?

  /// Policies in which nothing is set.
  public init() {}

  /// Whether nothing is set.
  public var isEmpty: Bool { self == TopicPolicies() }

  /// These policies, with `fallback` where nothing is set.
  public func merged(over fallback: TopicPolicies) -> TopicPolicies {
    var result = self
    func fill<Value>(_ path: WritableKeyPath<TopicPolicies, Value?>) {
      if result[keyPath: path] == nil { result[keyPath: path] = fallback[keyPath: path] }
    }
    fill(\.backlogQuotaMap)
    fill(\.subscriptionTypesEnabled)
    fill(\.replicationClusters)
    fill(\.shadowTopics)
    fill(\.persistence)
    fill(\.retentionPolicies)
    fill(\.deduplicationEnabled)
    fill(\.messageTTLInSeconds)
    fill(\.maxProducerPerTopic)
    fill(\.maxConsumerPerTopic)
    fill(\.maxConsumersPerSubscription)
    fill(\.maxUnackedMessagesOnConsumer)
    fill(\.maxUnackedMessagesOnSubscription)
    fill(\.maxSubscriptionsPerTopic)
    fill(\.maxMessageSize)
    fill(\.delayedDelivery)
    fill(\.inactiveTopicPolicies)
    fill(\.dispatchRate)
    fill(\.subscriptionDispatchRate)
    fill(\.dispatchRateBySubscription)
    fill(\.replicatorDispatchRate)
    fill(\.publishRate)
    fill(\.subscribeRate)
    fill(\.compactionThreshold)
    fill(\.deduplicationSnapshotIntervalSeconds)
    fill(\.offloadPolicies)
    fill(\.schemaCompatibilityStrategy)
    fill(\.schemaValidationEnforced)
    fill(\.entryFilters)
    fill(\.autoSubscriptionCreationOverride)
    fill(\.dispatcherPauseOnAckStatePersistentEnabled)
    fill(\.permissions)
    fill(\.properties)
    return result
  }
}

/// The two scopes of a topic's policies: local ones hold in this cluster, global ones wherever the topic is replicated.
public struct TopicPolicyRecord: Codable, Hashable, Sendable {
  /// Policies of this cluster only.
  @Defaulted public var local = TopicPolicies()
  /// Policies meant for every cluster.
  @Defaulted public var global = TopicPolicies()

  /// Nothing set in either scope.
  public init() {}

  /// What applies here: local over global.
  public var effective: TopicPolicies { local.merged(over: global) }

  /// Whether nothing is set in either scope.
  public var isEmpty: Bool { local.isEmpty && global.isEmpty }
}

extension TopicPolicies: JSONDefault {
  /// Nothing set.
  public static var jsonDefault: TopicPolicies { TopicPolicies() }
}
