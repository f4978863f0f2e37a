import NIOCore

extension BookieResponse {
  /// Decodes a frame (without its length word). Entries are slices of `frame`.
  public init(decoding frame: ByteBuffer) throws(BookieWireError) {
    var rest = frame
    let header = try BookiePacketHeader(reading: &rest)
    guard let opcode = BookieOpcode(rawValue: header.opcode) else { throw .unknownOpcode(header.opcode) }
    guard header.version == BookiePacketHeader.currentVersion else {
      throw .unsupportedVersion(header.version, answer: nil)
    }
    if opcode == .auth {
      self = .auth(try BookieAuthMessage(decoding: rest))
      return
    }
    guard let (number, ledger, entry) = rest.readMultipleIntegers(as: (Int32, Int64, Int64).self) else {
      throw .truncated("the response")
    }
    let code = BookieReturnCode(rawValue: number)
    switch opcode {
    case .add:
      self = .add(AddResponse(requestID: header.requestID, code: code, ledgerID: ledger, entryID: entry))
    case .read:
      self = .read(
        ReadResponse(
          requestID: header.requestID, code: code, ledgerID: ledger, entryID: entry, entry: code == .ok ? rest : nil))
    case .batchRead, .auth:
      guard let id = rest.readInteger(as: UInt64.self) else { throw .truncated("the request id") }
      var entries: [ByteBuffer] = []
      while rest.readableBytes > 0 {
        guard let size = rest.readInteger(as: Int32.self), size >= 0, let slice = rest.readSlice(length: Int(size))
        else {
          throw .truncated("an entry of a batch read")
        }
        entries.append(slice)
      }
      self = .batchRead(
        BatchReadResponse(requestID: id, code: code, ledgerID: ledger, startEntryID: entry, entries: entries))
    }
  }

  /// Writes the whole frame of an answer to an add, with its length word: 28 bytes, 36 with a request id.
  public static func writeAdd(_ response: AddResponse, into buffer: inout ByteBuffer) {
    let header = BookiePacketHeader(.add, flags: [], requestID: response.requestID)
    buffer.writeInteger(UInt32(header.byteCount + 20))
    header.write(into: &buffer)
    buffer.writeMultipleIntegers(response.code.rawValue, response.ledgerID, response.entryID)
  }

  /// Writes the frame's length and everything in front of the entries' bytes.
  func writeHead(into buffer: inout ByteBuffer) {
    switch self {
    case .add(let response):
      Self.writeAdd(response, into: &buffer)
    case .read(let response):
      let header = BookiePacketHeader(.read, flags: [], requestID: response.requestID)
      let size = response.code == .ok ? response.entry?.readableBytes ?? 0 : 0
      buffer.writeInteger(UInt32(header.byteCount + 20 + size))
      header.write(into: &buffer)
      buffer.writeMultipleIntegers(response.code.rawValue, response.ledgerID, response.entryID)
    case .batchRead(let response):
      let header = BookiePacketHeader(.batchRead, flags: [], requestID: nil)
      let size = response.entries.reduce(0) { $0 + 4 + $1.readableBytes }
      buffer.writeInteger(UInt32(header.byteCount + 28 + size))
      header.write(into: &buffer)
      buffer.writeMultipleIntegers(
        response.code.rawValue, response.ledgerID, response.startEntryID, response.requestID)
    case .auth(let message):
      Self.writeAuth(message, into: &buffer)
    }
  }

  static func writeAuth(_ message: BookieAuthMessage, into buffer: inout ByteBuffer) {
    let lengthAt = buffer.writerIndex
    buffer.writeInteger(UInt32(0))
    BookiePacketHeader(.auth, flags: [], requestID: nil).write(into: &buffer)
    message.write(into: &buffer)
    buffer.setInteger(UInt32(buffer.writerIndex - lengthAt - 4), at: lengthAt)
  }
}
