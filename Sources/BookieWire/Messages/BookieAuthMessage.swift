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
    var fields = ProtobufFields(frame)
    pluginName = ""
    payload = ByteBuffer()
    while let (field, value) = try fields.next() {
      guard case .bytes(let bytes) = value else { continue }
      if field == 1 { pluginName = String(buffer: bytes) }
      if field == 2 { payload = bytes }
    }
  }

  func write(into buffer: inout ByteBuffer) {
    buffer.writeField(1, ByteBuffer(string: pluginName))
    buffer.writeField(2, payload)
  }
}
