import CRocksDB
import NIOConcurrencyHelpers

/// One open RocksDB database: ordered byte keys to byte values, with atomic batches.
///
/// Every method blocks (reads may touch the disk, synced writes wait for it): call them on threads of your own, never on
/// an event loop or the cooperative pool. Every method may be called from any thread at the same time.
/// After `close` every method throws.
public final class RocksDatabase: @unchecked Sendable {
  /// How a write reaches the disk.
  public enum Durability: Sendable {
    /// Returns when the write-ahead log is synced: survives the loss of power.
    case synced
    /// Returns when the log is written to the page cache: survives the end of the process.
    case logged
    /// No log: the change is lost with the process unless `flush` was called after it.
    case unlogged
  }

  /// The directory.
  public let path: String

  private let handle: OpaquePointer
  private let options: OpaquePointer
  private let readOptions: OpaquePointer
  private let writeOptions: [OpaquePointer]
  /// Guards the two members below; its value says whether no call is in progress, which `close` waits for.
  private let idle = ConditionLock<Bool>(value: true)
  private var callsInProgress = 0
  private var isClosed = false

  /// Opens the database in `path`, replaying its log, and takes the lock on it. The parent directory must exist.
  public init(path: String, options settings: RocksOptions = RocksOptions()) throws {
    let options = Self.makeOptions(settings)
    var message: UnsafeMutablePointer<CChar>?
    guard let handle = rocksdb_open(options, path, &message) else {
      rocksdb_options_destroy(options)
      throw Self.take(&message, "Opening", path) ?? RocksError("Opening the database in \(path) failed.")
    }
    self.path = path
    self.handle = handle
    self.options = options
    self.readOptions = rocksdb_readoptions_create()
    self.writeOptions = [Durability.synced, .logged, .unlogged].map { durability in
      let write = rocksdb_writeoptions_create()
      switch durability {
      case .synced: rocksdb_writeoptions_set_sync(write, 1)
      case .logged: rocksdb_writeoptions_set_sync(write, 0)
      case .unlogged: rocksdb_writeoptions_disable_WAL(write, 1)
      }
      return write.unsafelyUnwrapped
    }
  }

  deinit {
    close()
    writeOptions.forEach { rocksdb_writeoptions_destroy($0) }
    rocksdb_readoptions_destroy(readOptions)
    rocksdb_options_destroy(options)
  }

  /// Waits for the calls in progress, closes the database and releases its lock. Calling it again does nothing.
  /// Must not be called from inside `withIterator` or `withValue`.
  public func close() {
    idle.lock(whenValue: true)
    if !isClosed { rocksdb_close(handle) }
    isClosed = true
    idle.unlock()
  }

  // MARK: Reads

  /// The value of `key`, or nil when it is absent.
  public func get(_ key: UnsafeRawBufferPointer) throws -> [UInt8]? {
    try withValue(of: key) { $0.map(Array.init) }
  }

  /// The value of `key`, or nil when it is absent.
  public func get(_ key: [UInt8]) throws -> [UInt8]? {
    try key.withUnsafeBytes { try get($0) }
  }

  /// Calls `body` with the value's bytes in place (valid during the call), or nil when `key` is absent.
  public func withValue<R>(
    of key: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer?) throws -> R
  ) throws -> R {
    try call {
      var message: UnsafeMutablePointer<CChar>?
      let slice = key.withCharacters { rocksdb_get_pinned(handle, readOptions, $0, $1, &message) }
      if let error = Self.take(&message, "Reading", path) { throw error }
      guard let slice else { return try body(nil) }
      defer { rocksdb_pinnableslice_destroy(slice) }
      var count = 0
      let base = rocksdb_pinnableslice_value(slice, &count)
      return try body(UnsafeRawBufferPointer(start: base, count: count))
    }
  }

  /// Calls `body` with a cursor over the keys below `upperBound` (all keys if nil). The cursor starts invalid: seek first.
  /// - Parameter fillCache: false for long scans, so that they do not evict what point reads need.
  public func withIterator<R>(
    upperBound: [UInt8]? = nil, fillCache: Bool = true, _ body: (RocksIterator) throws -> R
  ) throws -> R {
    try call {
      let read = rocksdb_readoptions_create()
      defer { rocksdb_readoptions_destroy(read) }
      rocksdb_readoptions_set_fill_cache(read, fillCache ? 1 : 0)
      // The library keeps the address of the bound, so it must outlive the iterator.
      return try (upperBound ?? []).withUnsafeBytes { bound in
        if upperBound != nil {
          bound.withCharacters { rocksdb_readoptions_set_iterate_upper_bound(read, $0, $1) }
        }
        let iterator = rocksdb_create_iterator(handle, read)
        defer { rocksdb_iter_destroy(iterator) }
        return try body(RocksIterator(handle: iterator.unsafelyUnwrapped))
      }
    }
  }

  /// Calls `body` with each key and value that begins with `prefix`, in order, until it returns false.
  /// - Parameter start: where to begin (inclusive), when later than the prefix itself.
  public func forEach(
    prefix: [UInt8], from start: [UInt8]? = nil, fillCache: Bool = true,
    _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws -> Bool
  ) throws {
    try withIterator(upperBound: Self.end(ofPrefix: prefix), fillCache: fillCache) { iterator in
      iterator.seek(start.map { $0.lexicographicallyPrecedes(prefix) ? prefix : $0 } ?? prefix)
      while iterator.isValid, try body(iterator.unsafeKey, iterator.unsafeValue) {
        iterator.next()
      }
      try iterator.check()
    }
  }

  /// The last key at or before `key` and its value, provided that it begins with `prefix`.
  public func last(atOrBefore key: [UInt8], prefix: [UInt8] = []) throws -> (key: [UInt8], value: [UInt8])? {
    try withIterator { iterator in
      iterator.seekForPrev(key)
      try iterator.check()
      guard iterator.isValid, iterator.unsafeKey.starts(with: prefix) else { return nil }
      return (iterator.key, iterator.value)
    }
  }

  /// The smallest key that is greater than every key beginning with `prefix`; nil when there is none.
  public static func end(ofPrefix prefix: [UInt8]) -> [UInt8]? {
    guard let last = prefix.lastIndex(where: { $0 != 0xFF }) else { return nil }
    var end = Array(prefix[...last])
    end[last] += 1
    return end
  }

  // MARK: Writes

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
    try call {
      let write: OpaquePointer
      switch durability {
      case .synced: write = writeOptions[0]
      case .logged: write = writeOptions[1]
      case .unlogged: write = writeOptions[2]
      }
      var message: UnsafeMutablePointer<CChar>?
      rocksdb_write(handle, write, batch.handle, &message)
      if let error = Self.take(&message, "Writing", path) { throw error }
    }
  }

  /// Writes the in-memory table to a synced sorted file; returns when unlogged changes made before are durable.
  public func flush() throws {
    try call {
      let flush = rocksdb_flushoptions_create()
      defer { rocksdb_flushoptions_destroy(flush) }
      rocksdb_flushoptions_set_wait(flush, 1)
      var message: UnsafeMutablePointer<CChar>?
      rocksdb_flush(handle, flush, &message)
      if let error = Self.take(&message, "Flushing", path) { throw error }
    }
  }

  /// Syncs the write-ahead log: returns when logged changes made before are durable.
  public func syncLog() throws {
    try call {
      var message: UnsafeMutablePointer<CChar>?
      rocksdb_flush_wal(handle, 1, &message)
      if let error = Self.take(&message, "Syncing the log of", path) { throw error }
    }
  }

  /// Compacts the whole key space, which gives back the space of deleted keys.
  public func compact() throws {
    try call { rocksdb_compact_range(handle, nil, 0, nil, 0) }
  }

  /// A property of the library by name, such as `rocksdb.estimate-num-keys`; nil when it is unknown.
  public func property(_ name: String) throws -> String? {
    try call {
      guard let value = rocksdb_property_value(handle, name) else { return nil }
      defer { rocksdb_free(value) }
      return String(cString: value)
    }
  }

  // MARK: Inside

  private func call<R>(_ body: () throws -> R) throws -> R {
    idle.lock()
    guard !isClosed else {
      idle.unlock()
      throw RocksError("The database in \(path) is closed.", isClosed: true)
    }
    callsInProgress += 1
    idle.unlock(withValue: false)
    defer {
      idle.lock()
      callsInProgress -= 1
      idle.unlock(withValue: callsInProgress == 0)
    }
    return try body()
  }

  private static func take(
    _ message: inout UnsafeMutablePointer<CChar>?, _ action: String, _ path: String
  ) -> RocksError? {
    guard let text = message else { return nil }
    defer { rocksdb_free(text) }
    message = nil
    return RocksError("\(action) the database in \(path) failed: \(String(cString: text)).")
  }

  private static func makeOptions(_ settings: RocksOptions) -> OpaquePointer {
    let options = rocksdb_options_create().unsafelyUnwrapped
    rocksdb_options_set_create_if_missing(options, settings.createIfMissing ? 1 : 0)
    rocksdb_options_set_write_buffer_size(options, settings.writeBufferSize)
    rocksdb_options_set_max_write_buffer_number(options, Int32(clamping: settings.maxWriteBuffers))
    rocksdb_options_set_max_background_jobs(options, Int32(clamping: settings.maxBackgroundJobs))
    rocksdb_options_set_max_open_files(options, Int32(clamping: settings.maxOpenFiles))
    rocksdb_options_set_max_total_wal_size(options, settings.maxTotalWALSize)
    rocksdb_options_set_bytes_per_sync(options, settings.bytesPerSync)
    rocksdb_options_set_keep_log_file_num(options, 2)
    rocksdb_options_set_max_log_file_size(options, 1 << 20)
    switch settings.compression {
    case .none: rocksdb_options_set_compression(options, Int32(rocksdb_no_compression))
    case .lz4: rocksdb_options_set_compression(options, Int32(rocksdb_lz4_compression))
    case .zstd: rocksdb_options_set_compression(options, Int32(rocksdb_zstd_compression))
    }
    let table = rocksdb_block_based_options_create()
    rocksdb_block_based_options_set_block_size(table, settings.blockSize)
    if settings.blockCacheSize > 0 {
      let cache = rocksdb_cache_create_lru(settings.blockCacheSize)
      rocksdb_block_based_options_set_block_cache(table, cache)
      rocksdb_cache_destroy(cache)
    }
    if let bits = settings.bloomBitsPerKey {
      rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom_full(bits))
    }
    rocksdb_options_set_block_based_table_factory(options, table)
    rocksdb_block_based_options_destroy(table)
    return options
  }
}
