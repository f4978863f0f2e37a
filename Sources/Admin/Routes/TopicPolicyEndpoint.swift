import Broker

/// One policy of a topic as the REST API shows it; `applied=true` falls back to the namespace's.
struct TopicPolicyEndpoint: Sendable {
  var path: String
  /// The answer to GET; the namespace's policies are given if what applies is asked for.
  var get: @Sendable (TopicPolicies, NamespacePolicies?, _ cluster: String) throws -> AdminResponse
  /// Applies a body.
  var set: @Sendable (inout TopicPolicies, AdminRequest) throws -> Void
  /// Back to "not set".
  var clear: @Sendable (inout TopicPolicies) -> Void

  init<Value: Codable & Sendable>(
    _ path: String, _ field: WritableKeyPath<TopicPolicies, Value?> & Sendable,
    namespace: @escaping @Sendable (NamespacePolicies, _ cluster: String) -> Value? = { _, _ in nil },
    check: @escaping @Sendable (Value) throws -> Void = { _ in }
  ) {
    self.path = path
    get = { own, inherited, cluster in
      try .optional(own[keyPath: field] ?? inherited.flatMap { namespace($0, cluster) })
    }
    set = { policies, request in
      let value = try request.value(Value.self, path)
      try check(value)
      policies[keyPath: field] = value
    }
    clear = { $0[keyPath: field] = nil }
  }

  private static func notNegative<Number: BinaryInteger & SendableMetatype>(_ what: String)
    -> @Sendable (Number) throws -> Void
  {
    NamespacePolicyEndpoint.notNegative(what)
  }

  static let all: [TopicPolicyEndpoint] = [
    .init("backlogQuotaMap", \.backlogQuotaMap, namespace: { policies, _ in policies.backlogQuotaMap }),
    .init("retention", \.retentionPolicies, namespace: { policies, _ in policies.retentionPolicies }) {
      try $0.check()
    },
    .init("persistence", \.persistence, namespace: { policies, _ in policies.persistence }) { try $0.check() },
    .init(
      "deduplicationEnabled", \.deduplicationEnabled, namespace: { policies, _ in policies.deduplicationEnabled }),
    .init(
      "deduplicationSnapshotInterval", \.deduplicationSnapshotIntervalSeconds,
      namespace: { policies, _ in policies.deduplicationSnapshotIntervalSeconds },
      check: notNegative("deduplicationSnapshotInterval")),
    .init(
      "maxProducers", \.maxProducerPerTopic, namespace: { policies, _ in policies.maxProducersPerTopic },
      check: notNegative("maxProducers")),
    .init(
      "maxConsumers", \.maxConsumerPerTopic, namespace: { policies, _ in policies.maxConsumersPerTopic },
      check: notNegative("maxConsumers")),
    .init(
      "maxConsumersPerSubscription", \.maxConsumersPerSubscription,
      namespace: { policies, _ in policies.maxConsumersPerSubscription },
      check: notNegative("maxConsumersPerSubscription")),
    .init(
      "maxUnackedMessagesOnConsumer", \.maxUnackedMessagesOnConsumer,
      namespace: { policies, _ in policies.maxUnackedMessagesPerConsumer },
      check: notNegative("maxUnackedMessagesOnConsumer")),
    .init(
      "maxUnackedMessagesOnSubscription", \.maxUnackedMessagesOnSubscription,
      namespace: { policies, _ in policies.maxUnackedMessagesPerSubscription },
      check: notNegative("maxUnackedMessagesOnSubscription")),
    .init(
      "maxSubscriptionsPerTopic", \.maxSubscriptionsPerTopic,
      namespace: { policies, _ in policies.maxSubscriptionsPerTopic }, check: notNegative("maxSubscriptionsPerTopic")),
    .init("maxMessageSize", \.maxMessageSize, check: notNegative("maxMessageSize")),
    .init("delayedDelivery", \.delayedDelivery, namespace: { policies, _ in policies.delayedDeliveryPolicies }),
    .init(
      "inactiveTopicPolicies", \.inactiveTopicPolicies, namespace: { policies, _ in policies.inactiveTopicPolicies }
    ) {
      try $0.check()
    },
    .init("dispatchRate", \.dispatchRate, namespace: { policies, cluster in policies.topicDispatchRate[cluster] }),
    .init(
      "subscriptionDispatchRate", \.subscriptionDispatchRate,
      namespace: { policies, cluster in policies.subscriptionDispatchRate[cluster] }),
    .init(
      "replicatorDispatchRate", \.replicatorDispatchRate,
      namespace: { policies, cluster in policies.replicatorDispatchRate[cluster] }),
    .init("publishRate", \.publishRate, namespace: { policies, cluster in policies.publishMaxMessageRate[cluster] }),
    .init("subscribeRate", \.subscribeRate, namespace: { policies, cluster in policies.clusterSubscribeRate[cluster] }),
    .init(
      "compactionThreshold", \.compactionThreshold, namespace: { policies, _ in policies.compactionThreshold },
      check: notNegative("compactionThreshold")),
    .init("offloadPolicies", \.offloadPolicies, namespace: { policies, _ in policies.offloadPolicies }),
    .init(
      "schemaCompatibilityStrategy", \.schemaCompatibilityStrategy,
      namespace: { policies, _ in policies.schemaCompatibilityStrategy }),
    .init(
      "schemaValidationEnforced", \.schemaValidationEnforced,
      namespace: { policies, _ in policies.schemaValidationEnforced }),
    .init("entryFilters", \.entryFilters, namespace: { policies, _ in policies.entryFilters }),
    .init(
      "autoSubscriptionCreation", \.autoSubscriptionCreationOverride,
      namespace: { policies, _ in policies.autoSubscriptionCreationOverride }),
    .init(
      "subscriptionTypesEnabled", \.subscriptionTypesEnabled,
      namespace: { policies, _ in policies.subscriptionTypesEnabled }
    ) { try NamespacePolicyEndpoint.checkSubscriptionTypes($0) },
    .init(
      "dispatcherPauseOnAckStatePersistent", \.dispatcherPauseOnAckStatePersistentEnabled,
      namespace: { policies, _ in policies.dispatcherPauseOnAckStatePersistentEnabled }),
    .init("shadowTopics", \.shadowTopics),
  ]
}
