/// What Pulsar's `internalStats` shows of a topic's log.
public struct TopicLogStats: Sendable {
  /// A ledger of the log.
  public struct Ledger: Sendable {
    /// The ledger's id.
    public var ledgerID: Int64
    /// Entries in it; of the ledger being written, the confirmed ones.
    public var entries: Int64
    /// Bytes of payload in it.
    public var size: Int64
    /// Milliseconds since 1970; 0 while it is written.
    public var closedAtMs: Int64
  }

  /// A cursor of the log.
  public struct Cursor: Sendable {
    /// Everything up to here is acknowledged.
    public var markDeletePosition: Position
    /// The next position to be read.
    public var readPosition: Position
    /// Entries that this cursor acknowledged since the log was opened.
    public var messagesConsumedCounter: Int64
    /// The ledger that holds the cursor's state; -1 while the state is in the metadata store.
    public var cursorLedger: Int64
    /// The last record there, or -1.
    public var cursorLedgerLastEntry: Int64
    /// The ranges acknowledged beyond the mark-delete position, in Pulsar's notation, cut after 1,000 ranges.
    public var individuallyDeletedMessages: String
    /// Milliseconds since 1970 of the last change of the cursor ledger.
    public var lastLedgerSwitchTimestampMs: Int64
    /// `Open`, `NoLedger` or `Closed`.
    public var state: String
    /// Whether somebody reads through it.
    public var active: Bool
    /// Entries from the first one that is not acknowledged to the end.
    public var numberOfEntriesSinceFirstNotAckedMessage: Int64
    /// How many ranges are acknowledged beyond the mark-delete position.
    public var totalNonContiguousDeletedMessagesRange: Int
    /// Properties saved with the position.
    public var properties: [String: Int64]
  }

  /// Entries appended since the log was opened.
  public var entriesAddedCounter: Int64
  /// Entries in the log.
  public var numberOfEntries: Int64
  /// Bytes of payload in the log.
  public var totalSize: Int64
  /// Entries in the ledger being written.
  public var currentLedgerEntries: Int64
  /// Bytes in the ledger being written.
  public var currentLedgerSize: Int64
  /// Milliseconds since 1970; 0 if none was created since the log was opened.
  public var lastLedgerCreatedTimestampMs: Int64
  /// Milliseconds since 1970; 0 if none failed.
  public var lastLedgerCreationFailureTimestampMs: Int64
  /// Appends that are not confirmed yet.
  public var pendingAddEntriesCount: Int
  /// The last entry that is stored.
  public var lastConfirmedEntry: Position
  /// `LedgerOpened`, `ClosedLedger`, `CreatingLedger`, `ClosingLedger`, `Terminated`, `Fenced` or `Closed`.
  public var state: String
  /// The ledgers in the order of the log.
  public var ledgers: [Ledger]
  /// The cursors by name.
  public var cursors: [String: Cursor]
  /// Properties of the topic's record.
  public var properties: [String: String]
  /// Bytes held by this log's entry cache.
  public var cachedBytes: Int
  /// Reads served from the cache since the log was opened.
  public var cacheHits: Int64
  /// Reads that went to the bookies since the log was opened.
  public var cacheMisses: Int64
}
