/// Where a topic's records are in the metadata store.
struct TopicKeys: Sendable {
  /// The topic's record: `/topics/<path>`.
  let topic: String
  /// What the keys of its cursors begin with: `/cursors/<path>/`.
  let cursorPrefix: String

  /// Keys for a topic given as `tenant/namespace/domain/encoded-topic`, or as `domain://tenant/namespace/topic`.
  init(name: String) {
    let path = Self.path(of: name)
    topic = "/topics/" + path
    cursorPrefix = "/cursors/" + path + "/"
  }

  func cursor(_ name: String) -> String { cursorPrefix + Self.encode(name) }

  /// The name of the cursor at `key`, or nil if the key is not one of this topic's cursors.
  func cursorName(_ key: String) -> String? {
    guard key.hasPrefix(cursorPrefix) else { return nil }
    return Self.decode(key.dropFirst(cursorPrefix.count))
  }

  private static func path(of name: String) -> String {
    let bytes = Array(name.utf8)
    let mark = Array("://".utf8)
    guard bytes.count > mark.count,
      let colon = (0...bytes.count - mark.count).first(where: { Array(bytes[$0..<$0 + mark.count]) == mark })
    else { return name }
    let domain = String(decoding: bytes[..<colon], as: UTF8.self)
    let rest = String(decoding: bytes[(colon + mark.count)...], as: UTF8.self)
    let parts = rest.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count == 3 else { return encode(name) }
    return "\(encode(String(parts[0])))/\(encode(String(parts[1])))/\(encode(domain))/\(encode(String(parts[2])))"
  }

  /// Percent-encodes all but letters, digits, `-`, `_`, `.` and `~`, so that a name is one component of a path.
  static func encode(_ name: String) -> String {
    var result: [UInt8] = []
    let hex = Array("0123456789ABCDEF".utf8)
    for byte in name.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
        UInt8(ascii: "~"):
        result.append(byte)
      default:
        result += [UInt8(ascii: "%"), hex[Int(byte >> 4)], hex[Int(byte & 15)]]
      }
    }
    return String(decoding: result, as: UTF8.self)
  }

  private static func decode(_ component: Substring) -> String? {
    var result: [UInt8] = []
    var bytes = component.utf8.makeIterator()
    while let byte = bytes.next() {
      guard byte == UInt8(ascii: "%") else {
        result.append(byte)
        continue
      }
      guard let high = bytes.next(), let low = bytes.next(),
        let value = UInt8(String(decoding: [high, low], as: UTF8.self), radix: 16)
      else { return nil }
      result.append(value)
    }
    return String(validating: result, as: UTF8.self)
  }
}
