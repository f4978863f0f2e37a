/// Everything an operator can set on a namespace: Pulsar's `Policies`, with its exact JSON names, and Meridian's additions.
///
/// An absent field (nil, empty map) means "the broker's default". Rates are kept by cluster name, as Pulsar stores them:
/// a broker applies the entry of its own cluster.
public struct NamespacePolicies: Codable, Hashable, Sendable {
  /// Who may do what.
  public var authPolicies: AuthPolicies?
  /// Clusters between which the namespace is replicated.
  @Defaulted public var replicationClusters: [String] = []
  /// Clusters that topics of the namespace may be replicated to; empty: the replication clusters.
  @Defaulted public var allowedClusters: [String] = []
  /// Hash ranges of the namespace.
  public var bundles: BundlesData?
  /// Limits of the backlog by `destination_storage` and `message_age`.
  @Defaulted public var backlogQuotaMap: [String: BacklogQuota] = [:]
  /// Dispatch rate of the whole cluster; stored for tools.
  @Defaulted public var clusterDispatchRate: [String: DispatchRate] = [:]
  /// Dispatch rate of each topic, by cluster.
  @Defaulted public var topicDispatchRate: [String: DispatchRate] = [:]
  /// Dispatch rate of each subscription, by cluster.
  @Defaulted public var subscriptionDispatchRate: [String: DispatchRate] = [:]
  /// Rate of each replicator, by cluster.
  @Defaulted public var replicatorDispatchRate: [String: DispatchRate] = [:]
  /// Subscribe rate of each consumer, by cluster.
  @Defaulted public var clusterSubscribeRate: [String: SubscribeRate] = [:]
  /// Copies of each entry.
  public var persistence: PersistencePolicies?
  /// Whether producers' sequence ids are checked.
  public var deduplicationEnabled: Bool?
  /// Automatic creation of topics.
  public var autoTopicCreationOverride: AutoTopicCreationOverride?
  /// Automatic creation of subscriptions.
  public var autoSubscriptionCreationOverride: AutoSubscriptionCreationOverride?
  /// Publish rate of each topic, by cluster.
  @Defaulted public var publishMaxMessageRate: [String: PublishRate] = [:]
  /// Stored for tools.
  @Defaulted public var latencyStatsSampleRate: [String: Int] = [:]
  /// Age after which unacknowledged messages expire; nil or 0: never.
  public var messageTTLInSeconds: Int?
  /// Minutes without consumers after which a subscription is removed; nil or 0: never.
  public var subscriptionExpirationTimeMinutes: Int?
  /// How long and how much acknowledged data is kept.
  public var retentionPolicies: RetentionPolicies?
  /// True while the namespace is being deleted.
  @Defaulted public var deleted: Bool = false
  /// Whether unencrypted messages are refused.
  @Defaulted public var encryptionRequired: Bool = false
  /// Delayed delivery.
  public var delayedDeliveryPolicies: DelayedDeliveryPolicies?
  /// Removal of unused topics.
  public var inactiveTopicPolicies: InactiveTopicPolicies?
  /// `None` or `Prefix`; nil means `None`.
  public var subscriptionAuthMode: String?
  /// Limit of producers of a topic; 0: none.
  public var maxProducersPerTopic: Int?
  /// Limit of consumers of a topic; 0: none.
  public var maxConsumersPerTopic: Int?
  /// Limit of consumers of a subscription; 0: none.
  public var maxConsumersPerSubscription: Int?
  /// Limit of unacknowledged messages of a consumer; 0: none.
  public var maxUnackedMessagesPerConsumer: Int?
  /// Limit of unacknowledged messages of a subscription; 0: none.
  public var maxUnackedMessagesPerSubscription: Int?
  /// Limit of subscriptions of a topic; 0: none.
  public var maxSubscriptionsPerTopic: Int?
  /// Backlog in bytes that triggers compaction.
  public var compactionThreshold: Int64?
  /// Stored for tools.
  public var offloadThreshold: Int64?
  /// Stored for tools.
  public var offloadThresholdInSeconds: Int64?
  /// Stored for tools.
  public var offloadDeletionLagMs: Int64?
  /// Limit of topics of the namespace; 0: none.
  public var maxTopicsPerNamespace: Int?
  /// Old form of the compatibility strategy; stored for tools.
  public var schemaAutoUpdateCompatibilityStrategy: String?
  /// How a new schema must relate to the earlier ones; nil means `UNDEFINED` (the broker's default).
  public var schemaCompatibilityStrategy: SchemaCompatibilityStrategy?
  /// Whether producers may register new schema versions.
  public var isAllowAutoUpdateSchema: Bool?
  /// Whether producers without a schema are refused on topics that have one.
  @Defaulted public var schemaValidationEnforced: Bool = false
  /// Stored for tools.
  public var offloadPolicies: JSONValue?
  /// Seconds between snapshots of deduplication state.
  public var deduplicationSnapshotIntervalSeconds: Int?
  /// Subscription types allowed; empty: all.
  @Defaulted public var subscriptionTypesEnabled: [String] = []
  /// Stored for tools.
  public var allowedTopicPropertyKeysForMetrics: [String]?
  /// Free properties.
  @Defaulted public var properties: [String: String] = [:]
  /// Stored for tools.
  public var resourceGroupName: String?
  /// Whether the namespace was migrated to another cluster.
  @Defaulted public var migrated: Bool = false
  /// Stored for tools.
  public var dispatcherPauseOnAckStatePersistentEnabled: Bool?
  /// Server-side filters.
  public var entryFilters: EntryFilters?
  /// Stored for tools.
  public var antiAffinityGroup: String?
  /// Groups of bookies that hold the namespace's ledgers; nil: any bookie. Counts for ledgers made from now on.
  public var bookieAffinityGroup: BookieAffinityGroup?
  /// Where a new replicator starts in a topic that already holds data (Meridian's own; nil means the
  /// broker's default).
  public var replicationStartAt: ReplicationStart?

  /// Regions that messages of the namespace must never enter, whatever other policies say (Meridian's own).
  @Defaulted public var residencyDeny: [String] = []

  enum CodingKeys: String, CodingKey {
    case authPolicies = "auth_policies"
    case replicationClusters = "replication_clusters"
    case allowedClusters = "allowed_clusters"
    case bundles
    case backlogQuotaMap = "backlog_quota_map"
    case clusterDispatchRate, topicDispatchRate, subscriptionDispatchRate, replicatorDispatchRate
    case clusterSubscribeRate, persistence, deduplicationEnabled
    case autoTopicCreationOverride, autoSubscriptionCreationOverride, publishMaxMessageRate
    case latencyStatsSampleRate = "latency_stats_sample_rate"
    case messageTTLInSeconds = "message_ttl_in_seconds"
    case subscriptionExpirationTimeMinutes = "subscription_expiration_time_minutes"
    case retentionPolicies = "retention_policies"
    case deleted
    case encryptionRequired = "encryption_required"
    case delayedDeliveryPolicies = "delayed_delivery_policies"
    case inactiveTopicPolicies = "inactive_topic_policies"
    case subscriptionAuthMode = "subscription_auth_mode"
    case maxProducersPerTopic = "max_producers_per_topic"
    case maxConsumersPerTopic = "max_consumers_per_topic"
    case maxConsumersPerSubscription = "max_consumers_per_subscription"
    case maxUnackedMessagesPerConsumer = "max_unacked_messages_per_consumer"
    case maxUnackedMessagesPerSubscription = "max_unacked_messages_per_subscription"
    case maxSubscriptionsPerTopic = "max_subscriptions_per_topic"
    case compactionThreshold = "compaction_threshold"
    case offloadThreshold = "offload_threshold"
    case offloadThresholdInSeconds = "offload_threshold_in_seconds"
    case offloadDeletionLagMs = "offload_deletion_lag_ms"
    case maxTopicsPerNamespace = "max_topics_per_namespace"
    case schemaAutoUpdateCompatibilityStrategy = "schema_auto_update_compatibility_strategy"
    case schemaCompatibilityStrategy = "schema_compatibility_strategy"
    case isAllowAutoUpdateSchema = "is_allow_auto_update_schema"
    case schemaValidationEnforced = "schema_validation_enforced"
    case offloadPolicies = "offload_policies"
    case deduplicationSnapshotIntervalSeconds
    case subscriptionTypesEnabled = "subscription_types_enabled"
    case allowedTopicPropertyKeysForMetrics = "allowed_topic_property_keys_for_metrics"
    case properties
    case resourceGroupName = "resource_group_name"
    case migrated, dispatcherPauseOnAckStatePersistentEnabled, entryFilters
    case antiAffinityGroup, bookieAffinityGroup, replicationStartAt, residencyDeny
  }

  /// Policies in which nothing is set.
  public init() {}

  /// Policies that name only the replication clusters.
  public init(replicationClusters: [String]) {
    self.replicationClusters = replicationClusters
  }
}

/// Where a new replicator starts in a topic that already holds data.
public enum ReplicationStart: String, Codable, Hashable, Sendable {
  /// From the oldest message that the log still holds.
  case earliest
  /// With the next message published.
  case latest
}
