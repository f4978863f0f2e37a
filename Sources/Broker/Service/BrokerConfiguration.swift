import Transport

/// What a broker needs to know about itself and its limits. Names in parentheses are Pulsar's for the same setting.
public struct BrokerConfiguration: Sendable {
  /// The region this broker serves (`clusterName`).
  public var clusterName: String
  /// Which life of the region this is: a region rebuilt from nothing under the same name has another one.
  public var incarnation: UInt64 = 1
  /// The address to listen on (`bindAddress`).
  public var bindAddress: String = "127.0.0.1"
  /// The port for plain connections, 0 for any free one, nil for none (`brokerServicePort`).
  public var brokerServicePort: Int? = 6650
  /// The port for TLS connections, 0 for any free one, nil for none (`brokerServicePortTls`).
  public var brokerServicePortTLS: Int?
  /// Certificates for the TLS port; required when there is one.
  public var tls: TLSConfiguration?
  /// Whether a Pulsar cluster's replicator has to come over TLS with a verified certificate that names its cluster
  /// (`replicationRequiresClientCertificate`). Without that, whoever reaches a port may publish in another region's name.
  /// A stream of a Meridian region always has to.
  public var replicationRequiresClientCertificate: Bool = true
  /// Where a new replicator begins in a topic that has messages already, unless the namespace says so
  /// (`replicationStartAt`).
  public var replicationStartAt: ReplicationStart = .earliest
  /// The host name that clients are told to connect to (`advertisedAddress`).
  public var advertisedAddress: String = "127.0.0.1"
  /// Where the admin API of this broker is, told to clients that look topics up over HTTP. Set before or after start.
  public var webServiceURL: String = ""
  /// The same over TLS; empty for none.
  public var webServiceURLTLS: String = ""

  /// The largest message, metadata and payload, in bytes (`maxMessageSize`).
  public var maxMessageSize: Int = 5 * 1024 * 1024
  /// Publishes of one connection that may be in flight before its socket is no longer read
  /// (`maxPendingPublishRequestsPerConnection`). Ten times Pulsar's default: the producers of a client share a connection
  /// and may each have 1,000 messages under way, and on a slow disk throughput is what is in flight over a sync's time;
  /// memory is bounded by the limits in bytes.
  public var maxPendingPublishRequestsPerConnection: Int = 10_000
  /// The same in bytes.
  public var maxPendingPublishBytesPerConnection: Int = 64 * 1024 * 1024
  /// Bytes of publishes of all connections that may be in flight before those that publish are no longer read, 0 for no
  /// limit (`maxMessagePublishBufferSizeInMB`).
  public var maxMessagePublishBufferSize: Int = 512 * 1024 * 1024
  /// Requests of one connection other than publishes that may be worked on before its socket is no longer read.
  public var maxPendingRequestsPerConnection: Int = 1000
  /// Lookups, partition counts and topic lists that the broker works on at once; more are refused, 0 for no limit
  /// (`maxConcurrentLookupRequest`).
  public var maxConcurrentLookupRequest: Int = 50_000
  /// Whether a connection that does not take what it is sent is no longer read, so that its requests cannot pile up
  /// answers (`pulsarChannelPauseReceivingRequestsIfUnwritable`).
  public var pulsarChannelPauseReceivingRequestsIfUnwritable: Bool = true
  /// Messages a second that clients may publish to the whole broker, 0 for no limit
  /// (`brokerPublisherThrottlingMaxMessageRate`).
  public var brokerPublisherThrottlingMaxMessageRate: Int = 0
  /// The same in bytes (`brokerPublisherThrottlingMaxByteRate`).
  public var brokerPublisherThrottlingMaxByteRate: Int64 = 0
  /// Messages a second that clients may publish to a topic unless a policy says otherwise, 0 for no limit
  /// (`maxPublishRatePerTopicInMessages`).
  public var maxPublishRatePerTopicInMessages: Int = 0
  /// The same in bytes (`maxPublishRatePerTopicInBytes`).
  public var maxPublishRatePerTopicInBytes: Int64 = 0
  /// Messages a second dispatched from a topic unless a policy says otherwise, 0 for no limit
  /// (`dispatchThrottlingRatePerTopicInMsg`).
  public var dispatchThrottlingRatePerTopicInMsg: Int = 0
  /// The same in bytes (`dispatchThrottlingRatePerTopicInByte`).
  public var dispatchThrottlingRatePerTopicInByte: Int64 = 0
  /// Messages a second dispatched from a subscription unless a policy says otherwise, 0 for no limit
  /// (`dispatchThrottlingRatePerSubscriptionInMsg`).
  public var dispatchThrottlingRatePerSubscriptionInMsg: Int = 0
  /// The same in bytes (`dispatchThrottlingRatePerSubscriptionInByte`).
  public var dispatchThrottlingRatePerSubscriptionInByte: Int64 = 0
  /// How often a consumer may subscribe within the period unless a policy says otherwise, 0 for no limit
  /// (`subscribeThrottlingRatePerConsumer`).
  public var subscribeThrottlingRatePerConsumer: Int = 0
  /// That period (`subscribeRatePeriodPerConsumerInSecond`).
  public var subscribeRatePeriodPerConsumerInSecond: Int = 30
  /// How often an idle connection is pinged (`keepAliveIntervalSeconds`); one that is silent for two of them is closed.
  public var keepAliveInterval: Duration = .seconds(30)

  /// Whether producers, consumers and lookups create topics that do not exist (`allowAutoTopicCreation`).
  public var allowAutoTopicCreation: Bool = true
  /// Partitions of an auto-created topic; 0 creates it unpartitioned (`allowAutoTopicCreationType`,
  /// `defaultNumPartitions`).
  public var defaultNumPartitions: Int = 0
  /// The most partitions a topic may have (`maxNumPartitionsPerPartitionedTopic`).
  public var maxNumPartitionsPerPartitionedTopic: Int = 4096
  /// Whether a consumer creates the subscription it asks for (`allowAutoSubscriptionCreation`).
  public var allowAutoSubscriptionCreation: Bool = true
  /// Producers that one topic takes, 0 for no limit (`maxProducersPerTopic`).
  public var maxProducersPerTopic: Int = 0
  /// Whether topics deduplicate by producer name and sequence id unless a policy says otherwise
  /// (`brokerDeduplicationEnabled`).
  public var brokerDeduplicationEnabled: Bool = false
  /// Entries after which the deduplication state is saved (`brokerDeduplicationEntriesInterval`).
  public var brokerDeduplicationEntriesInterval: Int = 1000
  /// Time after which it is saved (`brokerDeduplicationSnapshotIntervalSeconds`).
  public var brokerDeduplicationSnapshotInterval: Duration = .seconds(120)
  /// Producers whose last sequence id one topic remembers (`brokerDeduplicationMaxNumberOfProducers`).
  public var brokerDeduplicationMaxNumberOfProducers: Int = 10_000
  /// Whether a topic without clients and backlog is deleted (`brokerDeleteInactiveTopicsEnabled`).
  public var brokerDeleteInactiveTopicsEnabled: Bool = true
  /// How long it must have been so, and how often that is looked at (`brokerDeleteInactiveTopicsFrequencySeconds`).
  public var brokerDeleteInactiveTopicsFrequency: Duration = .seconds(60)
  /// How often acknowledged data is trimmed (`retentionCheckIntervalInSeconds`).
  public var retentionCheckInterval: Duration = .seconds(120)
  /// How often expired messages are dropped from subscriptions (`messageExpiryCheckIntervalInMinutes`).
  public var messageExpiryCheckInterval: Duration = .seconds(300)
  /// Message time to live unless a policy says otherwise, 0 for none (`ttlDurationDefaultInSeconds`).
  public var ttlDurationDefaultInSeconds: Int = 0
  /// Retention unless a policy says otherwise (`defaultRetentionTimeInMinutes`); 0 keeps nothing, -1 everything.
  public var defaultRetentionTimeInMinutes: Int = 0
  /// The same by size (`defaultRetentionSizeInMB`).
  public var defaultRetentionSizeInMB: Int = 0
  /// Memory for the tails of all topics' logs, in bytes (`managedLedgerCacheSizeMB`).
  public var managedLedgerCacheSize: Int = 256 * 1024 * 1024
  /// Copies of each entry by default (`managedLedgerDefaultEnsembleSize`).
  public var managedLedgerDefaultEnsembleSize: Int = 3
  /// The same (`managedLedgerDefaultWriteQuorum`).
  public var managedLedgerDefaultWriteQuorum: Int = 2
  /// The same (`managedLedgerDefaultAckQuorum`).
  public var managedLedgerDefaultAckQuorum: Int = 2
  /// How often a cursor's position is saved at most, in a second (`managedLedgerDefaultMarkDeleteRateLimit`).
  public var managedLedgerDefaultMarkDeleteRateLimit: Double = 1
  /// How often the age of a backlog is compared with its quota (`backlogQuotaCheckIntervalInSeconds`).
  public var backlogQuotaCheckInterval: Duration = .seconds(60)
  /// How long a graceful stop waits for topics to close.
  public var shutdownTimeout: Duration = .seconds(5)

  /// A broker of region `clusterName` with the defaults.
  public init(clusterName: String) {
    self.clusterName = clusterName
  }
}

/// Where the owner of a topic is reached.
public struct BrokerAddress: Hashable, Sendable {
  /// `pulsar://host:port`; empty if the owner has no plain port.
  public var serviceURL: String
  /// `pulsar+ssl://host:port`; empty if the owner has no TLS port.
  public var serviceURLTLS: String
  /// `http://host:port` of the admin API; empty if unknown.
  public var webServiceURL: String
  /// The same over TLS; empty if there is none.
  public var webServiceURLTLS: String

  /// An address of its four parts.
  public init(serviceURL: String, serviceURLTLS: String, webServiceURL: String, webServiceURLTLS: String) {
    self.serviceURL = serviceURL
    self.serviceURLTLS = serviceURLTLS
    self.webServiceURL = webServiceURL
    self.webServiceURLTLS = webServiceURLTLS
  }
}
