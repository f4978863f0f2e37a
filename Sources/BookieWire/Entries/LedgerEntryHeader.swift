import NIOCore

/// The 32 bytes that begin every stored entry.
public struct LedgerEntryHeader: Hashable, Sendable {
  /// Number of bytes on the wire, without the digest.
  public static let byteCount = 32

  /// The ledger that the entry belongs to.
  public var ledgerID: Int64
  /// The entry's number in its ledger, from 0.
  public var entryID: Int64
  /// The writer's last confirmed entry when it sent this one; -1 if none was.
  public var lastAddConfirmed: Int64
  /// Payload bytes of the ledger up to and including this entry.
  public var length: Int64

  /// A header of the given fields.
  public init(ledgerID: Int64, entryID: Int64, lastAddConfirmed: Int64, length: Int64) {
    self.ledgerID = ledgerID
    self.entryID = entryID
    self.lastAddConfirmed = lastAddConfirmed
    self.length = length
  }

  /// Reads a header off the front of `buffer`; nil (and nothing consumed) if it holds fewer than 32 bytes.
  public init?(reading buffer: inout ByteBuffer) {
    guard
      let (ledger, entry, confirmed, length) = buffer.readMultipleIntegers(as: (Int64, Int64, Int64, Int64).self)
    else { return nil }
    self.init(ledgerID: ledger, entryID: entry, lastAddConfirmed: confirmed, length: length)
  }

  /// Appends the 32 bytes to `buffer`.
  public func write(into buffer: inout ByteBuffer) {
    buffer.writeMultipleIntegers(ledgerID, entryID, lastAddConfirmed, length)
  }
}
