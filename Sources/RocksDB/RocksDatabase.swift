import CRocksDB
import NIOConcurrencyHelpers

/// One open RocksDB database: ordered byte keys to byte values, with atomic batches.
///
/// Every method blocks (reads may touch the disk, synced writes wait for it): call them on threads of your own, never on
/// an event loop or the cooperative pool. Every method may be called from any thread at the same time.
/// After `close` every method throws.
///
/// A full disk is an error and no more: see `RocksDatabase+Writing`.
public final class RocksDatabase: @unchecked Sendable {
  /// How a write reaches the disk.
  public enum Durability: Int, Sendable {
    /// Returns when the write-ahead log is synced: survives the loss of power.
    case synced
    /// Returns when the log is written to the page cache: survives the end of the process.
    case logged
    /// No log: the change is lost with the process unless `flush` was called after it.
    case unlogged
  }

  /// The directory.
  public let path: String

  let settings: RocksOptions
  let writeOptions: [OpaquePointer]
  private let readOptions: OpaquePointer
  /// One change at a time: after one has failed no other may reach the same handle.
  let writing = NIOLock()
  /// Guards the three members below; its value says whether no call is in progress, which `close` waits for.
  let idle = ConditionLock<Bool>(value: true)
  /// Nil when closed, or when the database could not be opened anew.
  var handle: RocksHandle?
  private var callsInProgress = 0
  private var isClosed = false
  /// What made the handle one that is only read from. Guarded by `writing`, as is the member below.
  var wound: RocksError?
  /// When the next attempt to open the database anew may be made.
  var nextReopening = ContinuousClock.now

  /// Opens the database in `path`, replaying its log, and takes the lock on it. The parent directory must exist.
  public init(path: String, options settings: RocksOptions = RocksOptions()) throws {
    self.path = path
    self.settings = settings
    handle = try RocksHandle(path, settings)
    readOptions = rocksdb_readoptions_create()
    writeOptions = [Durability.synced, .logged, .unlogged].map { durability in
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
  }

  /// Waits for the calls in progress, closes the database and releases its lock. Calling it again does nothing.
  /// Must not be called from inside `withIterator` or `withValue`.
  public func close() {
    idle.lock(whenValue: true)
    handle = nil
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
    try call { handle in
      var message: UnsafeMutablePointer<CChar>?
      let slice = key.withCharacters { rocksdb_get_pinned(handle, readOptions, $0, $1, &message) }
      if let error = RocksHandle.take(&message, "Reading", path) { throw error }
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
    try call { handle in
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

  /// A property of the library by name, such as `rocksdb.estimate-num-keys`; nil when it is unknown.
  public func property(_ name: String) throws -> String? {
    try call { handle in
      guard let value = rocksdb_property_value(handle, name) else { return nil }
      defer { rocksdb_free(value) }
      return String(cString: value)
    }
  }

  // MARK: Inside

  func call<R>(_ body: (OpaquePointer) throws -> R) throws -> R {
    idle.lock()
    guard let handle else {
      defer { idle.unlock() }
      throw isClosed
        ? RocksError("The database in \(path) is closed.", isClosed: true)
        : RocksError("The database in \(path) could not be opened anew after a failed write.")
    }
    callsInProgress += 1
    idle.unlock(withValue: false)
    defer {
      idle.lock()
      callsInProgress -= 1
      idle.unlock(withValue: callsInProgress == 0)
    }
    return try body(handle.database)
  }

  /// Calls `body` when no call is in progress, and lets none begin meanwhile.
  /// - Returns: nil when calls went on for too long, or the database is closed.
  func exclusively<R>(_ body: () throws -> R) rethrows -> R? {
    guard idle.lock(whenValue: true, timeoutSeconds: 1) else { return nil }
    defer { idle.unlock() }
    return isClosed ? nil : try body()
  }
}
