import Atomics
import NIOConcurrencyHelpers

/// The bytes of messages that are on their way from all connections of a broker to its bookies, and who waits for them
/// to become fewer.
///
/// Reaching the limit stops no message: who brought it is to stop reading, and is called when half of it is free again.
final class PublishBuffer: Sendable {
  /// Bytes; 0 for no limit.
  let limit: Int
  private let used = ManagedAtomic<Int>(0)
  private let hasWaiters = ManagedAtomic<Bool>(false)
  private let waiters = NIOLockedValueBox<[UInt64: @Sendable () -> Void]>([:])

  init(limit: Int) { self.limit = max(0, limit) }

  var bytes: Int { used.load(ordering: .relaxed) }
  var isFull: Bool { limit > 0 && bytes >= limit }
  private var isHalfFree: Bool { limit == 0 || used.load(ordering: .sequentiallyConsistent) <= limit / 2 }

  /// Counts bytes that came in, or with a negative `delta` that are settled.
  func change(by delta: Int) {
    used.wrappingIncrement(by: delta, ordering: .sequentiallyConsistent)
    if delta < 0, hasWaiters.load(ordering: .sequentiallyConsistent), isHalfFree { wake() }
  }

  /// Calls `resume` once, from anywhere and perhaps at once, when half of the limit is free. `id` replaces an earlier wait.
  func wait(_ id: UInt64, _ resume: @escaping @Sendable () -> Void) {
    waiters.withLockedValue { $0[id] = resume }
    // In this order: whoever frees bytes from here on sees that somebody waits.
    hasWaiters.store(true, ordering: .sequentiallyConsistent)
    if isHalfFree { wake() }
  }

  /// The connection is gone: it waits no longer.
  func stopWaiting(_ id: UInt64) { waiters.withLockedValue { $0[id] = nil } }

  private func wake() {
    let woken = waiters.withLockedValue { waiters in
      defer { waiters = [:] }
      hasWaiters.store(false, ordering: .sequentiallyConsistent)
      return waiters
    }
    for resume in woken.values { resume() }
  }
}

/// What one connection published that its topics have not settled.
///
/// Confined to the session's loop, but outlives the session: what is under way when a connection ends still counts.
final class PendingPublishes: @unchecked Sendable {
  private(set) var count = 0
  private(set) var bytes = 0
  private let buffer: PublishBuffer
  private var reported = 0

  init(buffer: PublishBuffer) { self.buffer = buffer }

  func add(bytes more: Int) {
    count += 1
    bytes += more
  }

  func settle(_ replies: [PublishReply]) {
    for reply in replies {
      count -= reply.settled
      bytes -= reply.settledBytes
    }
    report()
  }

  /// Brings the broker's count up to date: once for what one read brought or settled.
  func report() {
    guard bytes != reported else { return }
    buffer.change(by: bytes - reported)
    reported = bytes
  }
}
