import NIOCore

extension BookieRequest {
  /// Decodes a frame (without its length word). The entry of an add is a slice of `frame`.
  ///
  /// Throws on anything that is not a complete request; the connection should then be closed, except for
  /// `unsupportedVersion` with an answer.
  public init(decoding frame: ByteBuffer) throws(BookieWireError) {
    var rest = frame
    let header = try BookiePacketHeader(reading: &rest)
    guard let opcode = BookieOpcode(rawValue: header.opcode) else { throw .unknownOpcode(header.opcode) }
    switch opcode {
    case .add: self = .add(try Self.decodeAdd(&rest, header))
    case .read: self = .read(try Self.decodeRead(&rest, header))
    case .batchRead: self = .batchRead(try Self.decodeBatchRead(&rest, header))
    case .auth: self = .auth(try BookieAuthMessage(decoding: rest))
    }
    guard header.version == BookiePacketHeader.currentVersion else {
      throw .unsupportedVersion(header.version, answer: failure(.badVersion))
    }
  }

  /// The answer that refuses this request with `code`; nil for AUTH, which has no code.
  public func failure(_ code: BookieReturnCode) -> BookieResponse? {
    switch self {
    case .add(let add):
      .add(AddResponse(requestID: add.requestID, code: code, ledgerID: add.ledgerID, entryID: add.entryID))
    case .read(let read):
      .read(ReadResponse(requestID: read.requestID, code: code, ledgerID: read.ledgerID, entryID: read.entryID))
    case .batchRead(let read):
      .batchRead(
        BatchReadResponse(
          requestID: read.requestID, code: code, ledgerID: read.ledgerID, startEntryID: read.startEntryID))
    case .auth: nil
    }
  }

  private static func decodeAdd(
    _ rest: inout ByteBuffer, _ header: BookiePacketHeader
  ) throws(BookieWireError) -> AddRequest {
    guard let key = LedgerMasterKey(reading: &rest) else { throw .truncated("the master key") }
    guard
      let ledger = rest.getInteger(at: rest.readerIndex, as: Int64.self),
      let entry = rest.getInteger(at: rest.readerIndex + 8, as: Int64.self)
    else { throw .truncated("the entry's ids") }
    return AddRequest(
      requestID: header.requestID, flags: header.flags, masterKey: key, ledgerID: ledger, entryID: entry,
      entry: EntryBytes(head: rest))
  }

  private static func decodeRead(
    _ rest: inout ByteBuffer, _ header: BookiePacketHeader
  ) throws(BookieWireError) -> ReadRequest {
    guard let (ledger, entry) = rest.readMultipleIntegers(as: (Int64, Int64).self) else {
      throw .truncated("the read request")
    }
    return ReadRequest(
      requestID: header.requestID, flags: header.flags, ledgerID: ledger, entryID: entry,
      masterKey: try readKey(&rest, header.flags))
  }

  private static func decodeBatchRead(
    _ rest: inout ByteBuffer, _ header: BookiePacketHeader
  ) throws(BookieWireError) -> BatchReadRequest {
    guard
      let (ledger, entry, id, count, size) = rest.readMultipleIntegers(as: (Int64, Int64, UInt64, Int32, Int64).self)
    else { throw .truncated("the batch read request") }
    return BatchReadRequest(
      requestID: id, flags: header.flags, ledgerID: ledger, startEntryID: entry, maxCount: count, maxSize: size,
      masterKey: try readKey(&rest, header.flags))
  }

  private static func readKey(
    _ rest: inout ByteBuffer, _ flags: BookieRequestFlags
  ) throws(BookieWireError) -> LedgerMasterKey? {
    guard flags.contains(.fencing) else { return nil }
    guard let key = LedgerMasterKey(reading: &rest) else { throw .truncated("the master key") }
    return key
  }

  /// Writes the frame's length and everything in front of the entry's bytes; what follows on the wire is `entry`.
  func writeHead(into buffer: inout ByteBuffer) {
    switch self {
    case .add(let add):
      let header = BookiePacketHeader(.add, flags: add.flags, requestID: add.requestID)
      buffer.writeInteger(UInt32(header.byteCount + LedgerMasterKey.byteCount + add.entry.count))
      header.write(into: &buffer)
      add.masterKey.write(into: &buffer)
    case .read(let read):
      let header = BookiePacketHeader(.read, flags: read.flags, requestID: read.requestID)
      let key = read.flags.contains(.fencing) ? read.masterKey ?? LedgerMasterKey(password: []) : nil
      buffer.writeInteger(UInt32(header.byteCount + 16 + (key == nil ? 0 : LedgerMasterKey.byteCount)))
      header.write(into: &buffer)
      buffer.writeMultipleIntegers(read.ledgerID, read.entryID)
      key?.write(into: &buffer)
    case .batchRead(let read):
      let header = BookiePacketHeader(.batchRead, flags: read.flags, requestID: nil)
      let key = read.flags.contains(.fencing) ? read.masterKey ?? LedgerMasterKey(password: []) : nil
      buffer.writeInteger(UInt32(header.byteCount + 36 + (key == nil ? 0 : LedgerMasterKey.byteCount)))
      header.write(into: &buffer)
      buffer.writeMultipleIntegers(read.ledgerID, read.startEntryID, read.requestID, read.maxCount, read.maxSize)
      key?.write(into: &buffer)
    case .auth(let message):
      BookieResponse.writeAuth(message, into: &buffer)
    }
  }
}
