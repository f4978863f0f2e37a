import NIOCore

/// How a client of v2 asks for TLS on its connection: by one request of BookKeeper's v3 protocol, which is answered in v3.
/// After a good answer the TLS handshake follows on the same connection, and v2 inside of it.
///
/// Requests of v3 are protocol buffers, of which the first byte is never the version of a v2 packet.
public enum BookieStartTLS {
  private static let version: UInt64 = 3
  private static let operation: UInt64 = 9
  private static let body: UInt64 = 106

  /// Whether a frame is one of v3.
  public static func isVersion3(_ frame: ByteBuffer) -> Bool {
    frame.getInteger(at: frame.readerIndex, as: UInt8.self) == 0x0A
  }

  /// The request, with its length word.
  public static func request(transactionID: UInt64) -> ByteBuffer {
    var message = ByteBuffer()
    message.writeField(1, header(transactionID))
    message.writeField(body, ByteBuffer())
    return framed(message)
  }

  /// The number of the request in a frame (without its length word); throws if it asks for something else.
  public static func transactionID(ofRequest frame: ByteBuffer) throws(BookieWireError) -> UInt64 {
    var fields = ProtobufFields(frame)
    var found: UInt64?
    while let (field, value) = try fields.next() {
      if field == 1, case .bytes(let header) = value { found = try transactionID(of: header) }
    }
    guard let found else { throw .truncated("the header of a v3 request") }
    return found
  }

  /// The answer, with its length word; `ok`: the handshake may begin.
  public static func response(_ code: BookieReturnCode, transactionID: UInt64) -> ByteBuffer {
    var message = ByteBuffer()
    message.writeField(1, header(transactionID))
    message.writeField(2, UInt64(clamping: code.rawValue))
    if code == .ok { message.writeField(body, ByteBuffer()) }
    return framed(message)
  }

  /// The code of the answer in a frame (without its length word).
  public static func code(ofResponse frame: ByteBuffer) throws(BookieWireError) -> BookieReturnCode {
    var fields = ProtobufFields(frame)
    var code: BookieReturnCode?
    var isAnswer = false
    while let (field, value) = try fields.next() {
      switch (field, value) {
      case (1, .bytes(let header)):
        _ = try transactionID(of: header)
        isAnswer = true
      case (2, .number(let status)): code = BookieReturnCode(rawValue: Int32(truncatingIfNeeded: status))
      default: break
      }
    }
    guard isAnswer, let code else { throw .truncated("the answer to START_TLS") }
    return code
  }

  private static func transactionID(of header: ByteBuffer) throws(BookieWireError) -> UInt64 {
    var fields = ProtobufFields(header)
    var transactionID: UInt64 = 0
    var operation: UInt64 = 0
    while let (field, value) = try fields.next() {
      switch (field, value) {
      case (2, .number(let number)): operation = number
      case (3, .number(let number)): transactionID = number
      default: break
      }
    }
    guard operation == self.operation else { throw .unknownOpcode(UInt8(clamping: operation)) }
    return transactionID
  }

  private static func header(_ transactionID: UInt64) -> ByteBuffer {
    var header = ByteBuffer()
    header.writeField(1, version)
    header.writeField(2, operation)
    header.writeField(3, transactionID)
    return header
  }

  private static func framed(_ message: ByteBuffer) -> ByteBuffer {
    var frame = ByteBuffer()
    frame.writeInteger(UInt32(message.readableBytes))
    frame.writeImmutableBuffer(message)
    return frame
  }
}
