import NIOCore

/// Reads records of one entry log. Any thread; every method blocks.
final class EntryLogReader: Sendable {
  private let file: any StorageFile
  private let seed: UInt64

  init(path: String, logID: UInt32, files: any StorageFiles) throws(BookieError) {
    file = try files.open(path, .read)
    let header = try Self.bytes(of: file, at: 0, count: EntryLogFormat.headerSize)
    guard let seed = header.withUnsafeReadableBytes({ EntryLogFormat.parseHeader($0, logID: logID) }) else {
      throw .damaged(path: path, "its header is not that of an entry log with this number")
    }
    self.seed = seed
  }

  /// Whether the system may read on behind what is read.
  func readsOn(_ isAllowed: Bool) { file.readsOn(isAllowed) }

  /// The entries of `items`, whose records lie one behind the other from `offset` on. All of them are verified.
  func entries(_ items: ArraySlice<LocationRun.Item>, ledgerID: Int64, at offset: UInt64)
    throws(BookieError) -> [ByteBuffer]
  {
    let total = items.reduce(0) { $0 + $1.size + LocationRun.recordOverhead }
    var rest = try Self.bytes(of: file, at: Int(offset), count: total)
    var entries: [ByteBuffer] = []
    entries.reserveCapacity(items.count)
    for item in items {
      guard
        let (size, crc) = rest.readMultipleIntegers(as: (UInt32, UInt32).self), Int(size) == item.size,
        let entry = rest.readSlice(length: item.size),
        entry.withUnsafeReadableBytes({ EntryLogFormat.checksum($0, seed: seed) }) == crc,
        entry.getInteger(at: entry.readerIndex, as: Int64.self) == ledgerID,
        entry.getInteger(at: entry.readerIndex + 8, as: Int64.self) == item.entryID
      else {
        throw .damaged(path: file.path, "the record of entry \(ledgerID):\(item.entryID) fails its checksum")
      }
      entries.append(entry)
    }
    return entries
  }

  private static func bytes(of file: any StorageFile, at offset: Int, count: Int) throws(BookieError) -> ByteBuffer {
    var buffer = ByteBufferAllocator().buffer(capacity: count)
    var failure: BookieError?
    buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { target in
      do throws(BookieError) {
        return try file.read(into: UnsafeMutableRawBufferPointer(rebasing: target[0..<count]), at: offset)
      } catch {
        failure = error
        return 0
      }
    }
    if let failure { throw failure }
    guard buffer.readableBytes == count else { throw .damaged(path: file.path, "it ends before \(offset + count)") }
    return buffer
  }
}
