import NIOCore

/// Appends entries to one entry log. Used by the flusher's thread only.
final class EntryLogWriter {
  let logID: UInt32
  let path: String
  private let seed: UInt64
  private let file: PosixFile
  private var written: Int
  private let buffer = AlignedBuffer(capacity: 1024 * 1024)
  private var buffered = 0
  /// Bytes of each ledger in this log.
  private(set) var usage: [Int64: Int64] = [:]

  init(directory: String, logID: UInt32) throws(BookieError) {
    self.logID = logID
    path = directory + "/" + EntryLogFormat.fileName(logID)
    seed = UInt64.random(in: 1...UInt64.max)
    file = try PosixFile(path: path, mode: .write)
    written = 0
    try append(EntryLogFormat.header(logID: logID, seed: seed))
    try sync()
    try Directory.sync(directory)
  }

  /// Where the next record begins.
  var offset: UInt64 { UInt64(written + buffered) }

  /// Appends an entry of `ledgerID`.
  func append(_ entry: ByteBuffer, ledgerID: Int64) throws(BookieError) {
    let size = entry.readableBytes
    var prefix = [UInt8](repeating: 0, count: LocationRun.recordOverhead)
    let crc = entry.withUnsafeReadableBytes { EntryLogFormat.checksum($0, seed: seed) }
    prefix.withUnsafeMutableBytes { bytes in
      bytes.storeBytes(of: UInt32(size).bigEndian, toByteOffset: 0, as: UInt32.self)
      bytes.storeBytes(of: crc.bigEndian, toByteOffset: 4, as: UInt32.self)
    }
    try append(prefix)
    var failure: BookieError?
    entry.withUnsafeReadableBytes { bytes in
      do throws(BookieError) {
        try append(bytes)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    usage[ledgerID, default: 0] += Int64(size + LocationRun.recordOverhead)
  }

  /// Counts nothing of this ledger any more: it was deleted.
  func forget(ledgerID: Int64) {
    usage[ledgerID] = nil
  }

  /// Returns when every record is on the device.
  func sync() throws(BookieError) {
    try drain()
    try file.sync()
  }

  /// Writes the trailer: nothing is appended afterwards.
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
