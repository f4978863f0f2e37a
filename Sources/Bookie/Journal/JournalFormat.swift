import Checksums
import NIOCore

/// A point in the journal: everything up to and including `sequence` is before it.
struct JournalMark: Equatable {
  /// The last record before the point; 0 if there is none.
  var sequence: UInt64 = 0
  /// The file in which the following record is, by the sequence of its first record; 0 if unknown.
  var file: UInt64 = 0
  /// Where in that file.
  var offset: UInt64 = 0

  static let byteCount = 32

  /// As a file: three numbers, a magic and a CRC.
  func encoded() -> [UInt8] {
    var buffer = ByteBuffer()
    buffer.writeMultipleIntegers(UInt32(0x4D4D_524B), sequence, file, offset)
    let crc = buffer.withUnsafeReadableBytes { CRC32C.checksum($0) }
    buffer.writeInteger(crc)
    return Array(buffer.readableBytesView)
  }

  init(sequence: UInt64 = 0, file: UInt64 = 0, offset: UInt64 = 0) {
    self.sequence = sequence
    self.file = file
    self.offset = offset
  }

  /// Nil if the bytes are damaged.
  init?(encoded bytes: [UInt8]) {
    guard bytes.count == Self.byteCount else { return nil }
    var buffer = ByteBuffer(bytes: bytes)
    let expected = bytes.prefix(28).withUnsafeBytes { CRC32C.checksum($0) }
    guard
      let (magic, sequence, file, offset, crc) = buffer.readMultipleIntegers(
        as: (UInt32, UInt64, UInt64, UInt64, UInt32).self),
      magic == 0x4D4D_524B, crc == expected
    else { return nil }
    self.init(sequence: sequence, file: file, offset: offset)
  }
}

/// The layout of a journal file: a header block, then records that begin at multiples of `alignment`.
///
/// A record is everything that one sync made durable, so a crash can damage only the last record of the last file.
/// Its CRC is seeded with the file's random id and the record's sequence: bytes of an earlier life of a recycled file never
/// pass for a record.
enum JournalFormat {
  /// Records begin at multiples of this: a later write never touches a sector that was synced.
  static let alignment = 4096
  static let headerSize = alignment
  static let recordHeaderSize = 24
  /// Longest payload that a reader believes.
  static let maximumRecord = 256 * 1024 * 1024
  static let fileMagic: UInt32 = 0x4D4A_4E4C
  static let recordMagic: UInt32 = 0x4D4A_5243
  static let version: UInt32 = 1

  static func aligned(_ size: Int) -> Int { (size + alignment - 1) / alignment * alignment }

  static func fileName(first sequence: UInt64) -> String {
    let digits = String(sequence, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits + ".journal"
  }

  static func firstSequence(fileName: String) -> UInt64? {
    guard fileName.hasSuffix(".journal") else { return nil }
    return UInt64(fileName.dropLast(8), radix: 16)
  }

  /// The header block's meaningful bytes.
  static func header(logID: UInt64, first sequence: UInt64) -> [UInt8] {
    var buffer = ByteBuffer()
    buffer.writeMultipleIntegers(fileMagic, version, logID, sequence)
    let crc = buffer.withUnsafeReadableBytes { CRC32C.checksum($0) }
    buffer.writeInteger(crc)
    return Array(buffer.readableBytesView)
  }

  /// The file's id and first sequence; nil if the header is not whole.
  static func parseHeader(_ bytes: UnsafeRawBufferPointer) -> (logID: UInt64, first: UInt64)? {
    guard bytes.count >= 28 else { return nil }
    let crc = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[0..<24]))
    guard
      bytes.bigEndian(at: 0, as: UInt32.self) == fileMagic, bytes.bigEndian(at: 4, as: UInt32.self) == version,
      bytes.bigEndian(at: 24, as: UInt32.self) == crc
    else { return nil }
    return (bytes.bigEndian(at: 8, as: UInt64.self), bytes.bigEndian(at: 16, as: UInt64.self))
  }

  /// Writes the record header in front of `payload` bytes, which follow it in `record`.
  /// - Parameter checksum: the payload's CRC32C, if it is known.
  static func seal(
    _ record: UnsafeMutableRawBufferPointer, payload: Int, checksum known: UInt32? = nil, logID: UInt64,
    sequence: UInt64
  ) {
    record.storeBytes(of: recordMagic.bigEndian, toByteOffset: 0, as: UInt32.self)
    record.storeBytes(of: UInt32(payload).bigEndian, toByteOffset: 4, as: UInt32.self)
    record.storeBytes(of: sequence.bigEndian, toByteOffset: 8, as: UInt64.self)
    let seed = seed(logID: logID, sequence: sequence, payload: payload)
    let crc: UInt32
    if let known {
      crc = CRC32C.combine(seed, known, lengthOfB: payload)
    } else {
      let bytes = UnsafeRawBufferPointer(record)[recordHeaderSize..<recordHeaderSize + payload]
      crc = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes), extending: seed)
    }
    record.storeBytes(of: crc.bigEndian, toByteOffset: 16, as: UInt32.self)
    record.storeBytes(of: 0, toByteOffset: 20, as: UInt32.self)
  }

  /// The record at `offset`: its payload and sequence; nil if there is no valid one.
  static func parseRecord(
    _ bytes: UnsafeRawBufferPointer, at offset: Int, logID: UInt64
  ) -> (payload: Range<Int>, sequence: UInt64)? {
    guard offset >= 0, offset + recordHeaderSize <= bytes.count else { return nil }
    guard bytes.bigEndian(at: offset, as: UInt32.self) == recordMagic else { return nil }
    let length = Int(bytes.bigEndian(at: offset + 4, as: UInt32.self))
    let sequence = bytes.bigEndian(at: offset + 8, as: UInt64.self)
    guard length <= maximumRecord, offset + recordHeaderSize + length <= bytes.count else { return nil }
    let payload = offset + recordHeaderSize..<offset + recordHeaderSize + length
    let crc = checksum(UnsafeRawBufferPointer(rebasing: bytes[payload]), logID: logID, sequence: sequence)
    return bytes.bigEndian(at: offset + 16, as: UInt32.self) == crc ? (payload, sequence) : nil
  }

  private static func checksum(_ payload: UnsafeRawBufferPointer, logID: UInt64, sequence: UInt64) -> UInt32 {
    CRC32C.checksum(payload, extending: seed(logID: logID, sequence: sequence, payload: payload.count))
  }

  /// What a record's checksum begins with: bytes of another file or place never fit.
  private static func seed(logID: UInt64, sequence: UInt64, payload: Int) -> UInt32 {
    let seed = (logID.bigEndian, sequence.bigEndian, UInt64(payload).bigEndian)
    return withUnsafeBytes(of: seed) { CRC32C.checksum($0) }
  }
}

extension UnsafeRawBufferPointer {
  /// The integer at `offset`, which must be within bounds.
  func bigEndian<T: FixedWidthInteger>(at offset: Int, as type: T.Type) -> T {
    T(bigEndian: loadUnaligned(fromByteOffset: offset, as: type))
  }
}
