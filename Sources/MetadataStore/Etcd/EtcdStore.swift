import Foundation
import GRPCCore
import Logging
import NIOConcurrencyHelpers

/// A metadata store of several processes: an etcd cluster (v3 API).
///
/// Versions are etcd's revisions. Every change is a transaction that is made exactly once, also when answers are lost or
/// members fail meanwhile (see `EtcdWrite`); only when no member answers until `operationTimeout` does a call throw
/// `MetadataError.storage`. Watches are taken up on another member when theirs goes away, and end only when etcd has
/// compacted what they missed. Reads are linearizable.
public final class EtcdStore: MetadataStore {
  private let client: EtcdClient
  private let keys: EtcdKeys
  private let leases: EtcdLeases
  private let session: EtcdSession
  private let watches: EtcdWatches
  private let isClosed = NIOLockedValueBox(false)

  private init(client: EtcdClient, logger: Logger) {
    self.client = client
    keys = EtcdKeys(root: client.configuration.root)
    leases = EtcdLeases(client: client, logger: logger)
    session = EtcdSession(leases: leases, root: keys.sessions)
    watches = EtcdWatches(client: client, keys: keys, logger: logger)
  }

  /// Connects to the cluster; returns when it answers.
  /// - Throws: `MetadataError.storage` when no member answers within `operationTimeout`.
  public static func open(_ configuration: EtcdConfiguration, logger: Logger) async throws -> EtcdStore {
    let client = try EtcdClient(configuration)
    let store = EtcdStore(client: client, logger: logger)
    do {
      _ = try await store.keys(prefix: "/", after: nil, limit: 1)
    } catch {
      await client.close()
      let members = configuration.endpoints.map(\.description).joined(separator: ", ")
      throw MetadataError.storage("The etcd cluster (\(members)) cannot be used: \(error)")
    }
    return store
  }

  // MARK: Reading

  /// The record at `key`, or nil when there is none.
  public func get(_ key: String) async throws -> MetadataRecord? {
    try MetadataKey.validate(key)
    var request = EtcdRangeRequest()
    request.key = keys.record(key)
    let answer = try await call(.range, request)
    return answer.kvs.first.flatMap(record)
  }

  /// The first records under `prefix` after `after`, in key order.
  public func list(prefix: String, after: String?, limit: Int) async throws -> [MetadataRecord] {
    try await scan(prefix, after, limit, keysOnly: false).compactMap(record)
  }

  /// The first keys under `prefix` after `after`, in order.
  public func keys(prefix: String, after: String?, limit: Int) async throws -> [String] {
    try await scan(prefix, after, limit, keysOnly: true).compactMap { keys.key($0.key) }
  }

  private func record(_ found: EtcdKeyValue) -> MetadataRecord? {
    keys.key(found.key).map {
      MetadataRecord(key: $0, value: Array(found.value), version: MetadataVersion(rawValue: found.modRevision))
    }
  }

  private func scan(_ prefix: String, _ after: String?, _ limit: Int, keysOnly: Bool) async throws -> [EtcdKeyValue] {
    var found: [EtcdKeyValue] = []
    var page = 1000
    var (from, end) = keys.range(prefix: prefix, after: after)
    while found.count < limit, from.lexicographicallyPrecedes(end) {
      var request = EtcdRangeRequest()
      (request.key, request.rangeEnd, request.keysOnly) = (from, end, keysOnly)
      request.limit = Int64(min(page, limit - found.count))
      let answer: EtcdRangeResponse
      do {
        answer = try await client.call(.range, request)
      } catch EtcdFailure.refused(.resourceExhausted, _) where page > 1 {
        // The page is longer than an answer may be.
        page = max(1, page / 8)
        continue
      } catch let failure as EtcdFailure {
        throw failure.metadataError
      }
      found += answer.kvs
      guard answer.more, let last = answer.kvs.last else { break }
      from = last.key + [0]
    }
    return found
  }

  // MARK: Changing

  /// Sets `key` to `value` if its present version is as expected.
  @discardableResult
  public func put(
    _ key: String, _ value: [UInt8], expected: ExpectedVersion, lease: MetadataLease?
  ) async throws -> MetadataVersion {
    try MetadataKey.validate(key)
    try MetadataKey.validate(value: value, of: key)
    if let lease, lease.isExpired { throw isClosed.withLockedValue { $0 } ? MetadataError.closed : .leaseExpired }
    var put = EtcdPutRequest()
    (put.key, put.value, put.lease) = (keys.record(key), Data(value), lease?.id ?? 0)
    var operation = EtcdRequestOp()
    operation.request = .requestPut(put)
    return try await change(key, operation, expected, lease)
  }

  /// Removes `key` if its present version is as expected.
  public func delete(_ key: String, expected: ExpectedVersion) async throws {
    try MetadataKey.validate(key)
    var delete = EtcdDeleteRangeRequest()
    delete.key = keys.record(key)
    var operation = EtcdRequestOp()
    operation.request = .requestDeleteRange(delete)
    _ = try await change(key, operation, expected, nil)
  }

  private func change(
    _ key: String, _ operation: EtcdRequestOp, _ expected: ExpectedVersion, _ lease: MetadataLease?
  ) async throws -> MetadataVersion {
    let condition: EtcdCompare? =
      switch expected {
      case .any: nil
      case .absent: .revision(of: keys.record(key), is: 0)
      case .exactly(let version): .revision(of: keys.record(key), is: version.rawValue)
      }
    let change = EtcdChange(
      key: key, operation: operation, condition: condition, lease: lease, client: client, session: session,
      leases: leases)
    // A change that was begun is finished, so that its marker can be used again.
    return try await Task { try await change.run() }.value
  }

  /// The next number of the sequence `name`: how often its key was put.
  public func nextSequence(_ name: String) async throws -> Int64 {
    var put = EtcdPutRequest()
    put.key = keys.sequence(name)
    put.prevKv = true
    // A repetition after a lost answer passes a number over.
    let answer = try await call(.put, put)
    return answer.prevKv.version + 1
  }

  // MARK: Watches and leases

  /// Every change made after this call returned to keys that begin with `prefix`.
  public func watch(prefix: String) async throws -> AsyncStream<MetadataEvent> {
    try await watches.watch(prefix: prefix)
  }

  /// A lease that is kept alive until it is revoked, its last reference is dropped, or the store is closed. It ends, too, when
  /// the cluster could not be reached for its whole time to live. The time is rounded up to what the cluster grants.
  public func grantLease(ttl: Duration) async throws -> MetadataLease {
    do {
      return try await leases.grant(ttl: ttl)
    } catch let failure as EtcdFailure {
      throw failure.metadataError
    }
  }

  /// Revokes the leases, ends the watches, and closes the connections. Calling it again does nothing.
  public func close() async throws {
    let isFirst = isClosed.withLockedValue { closed in
      defer { closed = true }
      return !closed
    }
    guard isFirst else { return }
    await leases.close()
    await watches.close()
    await client.close()
  }

  /// Makes etcd forget what was before `version`, for tests.
  func compact(_ version: MetadataVersion) async throws {
    var request = EtcdCompactionRequest()
    request.revision = version.rawValue
    request.physical = true
    _ = try await call(.compact, request)
  }

  private func call<Request, Response>(
    _ method: EtcdMethod<Request, Response>, _ request: Request
  ) async throws -> Response {
    do {
      return try await client.call(method, request)
    } catch let failure as EtcdFailure {
      throw failure.metadataError
    }
  }
}
