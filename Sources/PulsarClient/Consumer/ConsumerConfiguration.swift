import NIOCore
import PulsarWire

/// How the consumers of a subscription share its messages.
public enum SubscriptionType: String, Sendable, CaseIterable {
  /// One consumer only.
  case exclusive
  /// Each message goes to any one of the consumers.
  case shared
  /// One consumer gets everything; another takes over when it goes.
  case failover
  /// As `shared`, but messages of one key go to one consumer, in order.
  case keyShared

  var wire: ProtoCommandSubscribe.SubType {
    switch self {
    case .exclusive: .exclusive
    case .shared: .shared
    case .failover: .failover
    case .keyShared: .keyShared
    }
  }

  var redeliversSingleEntries: Bool { self == .shared || self == .keyShared }
}

/// Where a new subscription begins.
public enum InitialPosition: String, Sendable, CaseIterable {
  /// With the oldest message that is there.
  case earliest
  /// With the next message that is published.
  case latest
}

/// How a consumer consumes.
public struct ConsumerConfiguration: Sendable {
  /// How the subscription is shared.
  public var subscriptionType = SubscriptionType.exclusive
  /// Where the subscription begins if it does not exist.
  public var initialPosition = InitialPosition.latest
  /// Shown in the topic's stats; the broker makes one up otherwise.
  public var name: String?
  /// Messages that wait here for ``Consumer/receive()``, for each partition; 1 or more.
  public var receiverQueueSize = 1000
  /// How long acknowledgements are gathered, at most.
  public var acknowledgementGroupTime = TimeAmount.milliseconds(100)
  /// Acknowledgements that are gathered, at most.
  public var acknowledgementGroupSize = 1000
  /// Ask the broker to confirm every acknowledgement; one that a broken connection lost is sent again.
  /// ``Consumer/acknowledgeAndWait(_:)-(MessageID)`` asks for it in any case.
  public var ackReceiptEnabled = false
  /// Acknowledge single messages of a batch. Brokers that do not keep that deliver the whole batch again after a fault.
  public var acknowledgesBatchIndexes = true
  /// How long after ``Consumer/negativeAcknowledge(_:)-(MessageID)`` a message comes again.
  public var negativeAcknowledgementDelay = TimeAmount.seconds(60)
  /// Of several consumers, those with a lower number get messages first.
  public var priorityLevel: Int32 = 0
  /// Read the compacted topic.
  public var readsCompacted = false
  /// Messages in chunks that are put together at one time, for each partition.
  public var maxPendingChunkedMessages = 10
  /// Bytes of a message, decompressed and put together, at most.
  public var maxMessageBytes = 128 << 20
  /// How often a consumer of a partitioned topic asks for partitions that were added; `nil` never does.
  public var autoUpdatePartitionsInterval: TimeAmount? = .seconds(60)
  /// Schema that the messages are expected to have.
  public var schema: ProtoSchema?
  /// Shown in the topic's stats.
  public var properties: [MessageProperty] = []
  /// Kept with the subscription.
  public var subscriptionProperties: [MessageProperty] = []

  /// The defaults.
  public init() {}
}
