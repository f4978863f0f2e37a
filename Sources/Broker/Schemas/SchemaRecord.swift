import NIOCore
import PulsarWire

/// A schema as its producers declared it.
public struct SchemaDefinition: Hashable, Sendable {
  /// The schema's kind.
  public var type: ProtoSchema.TypeEnum
  /// The definition itself: for records an Avro schema in JSON.
  public var data: [UInt8]
  /// Free properties.
  public var properties: [String: String]

  /// A schema of its parts.
  public init(type: ProtoSchema.TypeEnum, data: [UInt8], properties: [String: String] = [:]) {
    self.type = type
    self.data = data
    self.properties = properties
  }
}

/// One version of a topic's schema.
public struct SchemaRecord: Sendable {
  /// 0 for a topic's first schema, then one more for each.
  public var version: Int64
  /// What was registered.
  public var schema: SchemaDefinition
  /// When it was registered, milliseconds since 1970.
  public var timestampMs: Int64
  /// Whether it marks the deletion of the versions before it.
  public var isDeleted: Bool

  /// The version as clients carry it: eight bytes, most significant first.
  public var versionBytes: [UInt8] { Self.bytes(of: version) }

  static func bytes(of version: Int64) -> [UInt8] {
    withUnsafeBytes(of: version.bigEndian) { Array($0) }
  }

  static func version(of bytes: some Collection<UInt8>) -> Int64? {
    guard bytes.count == 8 else { return nil }
    return bytes.reduce(Int64(0)) { $0 << 8 | Int64($1) }
  }
}

extension SchemaCompatibilityStrategy {
  var checksEveryVersion: Bool {
    switch self {
    case .backwardTransitive, .forwardTransitive, .fullTransitive: true
    default: false
    }
  }

  /// The new schema must read what the last one wrote.
  var newReadsOld: Bool {
    switch self {
    case .backward, .backwardTransitive, .full, .fullTransitive: true
    default: false
    }
  }

  /// The last schema must read what the new one writes.
  var oldReadsNew: Bool {
    switch self {
    case .forward, .forwardTransitive, .full, .fullTransitive: true
    default: false
    }
  }
}
