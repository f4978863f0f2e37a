import NIOCore

/// The one handle through which a ledger is written. Confined to `eventLoop`; only `close()` may be called anywhere.
public final class WritableLedger: @unchecked Sendable {
  /// The ledger's id.
  public let id: LedgerID
  /// The loop that all other members belong to, and on which completions run.
  public let eventLoop: any EventLoop

  init(id: LedgerID, eventLoop: any EventLoop) {
    self.id = id
    self.eventLoop = eventLoop
  }

  /// Appends `header` followed by `body` as one entry; neither is copied. Completions run in the order of the appends;
  /// after one failure every later append fails too.
  public func append(
    _ header: ByteBuffer, _ body: ByteBuffer, completion: @escaping (Result<EntryID, LedgerError>) -> Void
  ) {}

  /// The last entry that is acknowledged, with all before it; -1 if none.
  public var lastAddConfirmed: EntryID { -1 }

  /// The last entry that was appended, acknowledged or not; -1 if none.
  public var lastAddPushed: EntryID { -1 }

  /// Payload bytes appended so far.
  public var length: Int64 { 0 }

  /// Payload bytes appended and not acknowledged yet.
  public var pendingBytes: Int { 0 }

  /// Reads the entries `from` through `through`, both at most ``lastAddConfirmed``: a contiguous run that starts at
  /// `from`, has at least one entry, and ends early where `maxBytes` of payload are reached.
  public func read(
    from: EntryID, through: EntryID, maxBytes: Int, completion: @escaping (Result<[LedgerEntry], LedgerError>) -> Void
  ) {}

  /// Waits for outstanding appends, then closes the ledger for good. Later appends fail with ``LedgerError/closed(_:)``.
  /// After a failed append the ledger is closed at the last acknowledged entry.
  public func close() async throws -> (lastEntry: EntryID, length: Int64) { throw LedgerError.shutDown }
}
