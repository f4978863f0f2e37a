import NIOCore

/// One entry as read back from a ledger, its digest verified.
public struct LedgerEntry: Equatable, Sendable {
  /// The ledger that holds it.
  public var ledgerID: LedgerID
  /// Its number in the ledger.
  public var entryID: EntryID
  /// Payload bytes of the ledger up to and including this entry.
  public var cumulativeLength: Int64
  /// What was appended.
  public var payload: ByteBuffer

  /// Makes an entry from its parts.
  public init(ledgerID: LedgerID, entryID: EntryID, cumulativeLength: Int64, payload: ByteBuffer) {
    self.ledgerID = ledgerID
    self.entryID = entryID
    self.cumulativeLength = cumulativeLength
    self.payload = payload
  }
}
