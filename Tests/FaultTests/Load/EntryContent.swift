import Checksums
import NIOCore

/// What an entry holds: derived from its ledger and number, with a checksum at the end.
enum EntryContent {
  /// The bytes of an entry. Most have some hundred, a few have many.
  static func make(ledger: Int64, entry: Int64) -> ByteBuffer {
    var random = SeededRandom(
      UInt64(bitPattern: ledger) &* 0x9E37_79B9_7F4A_7C15 ^ UInt64(bitPattern: entry) &* 0xD1B5_4A32_D192_ED03)
    let words = random.below(100) == 0 ? 2000 + random.below(6000) : random.below(100)
    var buffer = ByteBufferAllocator().buffer(capacity: 24 + words * 8)
    buffer.writeInteger(ledger)
    buffer.writeInteger(entry)
    for _ in 0..<words { buffer.writeInteger(random.next()) }
    buffer.writeInteger(buffer.withUnsafeReadableBytes { CRC32C.checksum($0) })
    return buffer
  }
}
