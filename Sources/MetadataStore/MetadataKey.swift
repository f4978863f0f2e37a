/// The rules that every key obeys.
public enum MetadataKey {
  /// Bytes of a key, at most.
  public static let maximumLength = 4096
  /// Bytes of a value, at most: what etcd takes in one request by default, less room for the key.
  public static let maximumValueLength = (1 << 20) + (256 << 10)

  /// Throws unless `key` begins with `/`, has no empty component, no trailing `/`, no NUL, and is not too long.
  public static func validate(_ key: String) throws(MetadataError) {
    let utf8 = key.utf8
    guard utf8.count <= maximumLength else {
      throw .invalidKey("it has \(utf8.count) bytes, and at most \(maximumLength) are allowed.")
    }
    guard utf8.first == UInt8(ascii: "/"), utf8.count > 1, utf8.last != UInt8(ascii: "/") else {
      throw .invalidKey("\"\(key)\" must begin, and must not end, with a slash.")
    }
    var previous: UInt8 = 1
    for byte in utf8 {
      if byte == 0 || (byte == UInt8(ascii: "/") && previous == byte) {
        throw .invalidKey("\"\(key)\" has an empty component or a NUL character.")
      }
      previous = byte
    }
  }

  /// Throws when `value` is longer than a store must take.
  public static func validate(value: [UInt8], of key: String) throws(MetadataError) {
    guard value.count <= maximumValueLength else {
      throw .storage("The value of \(key) has \(value.count) bytes, and at most \(maximumValueLength) are allowed.")
    }
  }
}
