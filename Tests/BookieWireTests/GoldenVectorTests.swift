import BookieWire
import NIOCore
import Testing

/// The bytes that a stock BookKeeper v2 peer sends and expects.
@Suite("Bookie wire: golden vectors")
struct GoldenVectorTests {
  static let emptyKey = "850bf1071c5e3d8c24235676f8816ae0cbe2f14f"

  @Test("Master keys of the default and of a given password")
  func masterKeys() {
    #expect(hex(LedgerMasterKey(password: []).bytes) == Self.emptyKey)
    #expect(hex(LedgerMasterKey(password: Array("passwd".utf8)).bytes) == "9596625852f7fafc2c9cf0f9f7f3e5995206452b")
  }

  @Test("ADD with CRC32C, payload in two pieces, decodes back to the same request")
  func add() throws {
    let codec = LedgerEntryCodec(digest: .crc32c)
    let entry = codec.encode(
      LedgerEntryHeader(ledgerID: 1, entryID: 0, lastAddConfirmed: -1, length: 5), ByteBuffer(string: "he"),
      ByteBuffer(string: "llo"))
    let request = BookieRequest.add(
      AddRequest(masterKey: LedgerMasterKey(password: []), ledgerID: 1, entryID: 0, entry: entry))
    let bytes = encoded(request)
    #expect(
      hex(bytes.readableBytesView)
        == "0000004102010000\(Self.emptyKey)00000000000000010000000000000000"
        + "ffffffffffffffff0000000000000005e3a5f74d68656c6c6f")

    let frame = try #require(try frames(bytes).first)
    guard case .add(let decoded) = try BookieRequest(decoding: frame) else { return #expect(Bool(false)) }
    #expect(decoded.ledgerID == 1 && decoded.entryID == 0 && decoded.flags == [] && decoded.requestID == nil)
    #expect(decoded.masterKey == LedgerMasterKey(password: []))
    let (header, payload) = try codec.decode(decoded.entry.joined(), ledgerID: 1, entryID: 0)
    #expect(header.lastAddConfirmed == -1 && header.length == 5)
    #expect(payload == ByteBuffer(string: "hello"))
  }

  @Test("Fencing read of the last entry")
  func fencingRead() throws {
    let read = ReadRequest(
      flags: .fencing, ledgerID: 1, entryID: ReadRequest.lastEntry, masterKey: LedgerMasterKey(password: []))
    let bytes = encoded(.read(read))
    #expect(hex(bytes.readableBytesView) == "00000028020200010000000000000001ffffffffffffffff\(Self.emptyKey)")
    let frame = try #require(try frames(bytes).first)
    #expect(try BookieRequest(decoding: frame) == .read(read))
  }

  @Test("Responses have the documented layout and sizes")
  func responses() throws {
    #expect(
      hex(encoded(.add(AddResponse(code: .fenced, ledgerID: 1, entryID: 2))).readableBytesView)
        == "00000018020100000000006800000000000000010000000000000002")
    let read = BookieResponse.read(
      ReadResponse(code: .ok, ledgerID: 1, entryID: -1, entry: ByteBuffer(bytes: [0xAA, 0xBB])))
    #expect(hex(encoded(read).readableBytesView) == "0000001a02020000000000000000000000000001ffffffffffffffffaabb")
    let batch = BookieResponse.batchRead(
      BatchReadResponse(
        requestID: 9, code: .ok, ledgerID: 1, startEntryID: 2,
        entries: [ByteBuffer(bytes: [0xAA]), ByteBuffer(bytes: [0xBB, 0xCC])]))
    #expect(
      hex(encoded(batch).readableBytesView)
        == "0000002b0207000000000000000000000000000100000000000000020000000000000009"
        + "00000001aa00000002bbcc")
    for response in [read, batch] {
      #expect(try BookieResponse(decoding: try #require(try frames(encoded(response)).first)) == response)
    }
  }

  @Test("Batch read request")
  func batchRead() throws {
    let request = BookieRequest.batchRead(
      BatchReadRequest(requestID: 7, ledgerID: 1, startEntryID: 2, maxCount: 100, maxSize: 4096))
    let bytes = encoded(request)
    #expect(
      hex(bytes.readableBytesView)
        == "0000002802070000000000000000000100000000000000020000000000000007000000640000000000001000")
    #expect(try BookieRequest(decoding: try #require(try frames(bytes).first)) == request)
  }

  @Test("AUTH is answered with AuthDisabledPlugin, and with itself for the request-id extension")
  func auth() throws {
    let stock = BookieAuthMessage(pluginName: "org.example.Auth", payload: ByteBuffer(bytes: [1, 2, 3]))
    #expect(stock.answer == .disabled)
    #expect(BookieAuthMessage.requestIDs.answer == .requestIDs)
    let bytes = encoded(BookieResponse.auth(.disabled))
    #expect(hex(bytes.readableBytesView) == "0000001a020300000a12" + hex("AuthDisabledPlugin".utf8) + "1200")
    #expect(try BookieResponse(decoding: try #require(try frames(bytes).first)) == .auth(.disabled))
    let ask = encoded(BookieRequest.auth(stock))
    #expect(try BookieRequest(decoding: try #require(try frames(ask).first)) == .auth(stock))
  }

  @Test("A request id travels in both directions under a flag that stock peers never set")
  func requestIDs() throws {
    let request = BookieRequest.read(ReadRequest(requestID: 0x0102, ledgerID: 1, entryID: 2))
    let bytes = encoded(request)
    #expect(hex(bytes.readableBytesView) == "0000001c02028000000000000000010200000000000000010000000000000002")
    #expect(try BookieRequest(decoding: try #require(try frames(bytes).first)) == request)
    let response = BookieResponse.add(AddResponse(requestID: 3, code: .ok, ledgerID: 1, entryID: 2))
    #expect(try BookieResponse(decoding: try #require(try frames(encoded(response)).first)) == response)
  }

  @Test("Another version is refused with code 103 and the request's ids")
  func version() throws {
    var frame = ByteBuffer()
    frame.writeInteger(UInt32(0x0302_0000))
    frame.writeMultipleIntegers(Int64(5), Int64(6))
    #expect(throws: BookieWireError.self) { try BookieRequest(decoding: frame) }
    do {
      _ = try BookieRequest(decoding: frame)
    } catch BookieWireError.unsupportedVersion(let version, let answer) {
      #expect(version == 3)
      #expect(answer == .read(ReadResponse(code: .badVersion, ledgerID: 5, entryID: 6)))
    }
  }

  @Test("Code 107 is known, and is not a negative answer")
  func codes() {
    #expect(BookieReturnCode(rawValue: 107) == .unknownLedgerState)
    #expect(!BookieReturnCode.unknownLedgerState.isNegative && !BookieReturnCode.ioError.isNegative)
    #expect(BookieReturnCode.noEntry.isNegative && BookieReturnCode.noLedger.isNegative)
  }
}

func encoded(_ request: BookieRequest) -> ByteBuffer {
  var writer = BookieFrameWriter()
  var bytes = ByteBuffer()
  writer.append(request) { bytes.writeImmutableBuffer($0) }
  writer.finish { bytes.writeImmutableBuffer($0) }
  return bytes
}

func encoded(_ response: BookieResponse) -> ByteBuffer {
  var writer = BookieFrameWriter()
  var bytes = ByteBuffer()
  writer.append(response) { bytes.writeImmutableBuffer($0) }
  writer.finish { bytes.writeImmutableBuffer($0) }
  return bytes
}

func frames(_ bytes: ByteBuffer, limit: Int = BookieFrameReader.defaultMaximumFrameLength) throws -> [ByteBuffer] {
  var reader = BookieFrameReader(maximumFrameLength: limit)
  reader.append(bytes)
  var frames: [ByteBuffer] = []
  while let frame = try reader.nextFrame() { frames.append(frame) }
  return frames
}

func hex(_ bytes: some Sequence<UInt8>) -> String {
  bytes.map { byte in
    let digits = Array("0123456789abcdef")
    return "\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
  }.joined()
}
