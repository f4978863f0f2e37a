/// A consumer connected to a subscription, under Pulsar's names. Timestamps are milliseconds since 1970, 0 for never.
public struct ConsumerStats: Codable, Hashable, Sendable {
  /// Role of the client.
  public var appId: String?
  /// Messages a second sent to it.
  @Defaulted public var msgRateOut: Double = 0
  /// Bytes a second sent to it.
  @Defaulted public var msgThroughputOut: Double = 0
  /// Bytes sent to it.
  @Defaulted public var bytesOutCounter: Int64 = 0
  /// Messages sent to it.
  @Defaulted public var msgOutCounter: Int64 = 0
  /// Messages a second sent to it again.
  @Defaulted public var msgRateRedeliver: Double = 0
  /// Acknowledgements a second.
  @Defaulted public var messageAckRate: Double = 0
  /// Chunked messages a second.
  @Defaulted public var chunkedMessageRate: Double = 0
  /// Name.
  public var consumerName: String?
  /// Messages it is ready to take.
  @Defaulted public var availablePermits: Int = 0
  /// Messages sent and not acknowledged.
  @Defaulted public var unackedMessages: Int = 0
  /// Messages in an entry, on average.
  @Defaulted public var avgMessagesPerEntry: Int = 0
  /// Whether it gets nothing because it acknowledges nothing.
  @Defaulted public var blockedConsumerOnUnackedMsgs: Bool = false
  /// Where the subscription stood when it joined (Key_Shared).
  public var readPositionWhenJoining: String?
  /// Key hashes that wait for acknowledgements.
  @Defaulted public var drainingHashesCount: Int = 0
  /// Key hashes that got theirs.
  @Defaulted public var drainingHashesClearedTotal: Int64 = 0
  /// Messages these hashes wait for.
  @Defaulted public var drainingHashesUnackedMessages: Int = 0
  /// The hashes.
  public var drainingHashes: [DrainingHash]?
  /// Address of the client.
  public var address: String?
  /// Since when, ISO 8601.
  public var connectedSince: String?
  /// Version that the client states.
  public var clientVersion: String?
  /// Time of its last acknowledgement.
  @Defaulted public var lastAckedTimestamp: Int64 = 0 {
    didSet { lastAckedTime = ISO8601.string(ms: lastAckedTimestamp) }
  }
  /// Time of the last message sent to it.
  @Defaulted public var lastConsumedTimestamp: Int64 = 0 {
    didSet { lastConsumedTime = ISO8601.string(ms: lastConsumedTimestamp) }
  }
  /// Time of the first message sent to it.
  @Defaulted public var firstMessagesSentTimestamp: Int64 = 0
  /// Time of its last FLOW.
  @Defaulted public var lastConsumedFlowTimestamp: Int64 = 0
  /// Time of its first FLOW.
  @Defaulted public var firstConsumedFlowTimestamp: Int64 = 0
  /// Key hash ranges (Key_Shared) as pairs.
  public var keyHashRangeArrays: [[Int]]?
  /// Key hash ranges (Key_Shared) as text.
  public var keyHashRanges: [String]?
  /// Properties that the client set.
  @Defaulted public var metadata: [String: String] = [:]
  /// `lastAckedTimestamp` as ISO 8601; follows it.
  public private(set) var lastAckedTime: String?
  /// `lastConsumedTimestamp` as ISO 8601; follows it.
  public private(set) var lastConsumedTime: String?

  /// All zero.
  public init() {}
}

/// A key hash that waits for acknowledgements before it moves to another consumer.
public struct DrainingHash: Codable, Hashable, Sendable {
  /// The hash.
  @Defaulted public var hash: Int = 0
  /// Messages it waits for.
  @Defaulted public var unackMsgs: Int = 0
  /// How often it held back a message.
  @Defaulted public var blockedAttempts: Int = 0

  /// Creates a row.
  public init(hash: Int, unackMsgs: Int, blockedAttempts: Int) {
    self.hash = hash
    self.unackMsgs = unackMsgs
    self.blockedAttempts = blockedAttempts
  }
}
