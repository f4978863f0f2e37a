import MetadataStore
import NIOConcurrencyHelpers

/// A metadata store that does not take some keys while a test says so.
final class FaultyMetadata: MetadataStore {
  private let store: any MetadataStore
  private let refused = NIOLockedValueBox<String?>(nil)

  init(_ store: any MetadataStore) {
    self.store = store
  }

  /// Whether keys with `part` in them are refused; `nil` for none.
  func refuse(_ part: String?) { refused.withLockedValue { $0 = part } }

  func put(
    _ key: String, _ value: [UInt8], expected: ExpectedVersion, lease: MetadataLease?
  ) async throws -> MetadataVersion {
    if let part = refused.withLockedValue({ $0 }), key.contains(part) {
      throw MetadataError.storage("refused by a test")
    }
    return try await store.put(key, value, expected: expected, lease: lease)
  }

  func get(_ key: String) async throws -> MetadataRecord? { try await store.get(key) }
  func delete(_ key: String, expected: ExpectedVersion) async throws { try await store.delete(key, expected: expected) }
  func list(prefix: String, after: String?, limit: Int) async throws -> [MetadataRecord] {
    try await store.list(prefix: prefix, after: after, limit: limit)
  }
  func keys(prefix: String, after: String?, limit: Int) async throws -> [String] {
    try await store.keys(prefix: prefix, after: after, limit: limit)
  }
  func watch(prefix: String) async throws -> AsyncStream<MetadataEvent> { try await store.watch(prefix: prefix) }
  func grantLease(ttl: Duration) async throws -> MetadataLease { try await store.grantLease(ttl: ttl) }
  func nextSequence(_ name: String) async throws -> Int64 { try await store.nextSequence(name) }
  func close() async throws { try await store.close() }
}
