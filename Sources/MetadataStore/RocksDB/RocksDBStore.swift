import Logging
import NIOPosix
import RocksDB

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The metadata store of one process: a RocksDB database, and watches and leases in memory.
///
/// One thread writes, each write being synced before its callers hear of it; callers that wait at the same time share a
/// sync. Two threads read. Leases cannot outlive the process, so their keys are removed when the store opens.
/// Close it: it holds threads and a lock on its directory.
public final class RocksDBStore: MetadataStore {
  private let writer: StoreWriter
  private let database: RocksDatabase
  private let hub: WatchHub
  private let writing: NIOThreadPool
  private let reading: NIOThreadPool
  private let leases = LeaseRegistry()

  private init(
    database: RocksDatabase, writer: StoreWriter, hub: WatchHub, writing: NIOThreadPool, reading: NIOThreadPool
  ) {
    self.database = database
    self.writer = writer
    self.hub = hub
    self.writing = writing
    self.reading = reading
  }

  deinit {
    hub.finish()
    reading.shutdownGracefully { _ in }
    writing.shutdownGracefully { _ in }
  }

  /// Opens the store in the directory `path`, which is created with its parents when absent.
  /// - Throws: `MetadataError.storage` when the directory cannot be used, or is in use by another process.
  public static func open(path: String, logger: Logger? = nil) async throws -> RocksDBStore {
    var options = RocksOptions()
    options.writeBufferSize = 8 << 20
    options.blockCacheSize = 32 << 20
    return try await open(path: path, options: options, logger: logger)
  }

  static func open(path: String, options: RocksOptions, logger: Logger? = nil) async throws -> RocksDBStore {
    let writing = NIOThreadPool(numberOfThreads: 1)
    writing.start()
    do {
      let hub = WatchHub()
      let (database, writer) = try await writing.runIfActive {
        try Self.makeDirectories(path)
        let database = try RocksDatabase(path: path, options: options)
        let state = try Self.recover(database, logger)
        return (database, StoreWriter(database: database, thread: writing, hub: hub, state: state))
      }
      let reading = NIOThreadPool(numberOfThreads: 2)
      reading.start()
      return RocksDBStore(database: database, writer: writer, hub: hub, writing: writing, reading: reading)
    } catch {
      try? await writing.shutdownGracefully()
      throw Self.storageError(error)
    }
  }

  /// Removes what leases of a former process left, and reads where the versions stand.
  private static func recover(_ database: RocksDatabase, _ logger: Logger?) throws -> StoreState {
    var revision = try database.get(StoreEncoding.revision).map(StoreEncoding.integer) ?? 0
    let batch = RocksWriteBatch()
    var removed = 0
    try database.forEach(prefix: [StoreEncoding.leasePrefix]) { bound, _ in
      batch.delete(bound)
      batch.delete([StoreEncoding.recordPrefix] + bound.dropFirst(9))
      removed += 1
      return true
    }
    if removed > 0 {
      revision += Int64(removed)
      batch.put(StoreEncoding.revision, StoreEncoding.bytes(revision))
      try database.write(batch, .synced)
      logger?.info("Removed ephemeral metadata keys of a former process", metadata: ["keys": "\(removed)"])
    }
    // Numbers of leases must not repeat those that a holder of a former instance may still present.
    return StoreState(revision: revision, firstLease: Int64.random(in: 1 << 32...1 << 62))
  }

  // MARK: MetadataStore

  /// The record at `key`, or nil when there is none.
  public func get(_ key: String) async throws -> MetadataRecord? {
    try MetadataKey.validate(key)
    return try await read { database in
      try StoreEncoding.record(key).withUnsafeBytes { encoded in
        try database.withValue(of: encoded) { bytes in
          try Self.decode(bytes, key).map { stored in
            MetadataRecord(key: key, value: stored.value, version: MetadataVersion(rawValue: stored.version))
          }
        }
      }
    }
  }

  /// Sets `key` to `value` if its present version is as expected.
  @discardableResult
  public func put(
    _ key: String, _ value: [UInt8], expected: ExpectedVersion, lease: MetadataLease?
  ) async throws -> MetadataVersion {
    try MetadataKey.validate(key)
    try MetadataKey.validate(value: value, of: key)
    if let lease, lease.isExpired { throw MetadataError.leaseExpired }
    let answer = try await writer.perform(.put(key: key, value: value, expected: expected, lease: lease?.id))
    guard case .version(let version) = answer else { throw Self.unexpected(answer) }
    return MetadataVersion(rawValue: version)
  }

  /// Removes `key` if its present version is as expected.
  public func delete(_ key: String, expected: ExpectedVersion) async throws {
    try MetadataKey.validate(key)
    _ = try await writer.perform(.delete(key: key, expected: expected))
  }

  /// The first records under `prefix` after `after`, in key order.
  public func list(prefix: String, after: String?, limit: Int) async throws -> [MetadataRecord] {
    try await scan(prefix, after, limit) { key, value in
      let key = StoreEncoding.key(key)
      guard let stored = try Self.decode(value, key) else { return nil }
      return MetadataRecord(key: key, value: stored.value, version: MetadataVersion(rawValue: stored.version))
    }
  }

  /// The first keys under `prefix` after `after`, in order.
  public func keys(prefix: String, after: String?, limit: Int) async throws -> [String] {
    try await scan(prefix, after, limit) { key, _ in StoreEncoding.key(key) }
  }

  /// Every change made after this call returned to keys that begin with `prefix`.
  public func watch(prefix: String) async throws -> AsyncStream<MetadataEvent> {
    guard let stream = hub.watch(prefix: prefix) else { throw MetadataError.closed }
    return stream
  }

  /// A lease that holds until it is revoked, its last reference is dropped, or the store is closed.
  public func grantLease(ttl: Duration) async throws -> MetadataLease {
    let answer = try await writer.perform(.grantLease)
    guard case .lease(let id) = answer else { throw Self.unexpected(answer) }
    let lease = MetadataLease(
      id: id, ttl: ttl,
      revoke: { [writer, leases] id in
        leases.remove(id)
        do {
          _ = try await writer.perform(.endLease(id))
        } catch MetadataError.closed {
          // Closing the store ended every lease.
        }
      },
      abandon: { [writer, leases] id in
        leases.remove(id)
        writer.submit(.endLease(id), nil)
      })
    leases.add(lease)
    return lease
  }

  /// The next number of the sequence `name`. One call in a hundred waits for the disk.
  public func nextSequence(_ name: String) async throws -> Int64 {
    if let number = writer.takeNumber(name) { return number }
    let answer = try await writer.perform(.nextInSequence(name))
    guard case .number(let number) = answer else { throw Self.unexpected(answer) }
    return number
  }

  /// Ends leases and watches, and releases the directory. Calling it again does nothing.
  public func close() async throws {
    guard await writer.close() else { return }
    leases.expireAll()
    try await reading.shutdownGracefully()
    try await writing.shutdownGracefully()
  }

  /// Number of synced writes so far.
  func countSyncedWrites() async throws -> Int { try await writer.countSyncedWrites() }

  // MARK: Inside

  private func scan<T: Sendable>(
    _ prefix: String, _ after: String?, _ limit: Int,
    _ transform: @escaping @Sendable (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws -> T?
  ) async throws -> [T] {
    guard limit > 0 else { return [] }
    return try await read { database in
      var found: [T] = []
      let start = after.map { StoreEncoding.record($0) + [0] }
      try database.forEach(prefix: StoreEncoding.record(prefix), from: start) { key, value in
        if let item = try transform(key, value) { found.append(item) }
        return found.count < limit
      }
      return found
    }
  }

  private func read<T: Sendable>(_ body: @escaping @Sendable (RocksDatabase) throws -> T) async throws -> T {
    do {
      return try await reading.runIfActive { [database] in try body(database) }
    } catch is CancellationError {
      // A pool that was shut down cancels its work.
      throw Task.isCancelled ? CancellationError() : MetadataError.closed
    } catch {
      throw Self.storageError(error)
    }
  }

  static func decode(_ bytes: UnsafeRawBufferPointer?, _ key: String) throws -> StoredRecord? {
    guard let bytes else { return nil }
    guard let record = StoredRecord(bytes) else {
      throw MetadataError.storage("The record at \(key) is damaged: it has \(bytes.count) bytes.")
    }
    return record
  }

  private static func storageError(_ error: any Error) -> any Error {
    switch error {
    case let error as RocksError where error.isClosed: MetadataError.closed
    case let error as RocksError: MetadataError.storage(error.description)
    default: error
    }
  }

  private static func unexpected(_ answer: StoreAnswer) -> MetadataError {
    .storage("The writer gave an answer of the wrong kind (\(answer)).")
  }

  private static func makeDirectories(_ path: String) throws {
    var present = path.hasPrefix("/") ? "" : "."
    for component in path.split(separator: "/") {
      present += "/" + component
      guard mkdir(present, 0o755) == 0 || errno == EEXIST || errno == EISDIR || errno == EROFS else {
        throw MetadataError.storage("Cannot create the directory \(present): \(String(cString: strerror(errno))).")
      }
    }
  }
}
