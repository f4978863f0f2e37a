import NIOCore

/// A property of a message (`KeyValue`).
public struct MessageProperty: Hashable, Sendable {
  /// The key. A message may carry a key more than once.
  public var key: String
  /// The value.
  public var value: String

  /// Creates a property.
  public init(key: String, value: String) {
    self.key = key
    self.value = value
  }
}

extension MessageProperty {
  static func decode(_ reader: inout ProtobufReader) throws(PulsarWireError) -> MessageProperty {
    var key: String?
    var value: String?
    while let tag = try reader.tag() {
      switch tag {
      case 10: key = try reader.string("KeyValue.key")
      case 18: value = try reader.string("KeyValue.value")
      default: try reader.skip(tag)
      }
    }
    guard let key else { throw .missingField("KeyValue.key") }
    guard let value else { throw .missingField("KeyValue.value") }
    return MessageProperty(key: key, value: value)
  }

  /// Checks an encoded pair without making strings of it.
  static func check(_ reader: inout ProtobufReader) throws(PulsarWireError) {
    var hasKey = false
    var hasValue = false
    while let tag = try reader.tag() {
      switch tag {
      case 10:
        _ = try reader.textRange("KeyValue.key")
        hasKey = true
      case 18:
        _ = try reader.textRange("KeyValue.value")
        hasValue = true
      default: try reader.skip(tag)
      }
    }
    guard hasKey else { throw .missingField("KeyValue.key") }
    guard hasValue else { throw .missingField("KeyValue.value") }
  }

  /// Whether an encoded pair has the given key.
  static func hasKey(_ key: String, _ reader: inout ProtobufReader) throws(PulsarWireError) -> Bool {
    var matches = false
    while let tag = try reader.tag() {
      if tag == 10 {
        matches = reader.text(at: try reader.range(), equals: key.utf8)
      } else {
        try reader.skip(tag)
      }
    }
    return matches
  }

  var encodedSize: Int { ProtobufSize.field(10, key) + ProtobufSize.field(18, value) }

  func write(to writer: inout ProtobufWriter) {
    writer.field(10, key)
    writer.field(18, value)
  }
}
