import NIOCore

/// A ledger opened for reading. Confined to `eventLoop`.
public final class ReadableLedger: @unchecked Sendable {
  /// The ledger's id.
  public let id: LedgerID
  /// The loop that all members belong to, and on which completions run.
  public let eventLoop: any EventLoop
  /// The last entry that can be read; -1 if the ledger is empty.
  public let lastEntry: EntryID
  /// Payload bytes of the ledger if it is closed; else those up to the last entry known when it was opened.
  public let length: Int64
  /// Whether the ledger is closed, so that ``lastEntry`` is final.
  public let isClosed: Bool

  init(id: LedgerID, eventLoop: any EventLoop, lastEntry: EntryID, length: Int64, isClosed: Bool) {
    self.id = id
    self.eventLoop = eventLoop
    self.lastEntry = lastEntry
    self.length = length
    self.isClosed = isClosed
  }

  /// Reads the entries `from` through `through`, both at most ``lastEntry``: a contiguous run that starts at `from`, has
  /// at least one entry, and ends early where `maxBytes` of payload are reached.
  public func read(
    from: EntryID, through: EntryID, maxBytes: Int, completion: @escaping (Result<[LedgerEntry], LedgerError>) -> Void
  ) {}

  /// Lets go of the handle; reads that are outstanding, and later ones, fail.
  public func close() {}
}
