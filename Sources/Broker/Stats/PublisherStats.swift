/// A producer connected to a topic, under Pulsar's names.
public struct PublisherStats: Codable, Hashable, Sendable {
  /// `Shared`, `Exclusive`, `WaitForExclusive` or `ExclusiveWithFencing`.
  public var accessMode: String?
  /// Messages a second.
  @Defaulted public var msgRateIn: Double = 0
  /// Bytes a second.
  @Defaulted public var msgThroughputIn: Double = 0
  /// Bytes.
  @Defaulted public var averageMsgSize: Double = 0
  /// Chunked messages a second.
  @Defaulted public var chunkedMessageRate: Double = 0
  /// Id on its connection.
  @Defaulted public var producerId: Int64 = 0
  /// Whether the client creates partitions' producers lazily.
  @Defaulted public var supportsPartialProducer: Bool = false
  /// Name, unique on the topic.
  public var producerName: String?
  /// Address of the client.
  public var address: String?
  /// Since when, ISO 8601.
  public var connectedSince: String?
  /// Version that the client states.
  public var clientVersion: String?
  /// Properties that the client set.
  @Defaulted public var metadata: [String: String] = [:]
  /// Messages a second dropped; only on non-persistent topics.
  public var msgDropRate: Double?

  /// All zero.
  public init() {}
}
