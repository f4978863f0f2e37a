/// Why the metadata store refused or failed.
public enum MetadataError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The key's version is not the expected one: somebody else changed it. Read it and decide again.
  case versionMismatch(key: String)
  /// There is no such key.
  case notFound(key: String)
  /// The lease was revoked or has expired; grant another.
  case leaseExpired
  /// The store is closed.
  case closed
  /// The store below failed; the text says how. The change may or may not have been made.
  case storage(String)
  /// The key is not a path that the store takes; the text names it and the reason.
  case invalidKey(String)

  /// One sentence.
  public var description: String {
    switch self {
    case .versionMismatch(let key): "The metadata key \(key) was changed by somebody else; read it again."
    case .notFound(let key): "The metadata key \(key) does not exist."
    case .leaseExpired: "The metadata lease has expired or was revoked; grant another."
    case .closed: "The metadata store is closed."
    case .storage(let reason): "The metadata store failed: \(reason)"
    case .invalidKey(let reason): "Invalid metadata key: \(reason)"
    }
  }
}
