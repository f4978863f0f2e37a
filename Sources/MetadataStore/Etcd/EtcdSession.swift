import NIOConcurrencyHelpers

/// The markers of this client's changes (see `EtcdWrite`): keys that vanish with a lease of their own.
final class EtcdSession: Sendable {
  /// A marker, used by one change at a time.
  struct Slot: Sendable {
    var key: [UInt8]
    /// The revision of its last change; 0: it was never put.
    var revision: Int64
    var lease: MetadataLease
  }

  private struct State {
    var lease: MetadataLease?
    var free: [Slot] = []
    var nextNumber = 0
  }

  /// Long compared with any operation: a marker must not vanish before it was read.
  static let ttl = Duration.seconds(120)

  private let leases: EtcdLeases
  private let root: [UInt8]
  private let state = NIOLockedValueBox(State())

  init(leases: EtcdLeases, root: [UInt8]) {
    self.leases = leases
    self.root = root
  }

  /// A marker for one change.
  func take() async throws -> Slot {
    if let slot = takeKnown() { return slot }
    let lease = try await leases.grant(ttl: Self.ttl)
    let isNeeded = state.withLockedValue { state in
      guard state.lease?.isExpired != false else { return false }
      state = State(lease: lease)
      return true
    }
    // Several may have found the session ended; one lease is enough.
    if !isNeeded { try? await lease.revoke() }
    guard let slot = takeKnown() else { throw MetadataError.storage("The session with etcd ended at once.") }
    return slot
  }

  private func takeKnown() -> Slot? {
    state.withLockedValue { state in
      guard let lease = state.lease, !lease.isExpired else { return nil }
      if let slot = state.free.popLast() { return slot }
      state.nextNumber += 1
      return Slot(key: root + Array("\(lease.id)/\(state.nextNumber)".utf8), revision: 0, lease: lease)
    }
  }

  /// Gives a marker back whose changes are all certain. Others are left to vanish with the session.
  func give(_ slot: Slot) {
    state.withLockedValue { state in
      if state.lease === slot.lease { state.free.append(slot) }
    }
  }

  /// The lease of the markers is gone.
  func forget(_ lease: MetadataLease) {
    lease.markExpired()
  }
}
