/// A value that may be absent (or null) in JSON and then takes its type's empty value.
public protocol JSONDefault {
  /// What an absent field means.
  static var jsonDefault: Self { get }
}

extension Bool: JSONDefault {
  /// `false`
  public static var jsonDefault: Bool { false }
}

extension Int: JSONDefault {
  /// Zero
  public static var jsonDefault: Int { 0 }
}

extension Int64: JSONDefault {
  /// Zero
  public static var jsonDefault: Int64 { 0 }
}

extension Double: JSONDefault {
  /// Zero
  public static var jsonDefault: Double { 0 }
}

extension String: JSONDefault {
  /// The empty string
  public static var jsonDefault: String { "" }
}

extension Array: JSONDefault {
  /// The empty array
  public static var jsonDefault: [Element] { [] }
}

extension Dictionary: JSONDefault {
  /// The empty dictionary
  public static var jsonDefault: [Key: Value] { [:] }
}

/// Lets a `Codable` type keep its synthesized coding while fields may be absent: other versions of Pulsar send fewer fields,
/// and hand-written bodies name only what they change. A value of the wrong type is still an error.
@propertyWrapper
public struct Defaulted<Value: JSONDefault> {
  /// The field itself.
  public var wrappedValue: Value

  /// Wraps the field's initial value.
  public init(wrappedValue: Value) {
    self.wrappedValue = wrappedValue
  }
}

extension Defaulted: Sendable where Value: Sendable {}
extension Defaulted: Equatable where Value: Equatable {}
extension Defaulted: Hashable where Value: Hashable {}

extension Defaulted: Encodable where Value: Encodable {
  /// Encodes the value bare.
  public func encode(to encoder: any Encoder) throws {
    try wrappedValue.encode(to: encoder)
  }
}

extension Defaulted: Decodable where Value: Decodable {
  /// Decodes the value bare.
  public init(from decoder: any Decoder) throws {
    wrappedValue = try Value(from: decoder)
  }
}

extension KeyedDecodingContainer {
  /// Chosen by synthesized decoding in place of the strict overload: an absent field is its type's empty value.
  public func decode<Value: Decodable & JSONDefault>(
    _ type: Defaulted<Value>.Type, forKey key: Key
  ) throws -> Defaulted<Value> {
    Defaulted(wrappedValue: try decodeIfPresent(Value.self, forKey: key) ?? Value.jsonDefault)
  }

  /// The field, or `fallback` where it is absent or null.
  func value<Value: Decodable>(_ key: Key, default fallback: Value) throws -> Value {
    try decodeIfPresent(Value.self, forKey: key) ?? fallback
  }
}
