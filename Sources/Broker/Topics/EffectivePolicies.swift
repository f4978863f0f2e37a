import Ledgers

/// What holds for one topic: the broker's configuration, overridden by the namespace, overridden by the topic.
public struct EffectivePolicies: Hashable, Sendable {
  /// The regions the topic is replicated to, without the local one.
  public var remoteClusters: Set<String> = []
  /// The regions whose messages the topic takes: those the policies name, if the namespace's allowed clusters are set;
  /// `nil` for every region that proves to be one. The latter is how one-way replication is set up between Pulsar clusters:
  /// only the source's namespace names the other side.
  public var acceptedClusters: Set<String>?
  /// The regions that other policies name and that the namespace's `residencyDeny` keeps its messages out of.
  public var withheldClusters: Set<String> = []
  /// Whether `residencyDeny` keeps the namespace's messages out of this very region.
  public var isLocalDenied = false
  /// Where a new replicator begins in a topic that has messages already.
  public var replicationStartAt: ReplicationStart = .earliest
  /// Whether client producers are deduplicated. Replicated entries always are.
  public var isDeduplicationEnabled = false
  /// Age after which unacknowledged messages are dropped from subscriptions; 0 for never.
  public var messageTTLSeconds = 0
  /// Minutes to keep acknowledged messages; -1 for ever.
  public var retentionTimeMinutes = 0
  /// Mebibytes of acknowledged messages to keep; -1 for no limit.
  public var retentionSizeMB: Int64 = 0
  /// Producers the topic takes, 0 for no limit.
  public var maxProducers = 0
  /// Consumers the topic takes, 0 for no limit.
  public var maxConsumers = 0
  /// Consumers one subscription takes, 0 for no limit.
  public var maxConsumersPerSubscription = 0
  /// Subscriptions the topic takes, 0 for no limit.
  public var maxSubscriptions = 0
  /// Messages a consumer may hold unacknowledged, 0 for no limit; nil for the broker's default.
  public var maxUnackedMessagesPerConsumer: Int?
  /// The same of a whole subscription.
  public var maxUnackedMessagesPerSubscription: Int?
  /// The largest message in bytes.
  public var maxMessageSize = 5 * 1024 * 1024
  /// Whether unencrypted messages are refused.
  public var isEncryptionRequired = false
  /// Whether a consumer creates the subscription it asks for.
  public var allowsAutoSubscriptionCreation = true
  /// How a new schema must relate to earlier ones.
  public var schemaCompatibility: SchemaCompatibilityStrategy = .full
  /// Whether producers may register new schema versions.
  public var allowsSchemaUpdate = true
  /// Whether producers without a schema are refused on topics that have one.
  public var isSchemaValidationEnforced = false
  /// Subscription types allowed; empty for all.
  public var subscriptionTypes: Set<String> = []
  /// Limits of the backlog by `destination_storage` and `message_age`.
  public var backlogQuotas: [String: BacklogQuota] = [:]
  /// Copies of each entry, and how often cursors are saved.
  public var persistence: PersistencePolicies
  /// Groups of bookies that hold the topic's ledgers; nil: any bookie.
  public var bookieAffinity: BookieAffinity?
  /// What clients may publish in a second; nil for no limit.
  public var publishRate: PublishRate?
  /// What is dispatched to all subscriptions together; nil for no limit.
  public var dispatchRate: DispatchRate?
  /// What is dispatched to each subscription; nil for no limit.
  public var subscriptionDispatchRate: DispatchRate?
  /// The same for subscriptions that have a rate of their own, by name.
  public var dispatchRateBySubscription: [String: DispatchRate] = [:]
  /// How often each consumer may subscribe; nil for no limit.
  public var subscribeRate: SubscribeRate?
  /// Whether a topic without clients and backlog is deleted, and after how many seconds.
  public var deletesInactive = true
  /// Seconds without use after which that happens.
  public var inactiveSeconds = 60

  /// What holds for a topic of `namespace` with the topic's own policies, in the region of `configuration`.
  public init(configuration: BrokerConfiguration, namespace: NamespacePolicies, topic: TopicPolicies) {
    let local = configuration.clusterName
    let clusters = topic.replicationClusters ?? namespace.replicationClusters
    let denied = Set(namespace.residencyDeny)
    let named = Set(clusters).subtracting([local])
    remoteClusters = named.subtracting(denied)
    withheldClusters = named.intersection(denied)
    if !namespace.allowedClusters.isEmpty {
      acceptedClusters = named.union(namespace.replicationClusters).union(namespace.allowedClusters)
    }
    isLocalDenied = denied.contains(local)
    replicationStartAt = namespace.replicationStartAt ?? configuration.replicationStartAt
    isDeduplicationEnabled =
      topic.deduplicationEnabled ?? namespace.deduplicationEnabled ?? configuration.brokerDeduplicationEnabled
    messageTTLSeconds =
      topic.messageTTLInSeconds ?? namespace.messageTTLInSeconds ?? configuration.ttlDurationDefaultInSeconds
    let retention = topic.retentionPolicies ?? namespace.retentionPolicies
    retentionTimeMinutes = retention?.retentionTimeInMinutes ?? configuration.defaultRetentionTimeInMinutes
    retentionSizeMB = retention?.retentionSizeInMB ?? Int64(configuration.defaultRetentionSizeInMB)
    maxProducers = topic.maxProducerPerTopic ?? namespace.maxProducersPerTopic ?? configuration.maxProducersPerTopic
    maxConsumers = topic.maxConsumerPerTopic ?? namespace.maxConsumersPerTopic ?? 0
    maxConsumersPerSubscription = topic.maxConsumersPerSubscription ?? namespace.maxConsumersPerSubscription ?? 0
    maxSubscriptions = topic.maxSubscriptionsPerTopic ?? namespace.maxSubscriptionsPerTopic ?? 0
    maxUnackedMessagesPerConsumer = topic.maxUnackedMessagesOnConsumer ?? namespace.maxUnackedMessagesPerConsumer
    maxUnackedMessagesPerSubscription =
      topic.maxUnackedMessagesOnSubscription ?? namespace.maxUnackedMessagesPerSubscription
    maxMessageSize = min(topic.maxMessageSize ?? configuration.maxMessageSize, configuration.maxMessageSize)
    isEncryptionRequired = namespace.encryptionRequired
    allowsAutoSubscriptionCreation =
      topic.autoSubscriptionCreationOverride?.allowAutoSubscriptionCreation
      ?? namespace.autoSubscriptionCreationOverride?.allowAutoSubscriptionCreation
      ?? configuration.allowAutoSubscriptionCreation
    let strategy = topic.schemaCompatibilityStrategy ?? namespace.schemaCompatibilityStrategy ?? .undefined
    schemaCompatibility = strategy == .undefined ? .full : strategy
    allowsSchemaUpdate = namespace.isAllowAutoUpdateSchema ?? true
    isSchemaValidationEnforced = topic.schemaValidationEnforced ?? namespace.schemaValidationEnforced
    subscriptionTypes = Set(topic.subscriptionTypesEnabled ?? namespace.subscriptionTypesEnabled)
    backlogQuotas = topic.backlogQuotaMap ?? namespace.backlogQuotaMap
    persistence =
      topic.persistence ?? namespace.persistence
      ?? PersistencePolicies(
        ensemble: configuration.managedLedgerDefaultEnsembleSize,
        writeQuorum: configuration.managedLedgerDefaultWriteQuorum,
        ackQuorum: configuration.managedLedgerDefaultAckQuorum)
    if persistence.managedLedgerMaxMarkDeleteRate <= 0 {
      persistence.managedLedgerMaxMarkDeleteRate = configuration.managedLedgerDefaultMarkDeleteRateLimit
    }
    bookieAffinity = namespace.bookieAffinityGroup?.affinity
    setRates(configuration, namespace, topic)
    let inactive = topic.inactiveTopicPolicies ?? namespace.inactiveTopicPolicies
    deletesInactive = inactive?.deleteWhileInactive ?? configuration.brokerDeleteInactiveTopicsEnabled
    inactiveSeconds =
      inactive.map(\.maxInactiveDurationSeconds)
      ?? Int(configuration.brokerDeleteInactiveTopicsFrequency.components.seconds)
  }

  private mutating func setRates(
    _ configuration: BrokerConfiguration, _ namespace: NamespacePolicies, _ topic: TopicPolicies
  ) {
    let cluster = configuration.clusterName
    publishRate =
      topic.publishRate ?? namespace.publishMaxMessageRate[cluster]
      ?? PublishRate(
        publishThrottlingRateInMsg: configuration.maxPublishRatePerTopicInMessages,
        publishThrottlingRateInByte: configuration.maxPublishRatePerTopicInBytes)
    dispatchRate =
      topic.dispatchRate ?? namespace.topicDispatchRate[cluster]
      ?? DispatchRate(
        dispatchThrottlingRateInMsg: configuration.dispatchThrottlingRatePerTopicInMsg,
        dispatchThrottlingRateInByte: configuration.dispatchThrottlingRatePerTopicInByte)
    subscriptionDispatchRate =
      topic.subscriptionDispatchRate ?? namespace.subscriptionDispatchRate[cluster]
      ?? DispatchRate(
        dispatchThrottlingRateInMsg: configuration.dispatchThrottlingRatePerSubscriptionInMsg,
        dispatchThrottlingRateInByte: configuration.dispatchThrottlingRatePerSubscriptionInByte)
    dispatchRateBySubscription = topic.dispatchRateBySubscription ?? [:]
    subscribeRate =
      topic.subscribeRate ?? namespace.clusterSubscribeRate[cluster]
      ?? SubscribeRate(
        subscribeThrottlingRatePerConsumer: configuration.subscribeThrottlingRatePerConsumer,
        ratePeriodInSecond: configuration.subscribeRatePeriodPerConsumerInSecond)
  }
}

extension EffectivePolicies {
  /// Throws ``BrokerError`` unless messages of `region` may enter `topic` in the region `local`.
  func requireAccepted(_ region: String, _ topic: TopicName, local: String) throws(BrokerError) {
    if isLocalDenied {
      throw BrokerError(
        .notAllowed,
        "Messages of namespace \(topic.namespace) must not enter region \(local): its residencyDeny names it")
    }
    guard acceptedClusters?.contains(region) != false || region == local else {
      throw BrokerError(
        .notAllowed,
        "Region \(local) takes no messages of region \(region) in namespace \(topic.namespace): its allowed clusters do not "
          + "name it")
    }
  }
}
