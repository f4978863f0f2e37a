import NIOCore

/// One round of authentication, and the way in which two Meridian processes agree on request ids.
///
/// The v2 protocol has no request ids: answers are matched by ledger, entry and operation, so that two reads of the same
/// last entry can be taken for each other. A Meridian client therefore sends, as its first frame, an AUTH with
/// the plugin name ``requestIDPluginName``. A Meridian bookie answers with the same name; from then on the client may set the
/// request-id flag in any request and finds the id in the answer. Every other bookie answers with another plugin name
/// ("AuthDisabledPlugin"), which means: plain v2 on this connection. A stock client never sends the name or the flag.
public struct BookieAuthMessage: Hashable, Sendable {
  /// What a bookie without authentication answers to any AUTH.
  public static let disabledPluginName = "AuthDisabledPlugin"
  /// The plugin name that stands for the request-id extension.
  public static let requestIDPluginName = "MeridianRequestIDs"
  /// The message that asks for, and grants, the request-id extension.
  public static let requestIDs = BookieAuthMessage(pluginName: requestIDPluginName, payload: ByteBuffer(bytes: [1]))
  /// The answer of a bookie without authentication.
  public static let disabled = BookieAuthMessage(pluginName: disabledPluginName, payload: ByteBuffer())

  /// Name of the authentication plugin.
  public var pluginName: String
  /// The plugin's bytes.
  public var payload: ByteBuffer

  /// A message of the given plugin.
  public init(pluginName: String, payload: ByteBuffer) {
    self.pluginName = pluginName
    self.payload = payload
  }

  /// What a bookie without authentication answers to this message.
  public var answer: BookieAuthMessage { pluginName == Self.requestIDPluginName ? .requestIDs : .disabled }

  init(decoding frame: ByteBuffer) throws(BookieWireError) {
    var rest = frame
    pluginName = ""
    payload = ByteBuffer()
    while rest.readableBytes > 0 {
      let tag = try Self.readVarint(&rest)
      switch tag & 7 {
      case 0: _ = try Self.readVarint(&rest)
      case 1: guard rest.readSlice(length: 8) != nil else { throw .truncated("an AUTH field") }
      case 5: guard rest.readSlice(length: 4) != nil else { throw .truncated("an AUTH field") }
      case 2:
        let length = try Self.readVarint(&rest)
        guard length <= UInt64(rest.readableBytes), let field = rest.readSlice(length: Int(length)) else {
          throw .truncated("an AUTH field")
        }
        if tag >> 3 == 1 { pluginName = String(buffer: field) }
        if tag >> 3 == 2 { payload = field }
      default: throw .truncated("an AUTH field")
      }
    }
  }

  func write(into buffer: inout ByteBuffer) {
    buffer.writeInteger(UInt8(1 << 3 | 2))
    Self.writeVarint(UInt64(pluginName.utf8.count), into: &buffer)
    buffer.writeString(pluginName)
    buffer.writeInteger(UInt8(2 << 3 | 2))
    Self.writeVarint(UInt64(payload.readableBytes), into: &buffer)
    buffer.writeImmutableBuffer(payload)
  }

  private static func readVarint(_ buffer: inout ByteBuffer) throws(BookieWireError) -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 64, by: 7) {
      guard let byte = buffer.readInteger(as: UInt8.self) else { throw .truncated("an AUTH field") }
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    throw .truncated("an AUTH field")
  }

  private static func writeVarint(_ value: UInt64, into buffer: inout ByteBuffer) {
    var rest = value
    while rest >= 0x80 {
      buffer.writeInteger(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    buffer.writeInteger(UInt8(rest))
  }
}
