/// The storage of a topic (`internalStats`), under Pulsar's names. Positions are written `ledger:entry`.
public struct TopicInternalStats: Codable, Hashable, Sendable {
  /// Entries added since the topic was loaded.
  @Defaulted public var entriesAddedCounter: Int64 = 0
  /// Entries stored.
  @Defaulted public var numberOfEntries: Int64 = 0
  /// Bytes stored (one copy).
  @Defaulted public var totalSize: Int64 = 0
  /// Entries in the ledger being written.
  @Defaulted public var currentLedgerEntries: Int64 = 0
  /// Bytes in the ledger being written.
  @Defaulted public var currentLedgerSize: Int64 = 0
  /// When that ledger was created, ISO 8601.
  public var lastLedgerCreatedTimestamp: String?
  /// When creating a ledger failed, ISO 8601.
  public var lastLedgerCreationFailureTimestamp: String?
  /// Cursors that wait for new entries.
  @Defaulted public var waitingCursorsCount: Int = 0
  /// Entries not yet acknowledged by bookies.
  @Defaulted public var pendingAddEntriesCount: Int = 0
  /// Position of the last entry.
  public var lastConfirmedEntry: String?
  /// `LedgerOpened`, `ClosedLedger`, `Terminated` and so on.
  public var state: String?
  /// Ledgers in order.
  @Defaulted public var ledgers: [LedgerInfo] = []
  /// Cursors by name; replicators' are `pulsar.repl.<cluster>`, deduplication's is `pulsar.dedup`.
  @Defaulted public var cursors: [String: CursorInternalStats] = [:]
  /// Properties of the log.
  @Defaulted public var properties: [String: String] = [:]
  /// Ledgers of schemas.
  @Defaulted public var schemaLedgers: [LedgerInfo] = []
  /// Result of compaction.
  public var compactedLedger: LedgerInfo?

  /// All zero.
  public init() {}
}

/// One ledger of a topic.
public struct LedgerInfo: Codable, Hashable, Sendable {
  /// Id.
  @Defaulted public var ledgerId: Int64 = 0
  /// Entries; 0 while it is written.
  @Defaulted public var entries: Int64 = 0
  /// Bytes; 0 while it is written.
  @Defaulted public var size: Int64 = 0
  /// Whether it is in tiered storage.
  @Defaulted public var offloaded: Bool = false
  /// Ledger metadata as text; only on request.
  public var metadata: String?
  /// Whether copies are missing.
  @Defaulted public var underReplicated: Bool = false
  /// Free properties.
  public var properties: [String: String]?

  /// Creates a row.
  public init(ledgerId: Int64, entries: Int64, size: Int64) {
    self.ledgerId = ledgerId
    self.entries = entries
    self.size = size
  }
}

/// One cursor of a topic.
public struct CursorInternalStats: Codable, Hashable, Sendable {
  /// Everything up to here is acknowledged.
  public var markDeletePosition: String?
  /// Next entry to read.
  public var readPosition: String?
  /// Whether it waits for new entries.
  @Defaulted public var waitingReadOp: Bool = false
  /// Reads under way.
  @Defaulted public var pendingReadOps: Int = 0
  /// Entries acknowledged.
  @Defaulted public var messagesConsumedCounter: Int64 = 0
  /// Ledger of the cursor's own log; -1 where it has none.
  @Defaulted public var cursorLedger: Int64 = -1
  /// Last entry there.
  @Defaulted public var cursorLedgerLastEntry: Int64 = -1
  /// Ranges acknowledged beyond the mark-delete position, as text.
  public var individuallyDeletedMessages: String?
  /// When the cursor's ledger changed, ISO 8601.
  public var lastLedgerSwitchTimestamp: String?
  /// `Open`, `NoLedger`, `Closed`.
  public var state: String?
  /// Whether somebody reads with it.
  @Defaulted public var active: Bool = false
  /// Entries behind the last one.
  @Defaulted public var numberOfEntriesSinceFirstNotAckedMessage: Int64 = 0
  /// Ranges acknowledged beyond the mark-delete position.
  @Defaulted public var totalNonContiguousDeletedMessagesRange: Int = 0
  /// Whether the subscription reads.
  @Defaulted public var subscriptionHavePendingRead: Bool = false
  /// Whether the subscription reads entries again.
  @Defaulted public var subscriptionHavePendingReplayRead: Bool = false
  /// Numbers kept with the cursor.
  @Defaulted public var properties: [String: Int64] = [:]

  /// All zero.
  public init() {}
}

/// A partitioned topic's `internalStats`: each partition by full name.
public struct PartitionedTopicInternalStats: Codable, Hashable, Sendable {
  /// Number of partitions.
  public var metadata: PartitionedTopicMetadata
  /// Partitions by full topic name.
  @Defaulted public var partitions: [String: TopicInternalStats] = [:]

  /// Creates a report.
  public init(metadata: PartitionedTopicMetadata, partitions: [String: TopicInternalStats]) {
    self.metadata = metadata
    self.partitions = partitions
  }
}
