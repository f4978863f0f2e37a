import MetadataStore
import NIOConcurrencyHelpers

/// A metadata store that makes changes to ledgers' metadata, and loses the answers to some of them; or answers nothing but
/// errors, or nothing at all.
final class LossyMetadata: MetadataStore {
  private let store: any MetadataStore
  private let state = NIOLockedValueBox((answersToLose: 0, lost: 0, isDown: false, hangs: false))
  private let listed = NIOLockedValueBox(0)
  private let observer = NIOLockedValueBox((@Sendable () -> Void)?.none)

  init(_ store: any MetadataStore) { self.store = store }

  /// Loses the answers to the next `count` changes of ledgers.
  func loseAnswers(_ count: Int) { state.withLockedValue { $0.answersToLose = count } }

  /// Whether it answers nothing but errors, and changes nothing.
  var isDown: Bool {
    get { state.withLockedValue { $0.isDown } }
    set { state.withLockedValue { $0.isDown = newValue } }
  }

  /// Whether it answers nothing for now.
  var hangs: Bool {
    get { state.withLockedValue { $0.hangs } }
    set { state.withLockedValue { $0.hangs = newValue } }
  }

  /// Calls `observer` before each change.
  func beforeChanges(_ observer: @escaping @Sendable () -> Void) { self.observer.withLockedValue { $0 = observer } }

  private func checkIsUp() async throws {
    while hangs { try await Task.sleep(for: .milliseconds(5)) }
    if isDown { throw MetadataError.storage("out of reach") }
  }

  /// Lists that were asked for, of records or keys.
  var lists: Int { listed.withLockedValue { $0 } }

  /// Answers that were lost.
  var lost: Int { state.withLockedValue { $0.lost } }

  func put(
    _ key: String, _ value: [UInt8], expected: ExpectedVersion, lease: MetadataLease?
  ) async throws -> MetadataVersion {
    observer.withLockedValue { $0 }?()
    try await checkIsUp()
    let version = try await store.put(key, value, expected: expected, lease: lease)
    let isLost = state.withLockedValue { state in
      guard state.answersToLose > 0, key.hasPrefix("/ledgers/"), key.last?.isNumber == true else { return false }
      state.answersToLose -= 1
      state.lost += 1
      return true
    }
    if isLost { throw MetadataError.storage("the answer was lost") }
    return version
  }

  func get(_ key: String) async throws -> MetadataRecord? {
    try await checkIsUp()
    return try await store.get(key)
  }

  func delete(_ key: String, expected: ExpectedVersion) async throws {
    try await store.delete(key, expected: expected)
  }

  func list(prefix: String, after: String?, limit: Int) async throws -> [MetadataRecord] {
    try await checkIsUp()
    listed.withLockedValue { $0 += 1 }
    return try await store.list(prefix: prefix, after: after, limit: limit)
  }

  func keys(prefix: String, after: String?, limit: Int) async throws -> [String] {
    try await checkIsUp()
    listed.withLockedValue { $0 += 1 }
    return try await store.keys(prefix: prefix, after: after, limit: limit)
  }

  func watch(prefix: String) async throws -> AsyncStream<MetadataEvent> { try await store.watch(prefix: prefix) }

  func grantLease(ttl: Duration) async throws -> MetadataLease { try await store.grantLease(ttl: ttl) }

  func nextSequence(_ name: String) async throws -> Int64 { try await store.nextSequence(name) }

  func close() async throws {}
}
