import CRocksDB

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Changes, and what becomes of a database when one of them fails.
///
/// A handle of the library that goes on with a log of which a write has failed ends the process (builds with assertions,
/// as Debian's) or is trusted with more than it deserves. So a failed change *wounds* the handle: it is still read from,
/// and nothing is written by it. As soon as there is space again, the next change opens the database anew first, which
/// replays the log. Most often a disk that is nearly full is noticed before that.
extension RocksDatabase {
  /// Sets `key` to `value`.
  public func put(_ key: [UInt8], _ value: [UInt8], _ durability: Durability = .logged) throws {
    let batch = RocksWriteBatch()
    batch.put(key, value)
    try write(batch, durability)
  }

  /// Removes `key`; an absent one is no error.
  public func delete(_ key: [UInt8], _ durability: Durability = .logged) throws {
    let batch = RocksWriteBatch()
    batch.delete(key)
    try write(batch, durability)
  }

  /// Removes every key in `start..<end`.
  public func deleteRange(from start: [UInt8], to end: [UInt8], _ durability: Durability = .logged) throws {
    let batch = RocksWriteBatch()
    batch.deleteRange(from: start, to: end)
    try write(batch, durability)
  }

  /// Applies every change of `batch` atomically, and returns when it is as durable as asked. The batch is not cleared.
  public func write(_ batch: RocksWriteBatch, _ durability: Durability = .logged) throws {
    try change("Writing", byteCount: batch.byteCount) { handle, message in
      rocksdb_write(handle, writeOptions[durability.rawValue], batch.handle, &message)
    }
  }

  /// Writes the in-memory table to a synced sorted file; returns when unlogged changes made before are durable.
  public func flush() throws {
    try change("Flushing") { handle, message in
      let flush = rocksdb_flushoptions_create()
      defer { rocksdb_flushoptions_destroy(flush) }
      rocksdb_flushoptions_set_wait(flush, 1)
      rocksdb_flush(handle, flush, &message)
    }
  }

  /// Syncs the write-ahead log: returns when logged changes made before are durable.
  public func syncLog() throws {
    try change("Syncing the log of") { handle, message in rocksdb_flush_wal(handle, 1, &message) }
  }

  /// Compacts the whole key space, which gives back the space of deleted keys.
  public func compact() throws {
    try change("Compacting") { handle, _ in rocksdb_compact_range(handle, nil, 0, nil, 0) }
  }

  /// Makes the database one that takes changes, if it is not: what is read afterwards is what the changes that failed
  /// have left.
  public func recover() throws {
    try writing.withLock { try makeWritable(byteCount: 0) }
  }

  // MARK: Inside

  private func change(
    _ action: String, byteCount: Int = 0, _ body: (OpaquePointer, inout UnsafeMutablePointer<CChar>?) -> Void
  ) throws {
    try writing.withLock {
      try makeWritable(byteCount: byteCount)
      do {
        try call { handle in
          var message: UnsafeMutablePointer<CChar>?
          body(handle, &message)
          if let error = RocksHandle.take(&message, action, path) { throw error }
        }
      } catch let error as RocksError where !error.isClosed {
        wound = error
        throw error
      }
    }
  }

  /// Throws when there is too little space for a change of that size, or the handle has to be replaced and cannot be.
  private func makeWritable(byteCount: Int) throws {
    let needed = settings.reservedSpace + byteCount * 2
    guard let wound else { return try requireSpace(needed) }
    // What the log holds becomes a sorted file when it is replayed.
    try requireSpace(needed + Self.minimumReopeningSpace + logBytes())
    let refusal = RocksError(wound.description, isRefusal: true)
    guard ContinuousClock.now >= nextReopening else { throw refusal }
    nextReopening = .now + .seconds(1)
    guard try exclusively({ try reopen() }) != nil else { throw refusal }
    self.wound = nil
    nextReopening = .now
  }

  /// With the lock held: no call has the handle.
  private func reopen() throws {
    handle = nil
    do {
      handle = try RocksHandle(path, settings)
    } catch {
      // Reading must go on.
      handle = try? RocksHandle(path, settings, isReadOnly: true)
      throw RocksError("\(error)", isRefusal: true)
    }
  }

  private static var minimumReopeningSpace: Int { 1 << 20 }

  private func requireSpace(_ needed: Int) throws {
    guard settings.reservedSpace > 0 || wound != nil, let free = freeBytes(), free < needed else { return }
    throw RocksError(
      "The database in \(path) takes changes when \(needed >> 10) KiB are free, and \(free >> 10) KiB are: "
        + "No space left on device.", isRefusal: true)
  }

  private func freeBytes() -> Int? {
    var status = statvfs()
    guard statvfs(path, &status) == 0 else { return nil }
    return Int(clamping: UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize)).partialValue)
  }

  /// Bytes of the write-ahead log's files.
  private func logBytes() -> Int {
    var bytes = 0
    for name in RocksHandle.names(in: path) where name.hasSuffix(".log") {
      var status = stat()
      if stat(path + "/" + name, &status) == 0 { bytes += Int(status.st_size) }
    }
    return bytes
  }
}
