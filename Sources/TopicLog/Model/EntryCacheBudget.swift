import NIOConcurrencyHelpers

/// The bytes that the entry caches of all topics of a broker may hold together (`managedLedgerCacheSizeMB`).
///
/// Each log reserves from it before it caches an entry, and gives back what it evicts. Safe to use from any thread.
public final class EntryCacheBudget: Sendable {
  /// The limit in bytes.
  public let limit: Int
  private let used = NIOLockedValueBox(0)

  /// Creates a budget of `limit` bytes.
  public init(limit: Int) {
    self.limit = max(0, limit)
  }

  /// Bytes that are cached now.
  public var bytesInUse: Int { used.withLockedValue { $0 } }

  /// Takes `bytes` if they fit.
  func reserve(_ bytes: Int) -> Bool {
    used.withLockedValue { used in
      guard bytes <= limit - used else { return false }
      used += bytes
      return true
    }
  }

  func release(_ bytes: Int) {
    guard bytes > 0 else { return }
    used.withLockedValue { $0 -= bytes }
  }
}
