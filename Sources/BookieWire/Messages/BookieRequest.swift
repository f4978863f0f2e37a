import NIOCore

/// Stores one entry.
public struct AddRequest: Hashable, Sendable {
  /// Exact correlation (extension); nil on a plain v2 connection.
  public var requestID: UInt64?
  /// `.recoveryAdd` and `.highPriority`, or none.
  public var flags: BookieRequestFlags
  /// The ledger's key.
  public var masterKey: LedgerMasterKey
  /// The ledger; the same as in the entry's header.
  public var ledgerID: Int64
  /// The entry; the same as in the entry's header.
  public var entryID: Int64
  /// The entry as it is stored.
  public var entry: EntryBytes

  /// A request of the given fields; `ledgerID` and `entryID` must be those of the entry's header.
  public init(
    requestID: UInt64? = nil, flags: BookieRequestFlags = [], masterKey: LedgerMasterKey, ledgerID: Int64,
    entryID: Int64, entry: EntryBytes
  ) {
    self.requestID = requestID
    self.flags = flags
    self.masterKey = masterKey
    self.ledgerID = ledgerID
    self.entryID = entryID
    self.entry = entry
  }
}

/// Reads one entry.
public struct ReadRequest: Hashable, Sendable {
  /// The entry id that means "the last entry you have", which is how the last confirmed entry is learnt.
  public static let lastEntry: Int64 = -1

  /// Exact correlation (extension); nil on a plain v2 connection.
  public var requestID: UInt64?
  /// `.fencing` and `.highPriority`, or none.
  public var flags: BookieRequestFlags
  /// The ledger.
  public var ledgerID: Int64
  /// The entry, or ``lastEntry``.
  public var entryID: Int64
  /// The ledger's key; required with `.fencing`, ignored otherwise.
  public var masterKey: LedgerMasterKey?

  /// A request of the given fields.
  public init(
    requestID: UInt64? = nil, flags: BookieRequestFlags = [], ledgerID: Int64, entryID: Int64,
    masterKey: LedgerMasterKey? = nil
  ) {
    self.requestID = requestID
    self.flags = flags
    self.ledgerID = ledgerID
    self.entryID = entryID
    self.masterKey = masterKey
  }
}

/// Reads consecutive entries of one ledger.
public struct BatchReadRequest: Hashable, Sendable {
  /// Correlation; part of the v2 message.
  public var requestID: UInt64
  /// `.fencing` and `.highPriority`, or none.
  public var flags: BookieRequestFlags
  /// The ledger.
  public var ledgerID: Int64
  /// The first entry.
  public var startEntryID: Int64
  /// Most entries wanted; 0 or less for no limit.
  public var maxCount: Int32
  /// Most bytes wanted, counting 36 bytes of answer and 4 bytes an entry; the first entry always comes.
  public var maxSize: Int64
  /// The ledger's key; required with `.fencing`, ignored otherwise.
  public var masterKey: LedgerMasterKey?

  /// A request of the given fields.
  public init(
    requestID: UInt64, flags: BookieRequestFlags = [], ledgerID: Int64, startEntryID: Int64, maxCount: Int32,
    maxSize: Int64, masterKey: LedgerMasterKey? = nil
  ) {
    self.requestID = requestID
    self.flags = flags
    self.ledgerID = ledgerID
    self.startEntryID = startEntryID
    self.maxCount = maxCount
    self.maxSize = maxSize
    self.masterKey = masterKey
  }
}

/// What a client asks of a bookie.
public enum BookieRequest: Hashable, Sendable {
  /// Store an entry.
  case add(AddRequest)
  /// Read one entry.
  case read(ReadRequest)
  /// Read consecutive entries.
  case batchRead(BatchReadRequest)
  /// Authenticate, or ask for request ids.
  case auth(BookieAuthMessage)
}
