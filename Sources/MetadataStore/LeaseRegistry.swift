import NIOConcurrencyHelpers

/// The leases that hold, without keeping them alive, so that closing a store can tell their holders.
final class LeaseRegistry: Sendable {
  private struct Entry {
    weak var lease: MetadataLease?
  }

  private let entries = NIOLockedValueBox<[Int64: Entry]>([:])

  func add(_ lease: MetadataLease) {
    entries.withLockedValue { $0[lease.id] = Entry(lease: lease) }
  }

  /// The lease, if anybody still holds it.
  func lease(_ id: Int64) -> MetadataLease? {
    entries.withLockedValue { $0[id]?.lease }
  }

  func remove(_ id: Int64) {
    entries.withLockedValue { $0[id] = nil }
  }

  /// Tells every holder that its lease has ended.
  func expireAll() {
    let leases = entries.withLockedValue { entries in
      defer { entries = [:] }
      return entries.values.compactMap(\.lease)
    }
    for lease in leases { lease.markExpired() }
  }
}
