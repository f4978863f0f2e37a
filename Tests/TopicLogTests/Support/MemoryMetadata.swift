import MetadataStore
import NIOConcurrencyHelpers

/// A metadata store in memory that can fail on demand.
final class MemoryMetadata: MetadataStore {
  struct State {
    var records: [String: MetadataRecord] = [:]
    var version: Int64 = 0
    var sequences: [String: Int64] = [:]
    var putsThatFail = 0
    var putsWhoseAnswerIsLost = 0
    var puts = 0
    var deletesThatFail = 0
  }

  let state = NIOLockedValueBox(State())

  func get(_ key: String) async throws -> MetadataRecord? { state.withLockedValue { $0.records[key] } }

  func put(
    _ key: String, _ value: [UInt8], expected: ExpectedVersion, lease: MetadataLease?
  ) async throws -> MetadataVersion {
    try MetadataKey.validate(key)
    return try state.withLockedValue { state in
      if state.putsThatFail > 0 {
        state.putsThatFail -= 1
        throw MetadataError.storage("injected")
      }
      guard expected.allows(state.records[key]?.version) else { throw MetadataError.versionMismatch(key: key) }
      state.version += 1
      state.puts += 1
      let version = MetadataVersion(rawValue: state.version)
      state.records[key] = MetadataRecord(key: key, value: value, version: version)
      if state.putsWhoseAnswerIsLost > 0 {
        state.putsWhoseAnswerIsLost -= 1
        throw MetadataError.storage("injected: the answer was lost")
      }
      return version
    }
  }

  func delete(_ key: String, expected: ExpectedVersion) async throws {
    try state.withLockedValue { state in
      if state.deletesThatFail > 0 {
        state.deletesThatFail -= 1
        throw MetadataError.storage("injected")
      }
      guard expected.allows(state.records[key]?.version) else { throw MetadataError.versionMismatch(key: key) }
      state.records[key] = nil
    }
  }

  func list(prefix: String, after: String?, limit: Int) async throws -> [MetadataRecord] {
    state.withLockedValue { state in
      Array(
        state.records.values.filter { $0.key.hasPrefix(prefix) && $0.key > after ?? "" }.sorted { $0.key < $1.key }
          .prefix(limit))
    }
  }

  func keys(prefix: String, after: String?, limit: Int) async throws -> [String] {
    try await list(prefix: prefix, after: after, limit: limit).map(\.key)
  }

  func watch(prefix: String) async throws -> AsyncStream<MetadataEvent> { AsyncStream { $0.finish() } }

  func grantLease(ttl: Duration) async throws -> MetadataLease {
    MetadataLease(id: 1, ttl: ttl, revoke: { _ in }, abandon: { _ in })
  }

  func nextSequence(_ name: String) async throws -> Int64 {
    state.withLockedValue { state in
      state.sequences[name, default: 0] += 1
      return state.sequences[name] ?? 0
    }
  }

  func close() async throws {}
}
