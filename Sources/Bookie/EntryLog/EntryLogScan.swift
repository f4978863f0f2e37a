import NIOCore

/// Reads an entry log from its beginning to its end without any index: every record is verified, and behind a damaged one the
/// next whole one is looked for. Blocks.
final class EntryLogScan {
  /// A whole record.
  struct Record: Equatable {
    var ledgerID: Int64
    var entryID: Int64
    /// Where it begins.
    var offset: UInt64
    /// Bytes of the entry.
    var size: Int
  }

  /// What a scan has found.
  struct Outcome: Equatable {
    var records = 0
    /// Where bytes are that belong to no whole record: damage or, at the very end of a log that was being written when the
    /// process died, a record that never became whole.
    var damaged: [Range<Int>] = []
    /// Bytes of each ledger as the trailer has them; nil if the log has none.
    var trailer: [Int64: Int64]?
  }

  /// Longest entry that a reader believes.
  private static let maximumEntry = 256 * 1024 * 1024
  private static let window = 4 * 1024 * 1024

  private let file: any StorageFile
  private var seed: UInt64 = 0
  private let size: Int
  private var buffer: AlignedBuffer
  private var start = 0
  private var count = 0

  /// Throws if the header is not that of this log, and the first record cannot be verified by what is left of it.
  init(path: String, logID: UInt32, files: any StorageFiles) throws(BookieError) {
    file = try files.open(path, .read)
    size = try file.size()
    buffer = AlignedBuffer(capacity: Self.window)
    let header = try bytes(at: 0, count: min(size, EntryLogFormat.headerSize))
    if let seed = EntryLogFormat.parseHeader(header, logID: logID) {
      self.seed = seed
      return
    }
    if header.count == EntryLogFormat.headerSize { seed = header.bigEndian(at: 12, as: UInt64.self) }
    guard seed != 0, try record(at: EntryLogFormat.headerSize, end: size) != nil else {
      throw .damaged(path: path, "its header is not that of an entry log with this number")
    }
  }

  /// Bytes of each ledger as the trailer has them; nil if there is no whole one. Much of a log may be garbage by now.
  func trailer() throws(BookieError) -> [Int64: Int64]? { try findTrailer()?.usage }

  /// Calls `body` with each whole record in order.
  func run(_ body: (Record) throws(BookieError) -> Void) throws(BookieError) -> Outcome {
    var outcome = Outcome()
    let trailer = try findTrailer()
    outcome.trailer = trailer?.usage
    let end = trailer?.offset ?? size
    var at = EntryLogFormat.headerSize
    while at < end {
      if let record = try record(at: at, end: end) {
        outcome.records += 1
        try body(record)
        at += record.size + LocationRun.recordOverhead
        continue
      }
      let next = try following(at, end: end)
      outcome.damaged.append(at..<next)
      at = next
    }
    return outcome
  }

  private func record(at offset: Int, end: Int) throws(BookieError) -> Record? {
    let overhead = LocationRun.recordOverhead
    guard offset + overhead + 16 <= end else { return nil }
    let prefix = try bytes(at: offset, count: overhead)
    let length = Int(prefix.bigEndian(at: 0, as: UInt32.self))
    let crc = prefix.bigEndian(at: 4, as: UInt32.self)
    guard length >= 16, length <= Self.maximumEntry, offset + overhead + length <= end else { return nil }
    let ids = try bytes(at: offset + overhead, count: 16)
    let (ledgerID, entryID) = (ids.bigEndian(at: 0, as: Int64.self), ids.bigEndian(at: 8, as: Int64.self))
    // Before anything is read for its checksum: this is asked at every byte of a damaged part.
    guard ledgerID >= 0, entryID >= 0 else { return nil }
    let entry = try bytes(at: offset + overhead, count: length)
    guard EntryLogFormat.checksum(entry, seed: seed) == crc else { return nil }
    return Record(ledgerID: ledgerID, entryID: entryID, offset: UInt64(offset), size: length)
  }

  /// Where the next whole record begins; `end` if there is none.
  private func following(_ offset: Int, end: Int) throws(BookieError) -> Int {
    // More often an entry is damaged than its length.
    if offset + 8 <= end {
      let length = Int(try bytes(at: offset, count: 4).bigEndian(at: 0, as: UInt32.self))
      let next = offset + LocationRun.recordOverhead + length
      if next == end { return end }
      if next < end, try record(at: next, end: end) != nil { return next }
    }
    var at = offset + 1
    while at < end {
      if try record(at: at, end: end) != nil { return at }
      at += 1
    }
    return end
  }

  private func findTrailer() throws(BookieError) -> (offset: Int, usage: [Int64: Int64])? {
    guard size >= EntryLogFormat.headerSize + EntryLogFormat.footerSize + 4 else { return nil }
    let footer = try bytes(at: size - EntryLogFormat.footerSize, count: EntryLogFormat.footerSize)
    guard footer.bigEndian(at: 0, as: UInt32.self) == EntryLogFormat.trailerMagic,
      let offset = Int(exactly: footer.bigEndian(at: 4, as: UInt64.self)), offset >= EntryLogFormat.headerSize,
      offset + 4 + EntryLogFormat.footerSize <= size
    else { return nil }
    let usage = EntryLogFormat.parseTrailer(try bytes(at: offset, count: size - offset))
    return usage.map { (offset, $0) }
  }

  /// Bytes of the file, valid until the next call; `offset` and `count` must lie within it.
  private func bytes(at offset: Int, count wanted: Int) throws(BookieError) -> UnsafeRawBufferPointer {
    if offset < start || offset + wanted > start + count {
      if wanted > buffer.bytes.count { buffer = AlignedBuffer(capacity: wanted) }
      start = offset
      let rest = min(buffer.bytes.count, size - offset)
      count = try file.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[0..<rest]), at: offset)
      guard count >= wanted else { throw .damaged(path: file.path, "it ends before \(offset + wanted)") }
    }
    return UnsafeRawBufferPointer(rebasing: buffer.bytes[offset - start..<offset - start + wanted])
  }
}
