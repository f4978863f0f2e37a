/// A small, strongly consistent map from path-like keys to bytes: the one place where a region keeps what must survive
/// its processes and what they must agree on.
///
/// Keys are absolute paths such as `/ledgers/42` (see `MetadataKey`). Every successful change gets a version from one
/// counter of the whole store: versions of a key only grow, also over its deletion and re-creation.
/// Every change is durable when the call returns. A read that begins after a change returned sees it.
public protocol MetadataStore: Sendable {
  /// The record at `key`, or nil when there is none.
  func get(_ key: String) async throws -> MetadataRecord?

  /// Sets `key` to `value` if its present version is as expected.
  /// - Parameter lease: binds the key to the lease, or, when nil, to none (an earlier binding ends).
  /// - Returns: the new version.
  /// - Throws: `MetadataError.versionMismatch`, `.leaseExpired`, `.invalidKey`, `.closed`, `.storage`.
  @discardableResult
  func put(
    _ key: String, _ value: [UInt8], expected: ExpectedVersion, lease: MetadataLease?
  ) async throws -> MetadataVersion

  /// Removes `key` if its present version is as expected. With `.any`, an absent key is no error.
  /// - Throws: `MetadataError.versionMismatch`, `.invalidKey`, `.closed`, `.storage`.
  func delete(_ key: String, expected: ExpectedVersion) async throws

  /// The first `limit` records whose key begins with `prefix` and is greater than `after`, in the order of the keys' bytes.
  func list(prefix: String, after: String?, limit: Int) async throws -> [MetadataRecord]

  /// As `list`, without the values.
  func keys(prefix: String, after: String?, limit: Int) async throws -> [String]

  /// Every change made after this call returned to keys that begin with `prefix`, in order and without gaps.
  /// To follow a set of keys: watch first, then list, then apply events newer than what was listed.
  /// The stream ends when the store is closed (or can no longer vouch for completeness: then watch and list again),
  /// and the watch ends with the stream.
  func watch(prefix: String) async throws -> AsyncStream<MetadataEvent>

  /// A lease that this store keeps alive until it is revoked, its last reference is dropped, or the store is closed.
  /// - Parameter ttl: how long the keys bound to it outlive the process that held it, at most.
  func grantLease(ttl: Duration) async throws -> MetadataLease

  /// The next number of the sequence `name`: durable, strictly increasing in the order of calls, the first one being 1.
  /// Numbers may be skipped, and are never given twice, also over a crash.
  func nextSequence(_ name: String) async throws -> Int64

  /// Revokes the leases, ends the watches, and releases the store. Later calls throw `MetadataError.closed`.
  func close() async throws
}

extension MetadataStore {
  /// Sets `key` to `value`, bound to no lease.
  @discardableResult
  public func put(
    _ key: String, _ value: [UInt8], expected: ExpectedVersion = .any
  ) async throws -> MetadataVersion {
    try await put(key, value, expected: expected, lease: nil)
  }

  /// Removes `key`, whatever its version.
  public func delete(_ key: String) async throws {
    try await delete(key, expected: .any)
  }

  /// Every record whose key begins with `prefix`, in key order, read page by page: the pages are not one snapshot.
  public func list(prefix: String) async throws -> [MetadataRecord] {
    var all: [MetadataRecord] = []
    while true {
      let page = try await list(prefix: prefix, after: all.last?.key, limit: 1000)
      all += page
      if page.count < 1000 { return all }
    }
  }

  /// Every key that begins with `prefix`, in key order, read page by page: the pages are not one snapshot.
  public func keys(prefix: String) async throws -> [String] {
    var all: [String] = []
    while true {
      let page = try await keys(prefix: prefix, after: all.last, limit: 1000)
      all += page
      if page.count < 1000 { return all }
    }
  }

  /// The record at `key`; throws `MetadataError.notFound` when there is none.
  public func require(_ key: String) async throws -> MetadataRecord {
    guard let record = try await get(key) else { throw MetadataError.notFound(key: key) }
    return record
  }

  /// Reads `key`, lets `transform` compute the new value (nil deletes the key) and writes it if nobody else did
  /// meanwhile; begins again otherwise. `transform` may run several times and must have no effects.
  /// - Returns: the record as written, or nil when it was deleted or left absent.
  @discardableResult
  public func update(
    _ key: String, _ transform: (MetadataRecord?) throws -> [UInt8]?
  ) async throws -> MetadataRecord? {
    while true {
      let present = try await get(key)
      let expected = present.map { ExpectedVersion.exactly($0.version) } ?? .absent
      do {
        guard let value = try transform(present) else {
          if present != nil { try await delete(key, expected: expected) }
          return nil
        }
        let version = try await put(key, value, expected: expected)
        return MetadataRecord(key: key, value: value, version: version)
      } catch MetadataError.versionMismatch {
        try Task.checkCancellation()
      }
    }
  }
}
