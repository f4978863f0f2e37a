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
/// A record is everything that one sync made durable, and a record is written only after the one before it was synced: so a
/// crash can tear only the last record of the last file, and a bad record with a whole one behind it was synced once. (Whoever
/// wants two records under way at a time has to give each the number of the last record that was synced before it.)
///
/// `magic 4 | payload's length 4 | sequence 8 | payload's CRC 4 | header's CRC 4 | displaced 8 for each sector | payload`,
/// padded to whole blocks. Both CRCs are seeded with the file's random id: bytes of an earlier life of a recycled file never
/// pass for a record.
///
/// What tells a *torn* last record, which nobody was answered for, from a *damaged* one, which may have been acknowledged, are
/// stamps (``JournalStamp``): the last eight bytes of each sector of a record name the record and the sector, and the bytes
/// that belong there are in the table behind the header. A disk writes a sector or does not. So after a crash a sector has its
/// stamp or is what it was before: zero, or stamped in an earlier life. One sector as before: the record was torn, and never
/// synced. All with their stamps, and still a checksum that does not fit; or a sector that is neither: it has been damaged
/// since. See ``JournalTail``.
///
/// A synced sector that a disk loses altogether, so that it looks as it did before, cannot be told from a torn record in that
/// way. Therefore a journal that falls idle writes a *marker*, a record without a payload that nobody waits for, and another
/// one when it is closed: behind it every record with a payload has a whole one that follows.
enum JournalFormat {
  /// Records begin at multiples of this: a later write never touches a sector that was synced.
  static let alignment = 4096
  /// What a disk writes wholly or not at all.
  static let sector = 512
  static let headerSize = alignment
  static let recordHeaderSize = 24
  /// Longest payload that a reader believes.
  static let maximumRecord = 256 * 1024 * 1024
  static let fileMagic: UInt32 = 0x4D4A_4E4C
  static let recordMagic: UInt32 = 0x4D4A_5243
  static let markerMagic: UInt32 = 0x4D4A_4D4B
  static let version: UInt32 = 2

  static func aligned(_ size: Int) -> Int { (size + alignment - 1) / alignment * alignment }

  /// Bytes of a whole record with so much payload.
  static func recordSize(payload: Int) -> Int {
    // Of each sector eight bytes go into the table.
    let usable = sector - JournalStamp.size
    return aligned((recordHeaderSize + payload + usable - 1) / usable * sector)
  }

  /// Where in a record of `size` bytes its payload begins.
  static func payloadOffset(recordSize size: Int) -> Int { recordHeaderSize + size / sector * JournalStamp.size }

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

  /// The file's id and first sequence; nil if the header is not whole, or is of another version.
  static func parseHeader(_ bytes: UnsafeRawBufferPointer) -> (logID: UInt64, first: UInt64)? {
    guard bytes.count >= 28 else { return nil }
    let crc = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[0..<24]))
    guard
      bytes.bigEndian(at: 0, as: UInt32.self) == fileMagic, bytes.bigEndian(at: 4, as: UInt32.self) == version,
      bytes.bigEndian(at: 24, as: UInt32.self) == crc
    else { return nil }
    return (bytes.bigEndian(at: 8, as: UInt64.self), bytes.bigEndian(at: 16, as: UInt64.self))
  }

  /// Makes a record of `record`, which is `recordSize(payload:)` bytes with the payload in its place: writes the header and
  /// stamps the sectors.
  /// - Parameters:
  ///   - payload: bytes of payload; a marker has none.
  ///   - checksum: the payload's CRC32C, if it is known.
  ///   - offset: where in the file the record will be.
  static func seal(
    _ record: UnsafeMutableRawBufferPointer, payload: Int, isMarker: Bool = false, checksum known: UInt32? = nil,
    logID: UInt64, sequence: UInt64, offset: Int
  ) {
    record.storeBytes(of: (isMarker ? markerMagic : recordMagic).bigEndian, toByteOffset: 0, as: UInt32.self)
    record.storeBytes(of: UInt32(payload).bigEndian, toByteOffset: 4, as: UInt32.self)
    record.storeBytes(of: sequence.bigEndian, toByteOffset: 8, as: UInt64.self)
    let seed = seed(logID: logID, sequence: sequence, payload: payload)
    let crc: UInt32
    if let known {
      crc = CRC32C.combine(seed, known, lengthOfB: payload)
    } else {
      let start = payloadOffset(recordSize: record.count)
      crc = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: record[start..<start + payload]), extending: seed)
    }
    record.storeBytes(of: crc.bigEndian, toByteOffset: 16, as: UInt32.self)
    let header = headerChecksum(UnsafeRawBufferPointer(record), at: 0, logID: logID)
    record.storeBytes(of: header.bigEndian, toByteOffset: 20, as: UInt32.self)
    let stamp = JournalStamp(logID: logID, sequence: sequence, isMarker: isMarker)
    let first = offset / sector
    // From the last to the first: a stamp may come to lie in the table, on an entry that was made before.
    var index = record.count / sector - 1
    while index >= 0 {
      let (place, entry) = places(index)
      let bytes = record.loadUnaligned(fromByteOffset: place, as: UInt64.self)
      record.storeBytes(of: bytes, toByteOffset: entry, as: UInt64.self)
      record.storeBytes(of: stamp.bytes(sector: first + index), toByteOffset: place, as: UInt64.self)
      index -= 1
    }
  }

  /// What a record's header says.
  struct RecordHeader: Equatable {
    var isMarker: Bool
    var payload: Int
    var sequence: UInt64
    var checksum: UInt32

    /// Bytes of the whole record.
    var size: Int { JournalFormat.recordSize(payload: payload) }
  }

  /// The header of the record at `offset`; nil if there is none that is whole.
  static func parseRecordHeader(_ bytes: UnsafeRawBufferPointer, at offset: Int, logID: UInt64) -> RecordHeader? {
    guard offset >= 0, offset + recordHeaderSize <= bytes.count else { return nil }
    let magic = bytes.bigEndian(at: offset, as: UInt32.self)
    guard magic == recordMagic || magic == markerMagic else { return nil }
    let length = Int(bytes.bigEndian(at: offset + 4, as: UInt32.self))
    guard length <= maximumRecord,
      bytes.bigEndian(at: offset + 20, as: UInt32.self) == headerChecksum(bytes, at: offset, logID: logID)
    else { return nil }
    return RecordHeader(
      isMarker: magic == markerMagic, payload: length, sequence: bytes.bigEndian(at: offset + 8, as: UInt64.self),
      checksum: bytes.bigEndian(at: offset + 16, as: UInt32.self))
  }

  /// The record at `offset`: its payload and sequence; nil if there is no valid one.
  /// - Parameter opens: whether the payload is put together in place, in which case the record cannot be parsed again. If
  ///   not, or if there is none, the bytes are left as they are.
  static func parseRecord(
    _ bytes: UnsafeMutableRawBufferPointer, at offset: Int, logID: UInt64, opens: Bool
  ) -> (payload: Range<Int>, sequence: UInt64)? {
    guard let header = parseRecordHeader(UnsafeRawBufferPointer(bytes), at: offset, logID: logID) else { return nil }
    let size = header.size
    guard offset + size <= bytes.count else { return nil }
    let record = UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<offset + size])
    let count = size / sector
    for index in 0..<count { exchange(record, index) }
    let start = payloadOffset(recordSize: size)
    let crc = CRC32C.checksum(
      UnsafeRawBufferPointer(rebasing: record[start..<start + header.payload]),
      extending: seed(logID: logID, sequence: header.sequence, payload: header.payload))
    let isValid = crc == header.checksum
    if !isValid || !opens {
      for index in (0..<count).reversed() { exchange(record, index) }
    }
    return isValid ? (offset + start..<offset + start + header.payload, header.sequence) : nil
  }

  /// Where in a record the stamp of a sector is, and where the bytes that it displaced.
  private static func places(_ index: Int) -> (stamp: Int, entry: Int) {
    (index * sector + sector - JournalStamp.size, recordHeaderSize + index * JournalStamp.size)
  }

  private static func exchange(_ record: UnsafeMutableRawBufferPointer, _ index: Int) {
    let (place, entry) = places(index)
    let one = record.loadUnaligned(fromByteOffset: place, as: UInt64.self)
    let other = record.loadUnaligned(fromByteOffset: entry, as: UInt64.self)
    record.storeBytes(of: other, toByteOffset: place, as: UInt64.self)
    record.storeBytes(of: one, toByteOffset: entry, as: UInt64.self)
  }

  private static func headerChecksum(_ bytes: UnsafeRawBufferPointer, at offset: Int, logID: UInt64) -> UInt32 {
    let seed = withUnsafeBytes(of: logID.bigEndian) { CRC32C.checksum($0) }
    return CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + 20]), extending: seed)
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
