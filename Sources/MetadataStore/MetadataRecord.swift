/// The version of a key: a number from one counter of the whole store, given at its last change.
public struct MetadataVersion: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
  /// The number; 1 or greater for a key that exists.
  public var rawValue: Int64

  /// The version with the given number.
  public init(rawValue: Int64) {
    self.rawValue = rawValue
  }

  /// The number in decimal.
  public var description: String { String(rawValue) }

  /// Whether `lhs` was given before `rhs`.
  public static func < (lhs: Self, rhs: Self) -> Bool { lhs.rawValue < rhs.rawValue }
}

/// What the store holds at one key.
public struct MetadataRecord: Sendable, Hashable {
  /// The path.
  public var key: String
  /// The bytes.
  public var value: [UInt8]
  /// The version of the change that set the value.
  public var version: MetadataVersion

  /// A record of the given parts.
  public init(key: String, value: [UInt8], version: MetadataVersion) {
    self.key = key
    self.value = value
    self.version = version
  }
}

/// The condition of a change.
public enum ExpectedVersion: Sendable, Equatable {
  /// No condition.
  case any
  /// The key must not exist.
  case absent
  /// The key must exist with this version.
  case exactly(MetadataVersion)

  /// Whether a key with the given version (nil: absent) meets the condition.
  public func allows(_ present: MetadataVersion?) -> Bool {
    switch self {
    case .any: true
    case .absent: present == nil
    case .exactly(let version): present == version
    }
  }
}

/// One change, as a watch reports it.
public struct MetadataEvent: Sendable, Hashable {
  /// What happened to the key.
  public enum Kind: Sendable, Hashable {
    /// It was created or changed.
    case put
    /// It was removed.
    case delete
  }

  /// What happened.
  public var kind: Kind
  /// The path.
  public var key: String
  /// The version of the change; for a removal greater than that of the removed record.
  public var version: MetadataVersion

  /// An event of the given parts.
  public init(kind: Kind, key: String, version: MetadataVersion) {
    self.kind = kind
    self.key = key
    self.version = version
  }
}
