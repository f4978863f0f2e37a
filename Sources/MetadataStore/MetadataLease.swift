import NIOConcurrencyHelpers

/// The life of ephemeral keys: while it holds, the keys put with it exist; when it ends, they vanish.
///
/// Its store keeps it alive. It ends when it is revoked, when **the last reference to it is dropped**, when its store is
/// closed, or when the store expires it (a server that was out of reach for longer than the time to live).
public final class MetadataLease: Sendable {
  /// The store's number of the lease.
  public let id: Int64
  /// How long the keys outlive a holder that died, at most.
  public let ttl: Duration

  private struct State {
    var isExpired = false
    /// After this moment it counts as ended, even if nobody could find out yet.
    var deadline: ContinuousClock.Instant?
    var observers: [@Sendable () -> Void] = []
  }

  private let state = NIOLockedValueBox(State())
  private let onRevoke: @Sendable (Int64) async throws -> Void
  private let onAbandon: @Sendable (Int64) -> Void

  /// For stores.
  /// - Parameters:
  ///   - revoke: removes the keys of the lease with this number; returns when they are gone.
  ///   - abandon: the same without waiting; called when the last reference to an unexpired lease is dropped.
  public init(
    id: Int64, ttl: Duration, revoke: @escaping @Sendable (Int64) async throws -> Void,
    abandon: @escaping @Sendable (Int64) -> Void
  ) {
    self.id = id
    self.ttl = ttl
    self.onRevoke = revoke
    self.onAbandon = abandon
  }

  deinit {
    if !state.withLockedValue({ $0.isExpired }) { onAbandon(id) }
  }

  /// Whether the lease has ended, or can no longer be relied on because it was not renewed in time.
  public var isExpired: Bool {
    state.withLockedValue { state in
      state.isExpired || state.deadline.map { ContinuousClock.now >= $0 } == true
    }
  }

  /// For stores: the lease was renewed, and holds until `deadline` unless it is renewed again.
  public func extend(until deadline: ContinuousClock.Instant) {
    state.withLockedValue { $0.deadline = deadline }
  }

  /// Yields once, and ends, when the lease ends; at once if it has ended already.
  public var expired: AsyncStream<Void> {
    let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
    onExpired {
      continuation.yield()
      continuation.finish()
    }
    return stream
  }

  /// Calls `observer` once, on any thread, when the lease ends; at once if it has ended already.
  public func onExpired(_ observer: @escaping @Sendable () -> Void) {
    let isExpired = state.withLockedValue { state in
      if !state.isExpired { state.observers.append(observer) }
      return state.isExpired
    }
    if isExpired { observer() }
  }

  /// Ends the lease and removes its keys; returns when they are gone. Calling it again does nothing.
  public func revoke() async throws {
    guard !state.withLockedValue({ $0.isExpired }) else { return }
    try await onRevoke(id)
    markExpired()
  }

  /// For stores: the lease has ended; tells the observers.
  public func markExpired() {
    let observers = state.withLockedValue { state in
      state.isExpired = true
      defer { state.observers = [] }
      return state.observers
    }
    observers.forEach { $0() }
  }
}
