import BookieWire
import NIOCore

/// A ledger as the index has it: `flags 1 | last flushed entry 8 | key 20, if known | time of deletion 8, if deleted`.
enum LedgerRecord {
  private static let hasKey: UInt8 = 1
  private static let isFenced: UInt8 = 2
  private static let isDeleted: UInt8 = 4
  private static let isInLimbo: UInt8 = 8

  static func encode(_ ledger: LedgerFenceTable.Ledger) -> [UInt8] {
    var buffer = ByteBufferAllocator().buffer(capacity: 40)
    var flags: UInt8 = 0
    if ledger.key != nil { flags |= hasKey }
    if ledger.fence != .none { flags |= isFenced }
    if ledger.isDeleted { flags |= isDeleted }
    if ledger.isInLimbo { flags |= isInLimbo }
    buffer.writeInteger(flags)
    buffer.writeInteger(ledger.lastFlushed)
    ledger.key?.write(into: &buffer)
    // A deleted ledger has no last entry any more: the field tells when it was deleted.
    if ledger.isDeleted { buffer.writeInteger(ledger.lastEntry) }
    return Array(buffer.readableBytesView)
  }

  /// Nil if the bytes are damaged.
  static func decode(_ bytes: UnsafeRawBufferPointer) -> LedgerFenceTable.Ledger? {
    var buffer = ByteBuffer(bytes: bytes)
    guard let flags = buffer.readInteger(as: UInt8.self), let last = buffer.readInteger(as: Int64.self), flags < 16
    else { return nil }
    var ledger = LedgerFenceTable.Ledger()
    if flags & hasKey != 0 {
      guard let key = LedgerMasterKey(reading: &buffer) else { return nil }
      ledger.key = key
    }
    ledger.fence = flags & isFenced == 0 ? .none : .durable
    ledger.isDeleted = flags & isDeleted != 0
    ledger.isInLimbo = flags & isInLimbo != 0
    ledger.lastFlushed = last
    ledger.lastEntry = ledger.isDeleted ? buffer.readInteger(as: Int64.self) ?? 0 : last
    return buffer.readableBytes == 0 ? ledger : nil
  }
}
