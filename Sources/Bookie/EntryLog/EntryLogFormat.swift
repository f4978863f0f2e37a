import Checksums
import NIOCore

/// The layout of an entry log: a header, records `size 4 | CRC 4 | entry`, and, once the log is complete, a trailer that says
/// how many bytes each ledger has in it.
///
/// A record's CRC is seeded with the log's random id: bytes that a file system puts into the wrong file are noticed.
enum EntryLogFormat {
  static let headerSize = 64
  static let magic: UInt32 = 0x4D45_4C47
  static let trailerMagic: UInt32 = 0x4D45_4C54
  static let version: UInt32 = 1
  /// Bytes of `trailerMagic 4 | trailer's offset 8 | CRC 4` at the very end.
  static let footerSize = 16

  static func fileName(_ logID: UInt32) -> String {
    let digits = String(logID, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits + ".log"
  }

  static func logID(fileName: String) -> UInt32? {
    guard fileName.hasSuffix(".log"), fileName.utf8.count == 12 else { return nil }
    return UInt32(fileName.dropLast(4), radix: 16)
  }

  static func header(logID: UInt32, seed: UInt64) -> [UInt8] {
    var buffer = ByteBuffer()
    buffer.writeMultipleIntegers(magic, version, logID, seed)
    let crc = buffer.withUnsafeReadableBytes { CRC32C.checksum($0) }
    buffer.writeInteger(crc)
    buffer.writeRepeatingByte(0, count: headerSize - buffer.readableBytes)
    return Array(buffer.readableBytesView)
  }

  /// The seed of the log's records; nil if the header is damaged or of another log.
  static func parseHeader(_ bytes: UnsafeRawBufferPointer, logID: UInt32) -> UInt64? {
    guard
      bytes.count >= 24, bytes.bigEndian(at: 0, as: UInt32.self) == magic,
      bytes.bigEndian(at: 4, as: UInt32.self) == version, bytes.bigEndian(at: 8, as: UInt32.self) == logID,
      bytes.bigEndian(at: 20, as: UInt32.self)
        == CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[0..<20]))
    else { return nil }
    return bytes.bigEndian(at: 12, as: UInt64.self)
  }

  static func checksum(_ entry: UnsafeRawBufferPointer, seed: UInt64) -> UInt32 {
    let prefix = (seed.bigEndian, UInt64(entry.count).bigEndian)
    return CRC32C.checksum(entry, extending: withUnsafeBytes(of: prefix) { CRC32C.checksum($0) })
  }

  /// The bytes of each ledger that a trailer names; nil if it is damaged. `bytes` are all of it, to the end of the file.
  static func parseTrailer(_ bytes: UnsafeRawBufferPointer) -> [Int64: Int64]? {
    guard bytes.count >= 4 + footerSize else { return nil }
    let count = Int(bytes.bigEndian(at: 0, as: UInt32.self))
    guard bytes.count == 4 + count * 16 + footerSize else { return nil }
    let crc = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count - 4)]))
    guard bytes.bigEndian(at: bytes.count - 4, as: UInt32.self) == crc else { return nil }
    var usage: [Int64: Int64] = [:]
    usage.reserveCapacity(count)
    for at in stride(from: 4, to: 4 + count * 16, by: 16) {
      usage[bytes.bigEndian(at: at, as: Int64.self)] = bytes.bigEndian(at: at + 8, as: Int64.self)
    }
    return usage
  }

  /// The trailer that begins at `offset`.
  static func trailer(_ usage: [Int64: Int64], at offset: UInt64) -> [UInt8] {
    var buffer = ByteBuffer()
    buffer.writeInteger(UInt32(usage.count))
    for (ledger, bytes) in usage.sorted(by: { $0.key < $1.key }) { buffer.writeMultipleIntegers(ledger, bytes) }
    buffer.writeMultipleIntegers(trailerMagic, offset)
    let crc = buffer.withUnsafeReadableBytes { CRC32C.checksum($0) }
    buffer.writeInteger(crc)
    return Array(buffer.readableBytesView)
  }
}
