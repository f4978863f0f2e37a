/// A subscription of a topic, under Pulsar's names. Timestamps are milliseconds since 1970, 0 for never.
public struct SubscriptionStats: Codable, Hashable, Sendable {
  /// Messages a second sent to consumers.
  @Defaulted public var msgRateOut: Double = 0
  /// Bytes a second sent to consumers.
  @Defaulted public var msgThroughputOut: Double = 0
  /// Bytes sent to consumers.
  @Defaulted public var bytesOutCounter: Int64 = 0
  /// Messages sent to consumers.
  @Defaulted public var msgOutCounter: Int64 = 0
  /// Messages a second sent again.
  @Defaulted public var msgRateRedeliver: Double = 0
  /// Acknowledgements a second.
  @Defaulted public var messageAckRate: Double = 0
  /// Chunked messages a second.
  @Defaulted public var chunkedMessageRate: Int = 0
  /// Entries not acknowledged.
  @Defaulted public var msgBacklog: Int64 = 0
  /// Bytes not acknowledged; -1 when not computed.
  @Defaulted public var backlogSize: Int64 = 0
  /// Publish time of the oldest message not acknowledged; 0 when not computed.
  @Defaulted public var earliestMsgPublishTimeInBacklog: Int64 = 0
  /// Backlog without delayed messages.
  @Defaulted public var msgBacklogNoDelayed: Int64 = 0
  /// Whether nothing is sent because nothing is acknowledged.
  @Defaulted public var blockedSubscriptionOnUnackedMsgs: Bool = false
  /// Delayed messages.
  @Defaulted public var msgDelayed: Int64 = 0
  /// Messages waiting to be sent again.
  @Defaulted public var msgInReplay: Int64 = 0
  /// Messages sent and not acknowledged.
  @Defaulted public var unackedMessages: Int64 = 0
  /// `Exclusive`, `Shared`, `Failover` or `Key_Shared`.
  public var type: String?
  /// The consumer that gets the messages (Failover and Exclusive).
  public var activeConsumerName: String?
  /// Messages a second that expired.
  @Defaulted public var msgRateExpired: Double = 0
  /// Messages that expired.
  @Defaulted public var msgExpired: Int64 = 0
  /// Messages that expired since the topic was loaded.
  @Defaulted public var totalMsgExpired: Int64 = 0
  /// Last expiry check.
  @Defaulted public var lastExpireTimestamp: Int64 = 0
  /// Last FLOW.
  @Defaulted public var lastConsumedFlowTimestamp: Int64 = 0
  /// Last message sent.
  @Defaulted public var lastConsumedTimestamp: Int64 = 0
  /// Last acknowledgement.
  @Defaulted public var lastAckedTimestamp: Int64 = 0
  /// Last advance of the mark-delete position.
  @Defaulted public var lastMarkDeleteAdvancedTimestamp: Int64 = 0
  /// Connected consumers.
  @Defaulted public var consumers: [ConsumerStats] = []
  /// Whether the cursor survives a restart.
  @Defaulted public var isDurable: Bool = false {
    didSet { durable = isDurable }
  }
  /// Whether its position is replicated.
  @Defaulted public var isReplicated: Bool = false {
    didSet { replicated = isReplicated }
  }
  /// Whether keys may be delivered out of order (Key_Shared).
  @Defaulted public var allowOutOfOrderDelivery: Bool = false
  /// `AUTO_SPLIT` or `STICKY` (Key_Shared).
  public var keySharedMode: String?
  /// Consumers and where they joined (Key_Shared).
  @Defaulted public var consumersAfterMarkDeletePosition: [String: String] = [:]
  /// Key hashes that wait for acknowledgements.
  @Defaulted public var drainingHashesCount: Int = 0
  /// Key hashes that got theirs.
  @Defaulted public var drainingHashesClearedTotal: Int64 = 0
  /// Messages these hashes wait for.
  @Defaulted public var drainingHashesUnackedMessages: Int = 0
  /// Ranges acknowledged beyond the mark-delete position.
  @Defaulted public var nonContiguousDeletedMessagesRanges: Int = 0
  /// Their size in bytes when stored.
  @Defaulted public var nonContiguousDeletedMessagesRangesSerializedSize: Int = 0
  /// Memory of the delayed-delivery index.
  @Defaulted public var delayedMessageIndexSizeInBytes: Int64 = 0
  /// Properties.
  @Defaulted public var subscriptionProperties: [String: String] = [:]
  /// Entries filters looked at.
  @Defaulted public var filterProcessedMsgCount: Int64 = 0
  /// Entries filters accepted.
  @Defaulted public var filterAcceptedMsgCount: Int64 = 0
  /// Entries filters rejected.
  @Defaulted public var filterRejectedMsgCount: Int64 = 0
  /// Entries filters put off.
  @Defaulted public var filterRescheduledMsgCount: Int64 = 0
  /// Throttled by the subscription's message rate.
  @Defaulted public var dispatchThrottledMsgEventsBySubscriptionLimit: Int64 = 0
  /// Throttled by the subscription's byte rate.
  @Defaulted public var dispatchThrottledBytesEventsBySubscriptionLimit: Int64 = 0
  /// Throttled by the topic's message rate.
  @Defaulted public var dispatchThrottledMsgEventsByTopicLimit: Int64 = 0
  /// Throttled by the topic's byte rate.
  @Defaulted public var dispatchThrottledBytesEventsByTopicLimit: Int64 = 0
  /// Throttled by the broker's message rate.
  @Defaulted public var dispatchThrottledMsgEventsByBrokerLimit: Int64 = 0
  /// Throttled by the broker's byte rate.
  @Defaulted public var dispatchThrottledBytesEventsByBrokerLimit: Int64 = 0
  /// Second spelling of `isDurable` on the wire; follows it.
  @Defaulted public private(set) var durable: Bool = false
  /// Second spelling of `isReplicated` on the wire; follows it.
  @Defaulted public private(set) var replicated: Bool = false

  /// All zero.
  public init() {}
}
