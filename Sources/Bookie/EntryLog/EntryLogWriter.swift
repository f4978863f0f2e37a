import NIOCore

/// Appends entries to one entry log. Belongs to one thread.
///
/// What was appended since the last `commit` can be taken back, so that a flush that met a full disk leaves nothing behind.
final class EntryLogWriter {
  let logID: UInt32
  let path: String
  private let seed: UInt64
  private let file: any StorageFile
  private var written: Int
  private let buffer = AlignedBuffer(capacity: 1024 * 1024)
  private var buffered = 0
  /// Bytes of each ledger in this log.
  private(set) var usage: [Int64: Int64] = [:]
  private var committed: (offset: Int, usage: [Int64: Int64])

  init(directory: String, logID: UInt32, environment: StorageEnvironment) throws(BookieError) {
    self.logID = logID
    path = directory + "/" + EntryLogFormat.fileName(logID)
    seed = environment.random()
    file = try environment.files.open(path, .write)
    written = 0
    committed = (EntryLogFormat.headerSize, [:])
    try append(EntryLogFormat.header(logID: logID, seed: seed))
    try sync()
    try environment.files.syncDirectory(directory)
  }

  /// Where the next record begins.
  var offset: UInt64 { UInt64(written + buffered) }

  /// Appends an entry of `ledgerID`.
  func append(_ entry: ByteBuffer, ledgerID: Int64) throws(BookieError) {
    let size = entry.readableBytes
    let crc = entry.withUnsafeReadableBytes { EntryLogFormat.checksum($0, seed: seed) }
    let total = LocationRun.recordOverhead + size
    if buffered + total > buffer.bytes.count { try drain() }
    if total <= buffer.bytes.count {
      buffer.bytes.storeBytes(of: UInt32(size).bigEndian, toByteOffset: buffered, as: UInt32.self)
      buffer.bytes.storeBytes(of: crc.bigEndian, toByteOffset: buffered + 4, as: UInt32.self)
      entry.withUnsafeReadableBytes { bytes in
        UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[(buffered + 8)..<(buffered + total)])
          .copyMemory(from: bytes)
      }
      buffered += total
    } else {
      try appendLarge(entry, UInt32(size), crc)
    }
    usage[ledgerID, default: 0] += Int64(total)
  }

  /// Appends an entry that is larger than the buffer.
  private func appendLarge(_ entry: ByteBuffer, _ size: UInt32, _ crc: UInt32) throws(BookieError) {
    var failure: BookieError?
    withUnsafeBytes(of: (size.bigEndian, crc.bigEndian)) { prefix in
      entry.withUnsafeReadableBytes { bytes in
        do throws(BookieError) {
          try append(prefix)
          try append(bytes)
        } catch {
          failure = error
        }
      }
    }
    if let failure { throw failure }
  }

  /// Counts nothing of this ledger any more: it was deleted.
  func forget(ledgerID: Int64) {
    usage[ledgerID] = nil
    committed.usage[ledgerID] = nil
  }

  /// Returns when every record is on the device.
  func sync() throws(BookieError) {
    try drain()
    try file.sync()
  }

  /// What was appended until now is in the index, and stays.
  func commit() {
    committed = (written + buffered, usage)
  }

  /// Whether there is something that the index knows.
  var hasCommitted: Bool { committed.offset > EntryLogFormat.headerSize }

  /// Takes back what was appended since the last commit.
  func rollBack() throws(BookieError) {
    buffered = 0
    written = committed.offset
    usage = committed.usage
    try file.truncate(to: written)
  }

  /// Writes the trailer: nothing is appended afterwards, unless it is rolled back.
  func finish() throws(BookieError) {
    try append(EntryLogFormat.trailer(usage, at: offset))
    try sync()
  }

  private func append(_ bytes: [UInt8]) throws(BookieError) {
    var failure: BookieError?
    bytes.withUnsafeBytes { raw in
      do throws(BookieError) {
        try append(raw)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
  }

  private func append(_ bytes: UnsafeRawBufferPointer) throws(BookieError) {
    if buffered + bytes.count > buffer.bytes.count { try drain() }
    guard bytes.count <= buffer.bytes.count else {
      try file.write(bytes, at: written)
      written += bytes.count
      return
    }
    UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[buffered..<buffered + bytes.count]).copyMemory(from: bytes)
    buffered += bytes.count
  }

  private func drain() throws(BookieError) {
    guard buffered > 0 else { return }
    try file.write(UnsafeRawBufferPointer(rebasing: buffer.bytes[0..<buffered]), at: written)
    written += buffered
    buffered = 0
  }
}
