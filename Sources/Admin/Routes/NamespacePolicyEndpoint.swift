import Broker

/// One policy of a namespace as the REST API shows it: a path below the namespace and how to read, set and clear the field.
struct NamespacePolicyEndpoint: Sendable {
  var path: String
  /// The answer to GET: JSON, or no content when nothing is set.
  var get: @Sendable (NamespacePolicies, _ cluster: String) throws -> AdminResponse
  /// Applies a body.
  var set: @Sendable (inout NamespacePolicies, AdminRequest, _ cluster: String) throws -> Void
  /// Back to "not set".
  var clear: @Sendable (inout NamespacePolicies, _ cluster: String) -> Void

  /// A field that may be unset.
  init<Value: Codable>(
    _ path: String, _ field: WritableKeyPath<NamespacePolicies, Value?> & Sendable, default fallback: Value? = nil,
    check: @escaping @Sendable (Value) throws -> Void = { _ in }
  ) where Value: Sendable {
    self.path = path
    get = { policies, _ in try .optional(policies[keyPath: field] ?? fallback) }
    set = { policies, request, _ in
      let value = try request.value(Value.self, path)
      try check(value)
      policies[keyPath: field] = value
    }
    clear = { policies, _ in policies[keyPath: field] = nil }
  }

  /// A field that always has a value.
  init<Value: Codable & JSONDefault>(
    always path: String, _ field: WritableKeyPath<NamespacePolicies, Value> & Sendable,
    check: @escaping @Sendable (Value) throws -> Void = { _ in }
  ) where Value: Sendable {
    self.path = path
    get = { policies, _ in try .json(policies[keyPath: field]) }
    set = { policies, request, _ in
      let value = try request.value(Value.self, path)
      try check(value)
      policies[keyPath: field] = value
    }
    clear = { policies, _ in policies[keyPath: field] = Value.jsonDefault }
  }

  /// A rate that is kept by cluster: requests see that of the local one.
  init<Value: Codable>(
    perCluster path: String, _ field: WritableKeyPath<NamespacePolicies, [String: Value]> & Sendable
  ) where Value: Sendable {
    self.path = path
    get = { policies, cluster in try .optional(policies[keyPath: field][cluster]) }
    set = { policies, request, cluster in
      policies[keyPath: field][cluster] = try request.value(Value.self, path)
    }
    clear = { policies, cluster in policies[keyPath: field][cluster] = nil }
  }

  /// Refuses negative numbers with 412.
  static func notNegative<Number: BinaryInteger & SendableMetatype>(_ what: String) -> @Sendable (Number) throws -> Void
  {
    { value in
      guard value >= 0 else {
        throw PolicyError(.preconditionFailed, "Invalid value \(value) for \(what): it must not be negative")
      }
    }
  }

  static let all: [NamespacePolicyEndpoint] = [
    .init("messageTTL", \.messageTTLInSeconds, check: notNegative("message TTL")),
    .init("retention", \.retentionPolicies) { try $0.check() },
    .init("persistence", \.persistence) { try $0.check() },
    .init("persistence/bookieAffinity", \.bookieAffinityGroup),
    .init("deduplication", \.deduplicationEnabled),
    .init(
      "deduplicationSnapshotInterval", \.deduplicationSnapshotIntervalSeconds,
      check: notNegative("deduplicationSnapshotInterval")),
    .init(perCluster: "dispatchRate", \.topicDispatchRate),
    .init(perCluster: "subscriptionDispatchRate", \.subscriptionDispatchRate),
    .init(perCluster: "replicatorDispatchRate", \.replicatorDispatchRate),
    .init(perCluster: "subscribeRate", \.clusterSubscribeRate),
    .init(perCluster: "publishRate", \.publishMaxMessageRate),
    .init("autoTopicCreation", \.autoTopicCreationOverride) { try $0.check() },
    .init("autoSubscriptionCreation", \.autoSubscriptionCreationOverride),
    .init("schemaCompatibilityStrategy", \.schemaCompatibilityStrategy, default: .undefined),
    .init("schemaAutoUpdateCompatibilityStrategy", \.schemaAutoUpdateCompatibilityStrategy),
    .init("isAllowAutoUpdateSchema", \.isAllowAutoUpdateSchema, default: true),
    .init(always: "schemaValidationEnforced", \.schemaValidationEnforced),
    .init(
      "subscriptionExpirationTime", \.subscriptionExpirationTimeMinutes,
      check: notNegative("subscription expiration time")),
    .init("maxProducersPerTopic", \.maxProducersPerTopic, check: notNegative("maxProducersPerTopic")),
    .init("maxConsumersPerTopic", \.maxConsumersPerTopic, check: notNegative("maxConsumersPerTopic")),
    .init(
      "maxConsumersPerSubscription", \.maxConsumersPerSubscription, check: notNegative("maxConsumersPerSubscription")),
    .init(
      "maxUnackedMessagesPerConsumer", \.maxUnackedMessagesPerConsumer,
      check: notNegative("maxUnackedMessagesPerConsumer")),
    .init(
      "maxUnackedMessagesPerSubscription", \.maxUnackedMessagesPerSubscription,
      check: notNegative("maxUnackedMessagesPerSubscription")),
    .init("maxSubscriptionsPerTopic", \.maxSubscriptionsPerTopic, check: notNegative("maxSubscriptionsPerTopic")),
    .init("maxTopicsPerNamespace", \.maxTopicsPerNamespace, check: notNegative("maxTopicsPerNamespace")),
    .init("compactionThreshold", \.compactionThreshold, check: notNegative("compactionThreshold")),
    .init("offloadThreshold", \.offloadThreshold, default: -1),
    .init("offloadThresholdInSeconds", \.offloadThresholdInSeconds, default: -1),
    .init("offloadDeletionLagMs", \.offloadDeletionLagMs),
    .init("offloadPolicies", \.offloadPolicies),
    .init("delayedDelivery", \.delayedDeliveryPolicies),
    .init("inactiveTopicPolicies", \.inactiveTopicPolicies) { try $0.check() },
    .init(always: "encryptionRequired", \.encryptionRequired),
    .init("subscriptionAuthMode", \.subscriptionAuthMode, default: "None") { mode in
      guard mode == "None" || mode == "Prefix" else {
        throw PolicyError(.badRequest, "Unknown subscriptionAuthMode \"\(mode)\": expected None or Prefix")
      }
    },
    .init(always: "subscriptionTypesEnabled", \.subscriptionTypesEnabled) { try checkSubscriptionTypes($0) },
    .init("antiAffinity", \.antiAffinityGroup),
    .init("entryFilters", \.entryFilters),
    .init("resourcegroup", \.resourceGroupName),
    .init(always: "properties", \.properties),
    .init("dispatcherPauseOnAckStatePersistent", \.dispatcherPauseOnAckStatePersistentEnabled, default: false),
    .init("allowedTopicPropertyKeysForMetrics", \.allowedTopicPropertyKeysForMetrics),
    .init(always: "migration", \.migrated),
    .init("replicationStartAt", \.replicationStartAt, default: .earliest),
    .init(always: "residencyDeny", \.residencyDeny),
  ]

  /// Refuses names that are not subscription types.
  static func checkSubscriptionTypes(_ types: [String]) throws {
    let known = ["Exclusive", "Shared", "Failover", "Key_Shared"]
    if let unknown = types.first(where: { !known.contains($0) }) {
      throw PolicyError(
        .badRequest, "Unknown subscription type \"\(unknown)\": expected \(known.joined(separator: ", "))")
    }
  }
}

extension AdminRequest {
  /// The body as a policy's value. Pulsar's tools send some strings without quotes.
  func value<Value: Codable>(_ type: Value.Type, _ what: String) throws -> Value {
    do {
      return try json(type, what)
    } catch let error as PolicyError {
      if type == String.self, !isBodyEmpty, body.first != UInt8(ascii: "{"), body.first != UInt8(ascii: "["),
        let text = String(validating: body, as: UTF8.self) as? Value
      {
        return text
      }
      throw error
    }
  }
}
