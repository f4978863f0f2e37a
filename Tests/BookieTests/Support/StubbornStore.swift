import MetadataStore
import NIOConcurrencyHelpers

/// A metadata store that refuses, as long as it is told to, changes and listings of keys with a prefix.
final class StubbornStore: MetadataStore {
  private let store: any MetadataStore
  private let state = NIOLockedValueBox<(prefix: String?, refusals: Int)>((nil, 0))

  init(_ store: any MetadataStore) { self.store = store }

  /// Refuses from now on; nil: nothing.
  func refuse(_ prefix: String?) { state.withLockedValue { $0.prefix = prefix } }

  var refusals: Int { state.withLockedValue { $0.refusals } }

  private func check(_ key: String) throws {
    let isRefused = state.withLockedValue { state in
      guard let prefix = state.prefix, key.hasPrefix(prefix) else { return false }
      state.refusals += 1
      return true
    }
    if isRefused { throw MetadataError.closed }
  }

  func get(_ key: String) async throws -> MetadataRecord? { try await store.get(key) }

  func put(
    _ key: String, _ value: [UInt8], expected: ExpectedVersion, lease: MetadataLease?
  ) async throws -> MetadataVersion {
    try check(key)
    return try await store.put(key, value, expected: expected, lease: lease)
  }

  func delete(_ key: String, expected: ExpectedVersion) async throws {
    try check(key)
    try await store.delete(key, expected: expected)
  }

  func list(prefix: String, after: String?, limit: Int) async throws -> [MetadataRecord] {
    try check(prefix)
    return try await store.list(prefix: prefix, after: after, limit: limit)
  }

  func keys(prefix: String, after: String?, limit: Int) async throws -> [String] {
    try await store.keys(prefix: prefix, after: after, limit: limit)
  }

  func watch(prefix: String) async throws -> AsyncStream<MetadataEvent> { try await store.watch(prefix: prefix) }
  func grantLease(ttl: Duration) async throws -> MetadataLease { try await store.grantLease(ttl: ttl) }
  func nextSequence(_ name: String) async throws -> Int64 { try await store.nextSequence(name) }
  func close() async throws {}
}
