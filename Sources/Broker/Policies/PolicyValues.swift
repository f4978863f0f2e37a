/// Who may do what in a namespace: actions (`produce`, `consume`, ...) by role.
public struct AuthPolicies: Codable, Hashable, Sendable {
  /// Actions by role on the whole namespace.
  @Defaulted public var namespaceAuth: [String: [String]] = [:]
  /// Actions by topic, then role.
  @Defaulted public var topicAuth: [String: [String: [String]]] = [:]
  /// Roles by subscription.
  @Defaulted public var subscriptionAuthRoles: [String: [String]] = [:]

  enum CodingKeys: String, CodingKey {
    case namespaceAuth = "namespace_auth"
    case topicAuth = "destination_auth"
    case subscriptionAuthRoles = "subscription_auth_roles"
  }

  /// No rights for anybody.
  public init() {}
}

/// The hash ranges of a namespace.
public struct BundlesData: Codable, Hashable, Sendable {
  /// Limits of the ranges as `0x` and eight hexadecimal digits, one more than there are bundles.
  @Defaulted public var boundaries: [String] = []
  /// Number of bundles.
  @Defaulted public var numBundles: Int = 0

  /// `count` ranges of equal width; `count` is between 1 and 65,536 (callers check).
  public init(count: Int) {
    let count = min(max(count, 1), 65_536)
    numBundles = count
    let width = (UInt64(UInt32.max) + 1) / UInt64(count)
    boundaries = (0...count).map { index in
      let bound = index == count ? UInt64(UInt32.max) : width * UInt64(index)
      let digits = String(bound, radix: 16)
      return "0x" + String(repeating: "0", count: 8 - digits.count) + digits
    }
  }
}

/// The limit of a backlog and what happens beyond it.
public struct BacklogQuota: Codable, Hashable, Sendable {
  /// Key of the size limit in the maps of policies.
  public static let destinationStorage = "destination_storage"
  /// Key of the age limit in the maps of policies.
  public static let messageAge = "message_age"

  /// What happens beyond the limit.
  public enum Policy: String, Codable, Hashable, Sendable {
    /// Producers wait.
    case producerRequestHold = "producer_request_hold"
    /// Producers get an error.
    case producerException = "producer_exception"
    /// The slowest subscription loses its oldest messages.
    case consumerBacklogEviction = "consumer_backlog_eviction"
  }

  /// Bytes; negative: no limit.
  public var limitSize: Int64
  /// Seconds; zero or negative: no limit.
  public var limitTime: Int
  /// What happens beyond the limit.
  public var policy: Policy

  enum CodingKeys: String, CodingKey {
    case limit, limitSize, limitTime, policy
  }

  /// Creates a quota.
  public init(limitSize: Int64 = -1, limitTime: Int = -1, policy: Policy) {
    self.limitSize = limitSize
    self.limitTime = limitTime
    self.policy = policy
  }

  /// Accepts the old name `limit` for `limitSize`.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let old = try container.value(.limit, default: Int64(-1))
    limitSize = try container.value(.limitSize, default: old)
    limitTime = try container.value(.limitTime, default: -1)
    policy = try container.decode(Policy.self, forKey: .policy)
  }

  /// Writes `limit` beside `limitSize`, as Pulsar does.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(limitSize, forKey: .limit)
    try container.encode(limitSize, forKey: .limitSize)
    try container.encode(limitTime, forKey: .limitTime)
    try container.encode(policy, forKey: .policy)
  }
}

/// A limit on dispatching (to consumers or to another cluster); a negative or zero limit is none.
public struct DispatchRate: Codable, Hashable, Sendable {
  /// Messages in each period.
  public var dispatchThrottlingRateInMsg: Int
  /// Bytes in each period.
  public var dispatchThrottlingRateInByte: Int64
  /// Whether the limits are added to the publish rate.
  public var relativeToPublishRate: Bool
  /// Length of the period.
  public var ratePeriodInSecond: Int

  /// Creates a limit; by default there is none.
  public init(
    dispatchThrottlingRateInMsg: Int = -1, dispatchThrottlingRateInByte: Int64 = -1,
    relativeToPublishRate: Bool = false,
    ratePeriodInSecond: Int = 1
  ) {
    self.dispatchThrottlingRateInMsg = dispatchThrottlingRateInMsg
    self.dispatchThrottlingRateInByte = dispatchThrottlingRateInByte
    self.relativeToPublishRate = relativeToPublishRate
    self.ratePeriodInSecond = ratePeriodInSecond
  }

  /// Absent fields mean no limit.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    dispatchThrottlingRateInMsg = try container.value(.dispatchThrottlingRateInMsg, default: -1)
    dispatchThrottlingRateInByte = try container.value(.dispatchThrottlingRateInByte, default: -1)
    relativeToPublishRate = try container.value(.relativeToPublishRate, default: false)
    ratePeriodInSecond = try container.value(.ratePeriodInSecond, default: 1)
  }
}

/// A limit on how often a consumer subscribes.
public struct SubscribeRate: Codable, Hashable, Sendable {
  /// Attempts of each consumer in each period; zero or negative: no limit.
  public var subscribeThrottlingRatePerConsumer: Int
  /// Length of the period.
  public var ratePeriodInSecond: Int

  /// Creates a limit; by default there is none.
  public init(subscribeThrottlingRatePerConsumer: Int = -1, ratePeriodInSecond: Int = 30) {
    self.subscribeThrottlingRatePerConsumer = subscribeThrottlingRatePerConsumer
    self.ratePeriodInSecond = ratePeriodInSecond
  }

  /// Absent fields mean no limit.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    subscribeThrottlingRatePerConsumer = try container.value(.subscribeThrottlingRatePerConsumer, default: -1)
    ratePeriodInSecond = try container.value(.ratePeriodInSecond, default: 30)
  }
}

/// A limit on publishing to a topic, in a second; a negative or zero limit is none.
public struct PublishRate: Codable, Hashable, Sendable {
  /// Messages in a second.
  public var publishThrottlingRateInMsg: Int
  /// Bytes in a second.
  public var publishThrottlingRateInByte: Int64

  /// Creates a limit; by default there is none.
  public init(publishThrottlingRateInMsg: Int = -1, publishThrottlingRateInByte: Int64 = -1) {
    self.publishThrottlingRateInMsg = publishThrottlingRateInMsg
    self.publishThrottlingRateInByte = publishThrottlingRateInByte
  }

  /// Absent fields mean no limit.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    publishThrottlingRateInMsg = try container.value(.publishThrottlingRateInMsg, default: -1)
    publishThrottlingRateInByte = try container.value(.publishThrottlingRateInByte, default: -1)
  }
}

/// How many bookies hold an entry.
public struct PersistencePolicies: Codable, Hashable, Sendable {
  /// Bookies over which a ledger is striped.
  public var bookkeeperEnsemble: Int
  /// Copies of each entry.
  public var bookkeeperWriteQuorum: Int
  /// Copies that are synced before an entry is acknowledged.
  public var bookkeeperAckQuorum: Int
  /// Writes of a cursor's position in a second; zero or negative: the broker's default.
  public var managedLedgerMaxMarkDeleteRate: Double
  /// Stored for tools.
  public var managedLedgerStorageClassName: String?

  /// Creates a policy.
  public init(ensemble: Int, writeQuorum: Int, ackQuorum: Int, maxMarkDeleteRate: Double = 0) {
    bookkeeperEnsemble = ensemble
    bookkeeperWriteQuorum = writeQuorum
    bookkeeperAckQuorum = ackQuorum
    managedLedgerMaxMarkDeleteRate = maxMarkDeleteRate
  }

  /// Absent fields mean Pulsar's defaults: two of everything.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    bookkeeperEnsemble = try container.value(.bookkeeperEnsemble, default: 2)
    bookkeeperWriteQuorum = try container.value(.bookkeeperWriteQuorum, default: 2)
    bookkeeperAckQuorum = try container.value(.bookkeeperAckQuorum, default: 2)
    managedLedgerMaxMarkDeleteRate = try container.value(.managedLedgerMaxMarkDeleteRate, default: 0)
    managedLedgerStorageClassName = try container.decodeIfPresent(String.self, forKey: .managedLedgerStorageClassName)
  }

  private static let largestEnsemble = 64

  /// Refuses quorums that cannot be served: they must satisfy ensemble >= write quorum >= ack quorum > 0.
  public func check() throws(PolicyError) {
    guard bookkeeperEnsemble >= bookkeeperWriteQuorum, bookkeeperWriteQuorum >= bookkeeperAckQuorum,
      bookkeeperAckQuorum > 0
    else {
      throw PolicyError(
        .preconditionFailed,
        "Bookkeeper Ensemble (\(bookkeeperEnsemble)) >= WriteQuorum (\(bookkeeperWriteQuorum)) >= AckQuorum "
          + "(\(bookkeeperAckQuorum)) > 0 does not hold.")
    }
    guard bookkeeperEnsemble <= Self.largestEnsemble else {
      throw PolicyError(
        .preconditionFailed,
        "Bookkeeper Ensemble (\(bookkeeperEnsemble)) is too large: a ledger has at most \(Self.largestEnsemble) bookies."
      )
    }
    guard managedLedgerMaxMarkDeleteRate.isFinite, managedLedgerMaxMarkDeleteRate >= 0 else {
      throw PolicyError(
        .preconditionFailed,
        "Invalid managedLedgerMaxMarkDeleteRate \(managedLedgerMaxMarkDeleteRate): it must not be negative.")
    }
  }
}

/// How long and how much acknowledged data is kept; -1 is without limit, 0 not at all.
public struct RetentionPolicies: Codable, Hashable, Sendable {
  /// Minutes.
  @Defaulted public var retentionTimeInMinutes: Int = 0
  /// Mebibytes.
  @Defaulted public var retentionSizeInMB: Int64 = 0

  /// Creates a policy.
  public init(retentionTimeInMinutes: Int = 0, retentionSizeInMB: Int64 = 0) {
    self.retentionTimeInMinutes = retentionTimeInMinutes
    self.retentionSizeInMB = retentionSizeInMB
  }

  /// Both limits are set or neither: Pulsar refuses one that is zero beside one that is not.
  public func check() throws(PolicyError) {
    guard retentionTimeInMinutes >= -1, retentionSizeInMB >= -1,
      (retentionTimeInMinutes == 0) == (retentionSizeInMB == 0)
    else {
      throw PolicyError(
        .preconditionFailed,
        "Invalid retention policy: both limits must be -1 (no limit) or above, and either both zero or neither.")
    }
    guard retentionTimeInMinutes <= Int(Int32.max), retentionSizeInMB <= Self.largestSizeInMB else {
      throw PolicyError(
        .preconditionFailed,
        "Invalid retention policy: at most \(Int32.max) minutes and \(Self.largestSizeInMB) MB can be kept; "
          + "-1 is without limit.")
    }
  }
}

/// Whether and how topics come into being by being used.
public struct AutoTopicCreationOverride: Codable, Hashable, Sendable {
  /// Whether they do.
  @Defaulted public var allowAutoTopicCreation: Bool = false
  /// `partitioned` or `non-partitioned`.
  public var topicType: String?
  /// Partitions of a new partitioned topic.
  public var defaultNumPartitions: Int?

  /// Creates a policy.
  public init(allowAutoTopicCreation: Bool, topicType: String? = nil, defaultNumPartitions: Int? = nil) {
    self.allowAutoTopicCreation = allowAutoTopicCreation
    self.topicType = topicType
    self.defaultNumPartitions = defaultNumPartitions
  }

  /// Refuses unknown types and partition counts that do not fit the type.
  public func check() throws(PolicyError) {
    guard allowAutoTopicCreation else { return }
    switch topicType {
    case "partitioned":
      guard let defaultNumPartitions, defaultNumPartitions > 0 else {
        throw PolicyError(
          .preconditionFailed,
          "Invalid configuration for autoTopicCreationOverride: defaultNumPartitions must be above 0.")
      }
    case "non-partitioned":
      guard defaultNumPartitions == nil else {
        throw PolicyError(
          .preconditionFailed,
          "Invalid configuration for autoTopicCreationOverride: a non-partitioned topic has no defaultNumPartitions.")
      }
    case let other:
      throw PolicyError(
        .preconditionFailed,
        "Invalid configuration for autoTopicCreationOverride: topicType is \"\(other ?? "")\", expected partitioned or "
          + "non-partitioned.")
    }
  }
}

/// Whether subscriptions come into being by being used.
public struct AutoSubscriptionCreationOverride: Codable, Hashable, Sendable {
  /// Whether they do.
  @Defaulted public var allowAutoSubscriptionCreation: Bool = false

  /// Creates a policy.
  public init(allowAutoSubscriptionCreation: Bool) {
    self.allowAutoSubscriptionCreation = allowAutoSubscriptionCreation
  }
}

/// Delivery of messages at a later time.
public struct DelayedDeliveryPolicies: Codable, Hashable, Sendable {
  /// Precision in milliseconds.
  @Defaulted public var tickTime: Int64 = 0
  /// Whether messages are delayed at all.
  @Defaulted public var active: Bool = false
  /// Longest delay accepted; 0: no limit.
  @Defaulted public var maxDeliveryDelayInMillis: Int64 = 0

  /// Creates a policy.
  public init(tickTime: Int64, active: Bool, maxDeliveryDelayInMillis: Int64 = 0) {
    self.tickTime = tickTime
    self.active = active
    self.maxDeliveryDelayInMillis = maxDeliveryDelayInMillis
  }
}

/// Removal of topics that nobody uses.
public struct InactiveTopicPolicies: Codable, Hashable, Sendable {
  /// `delete_when_no_subscriptions` or `delete_when_subscriptions_caught_up`.
  public var inactiveTopicDeleteMode: String?
  /// Seconds without use.
  @Defaulted public var maxInactiveDurationSeconds: Int = 0
  /// Whether topics are removed at all.
  @Defaulted public var deleteWhileInactive: Bool = false

  /// Creates a policy.
  public init(inactiveTopicDeleteMode: String?, maxInactiveDurationSeconds: Int, deleteWhileInactive: Bool) {
    self.inactiveTopicDeleteMode = inactiveTopicDeleteMode
    self.maxInactiveDurationSeconds = maxInactiveDurationSeconds
    self.deleteWhileInactive = deleteWhileInactive
  }

  /// Refuses unknown modes and durations that are not positive.
  public func check() throws(PolicyError) {
    let modes = ["delete_when_no_subscriptions", "delete_when_subscriptions_caught_up"]
    if let mode = inactiveTopicDeleteMode, !modes.contains(mode) {
      throw PolicyError(
        .badRequest, "Unknown inactiveTopicDeleteMode \"\(mode)\": expected \(modes.joined(separator: " or "))")
    }
    guard maxInactiveDurationSeconds > 0 || !deleteWhileInactive else {
      throw PolicyError(.preconditionFailed, "maxInactiveDurationSeconds must be above 0")
    }
  }
}

/// Server-side filters, by name; stored for tools.
public struct EntryFilters: Codable, Hashable, Sendable {
  /// Comma-separated names.
  public var entryFilterNames: String?

  /// Creates a list of filters.
  public init(entryFilterNames: String?) {
    self.entryFilterNames = entryFilterNames
  }
}

/// Partitions of a partitioned topic.
public struct PartitionedTopicMetadata: Codable, Hashable, Sendable {
  /// Number of partitions; 0: the topic is not partitioned.
  @Defaulted public var partitions: Int = 0
  /// True while the topic is being deleted.
  @Defaulted public var deleted: Bool = false
  /// Free properties.
  public var properties: [String: String]?

  /// Creates a record.
  public init(partitions: Int, properties: [String: String]? = nil) {
    self.partitions = partitions
    self.properties = properties
  }
}
