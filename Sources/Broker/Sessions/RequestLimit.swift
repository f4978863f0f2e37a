import Atomics

/// How many lookups a broker works on at once, over all connections (`maxConcurrentLookupRequest`).
final class RequestLimit: Sendable {
  private let limit: Int
  private let running = ManagedAtomic<Int>(0)

  /// - Parameter limit: 0 for none.
  init(_ limit: Int) { self.limit = max(0, limit) }

  /// Whether one more may begin; if so, `end` must follow.
  func begin() -> Bool {
    let now = running.wrappingIncrementThenLoad(ordering: .relaxed)
    guard limit > 0, now > limit else { return true }
    end()
    return false
  }

  func end() { running.wrappingDecrement(ordering: .relaxed) }
}
