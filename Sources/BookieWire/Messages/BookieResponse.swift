import NIOCore

/// The answer to an ``AddRequest``.
public struct AddResponse: Hashable, Sendable {
  /// The request's id, if it had one.
  public var requestID: UInt64?
  /// The outcome; `ok` means that the entry is on disk.
  public var code: BookieReturnCode
  /// The request's ledger.
  public var ledgerID: Int64
  /// The request's entry.
  public var entryID: Int64

  /// An answer of the given fields.
  public init(requestID: UInt64? = nil, code: BookieReturnCode, ledgerID: Int64, entryID: Int64) {
    self.requestID = requestID
    self.code = code
    self.ledgerID = ledgerID
    self.entryID = entryID
  }
}

/// The answer to a ``ReadRequest``.
public struct ReadResponse: Hashable, Sendable {
  /// The request's id, if it had one.
  public var requestID: UInt64?
  /// The outcome.
  public var code: BookieReturnCode
  /// The request's ledger.
  public var ledgerID: Int64
  /// The request's entry: -1 for a read of the last entry, whose true id is in the entry's header.
  public var entryID: Int64
  /// The entry as it is stored, if `code` is `ok`.
  public var entry: ByteBuffer?

  /// An answer of the given fields.
  public init(
    requestID: UInt64? = nil, code: BookieReturnCode, ledgerID: Int64, entryID: Int64, entry: ByteBuffer? = nil
  ) {
    self.requestID = requestID
    self.code = code
    self.ledgerID = ledgerID
    self.entryID = entryID
    self.entry = entry
  }
}

/// The answer to a ``BatchReadRequest``.
public struct BatchReadResponse: Hashable, Sendable {
  /// The request's id.
  public var requestID: UInt64
  /// The outcome; `ok` if at least the first entry was read.
  public var code: BookieReturnCode
  /// The request's ledger.
  public var ledgerID: Int64
  /// The request's first entry.
  public var startEntryID: Int64
  /// A prefix of the entries asked for, as they are stored.
  public var entries: [ByteBuffer]

  /// An answer of the given fields.
  public init(
    requestID: UInt64, code: BookieReturnCode, ledgerID: Int64, startEntryID: Int64, entries: [ByteBuffer] = []
  ) {
    self.requestID = requestID
    self.code = code
    self.ledgerID = ledgerID
    self.startEntryID = startEntryID
    self.entries = entries
  }
}

/// What a bookie answers.
public enum BookieResponse: Hashable, Sendable {
  /// To an add.
  case add(AddResponse)
  /// To a read.
  case read(ReadResponse)
  /// To a batch read.
  case batchRead(BatchReadResponse)
  /// To an AUTH.
  case auth(BookieAuthMessage)
}
