import BookieWire
import NIOCore
import Testing

/// Every frame that a stock BookKeeper v2 client sends or may get, byte by byte.
@Suite("Bookie wire: all that a stock client sends and gets")
struct StockClientTests {
  private static let key = GoldenVectorTests.emptyKey
  private static let emptyKey = LedgerMasterKey(password: [])

  private static func bytes(_ hex: String) -> ByteBuffer {
    var buffer = ByteBuffer()
    var rest = hex[...]
    while rest.count >= 2 {
      buffer.writeInteger(UInt8(rest.prefix(2), radix: 16) ?? 0)
      rest = rest.dropFirst(2)
    }
    return buffer
  }

  private static func request(_ hex: String) throws -> BookieRequest {
    try BookieRequest(decoding: try #require(try frames(bytes(hex)).first))
  }

  // MARK: Requests

  @Test("Adds: ordinary, of a recovery, of a repair, with each digest")
  func adds() throws {
    let flags: [(BookieRequestFlags, String)] = [
      ([], "0000"), ([.recoveryAdd, .highPriority], "0006"), (.recoveryAdd, "0002"),
    ]
    for (flag, digits) in flags {
      // The bookie looks at nothing behind the entry's number: entries of any digest come back as they went.
      for digest in ["", "01020304", "0102030405060708", String(repeating: "ab", count: 20)] {
        let entry = "00000000000000070000000000000009" + "0000000000000008" + "0000000000000063" + digest + "ff"
        let length = 4 + 20 + entry.count / 2
        let hexLength = String(length, radix: 16)
        let frame =
          String(repeating: "0", count: 8 - hexLength.count) + hexLength + "0201\(digits)\(Self.key)" + entry
        guard case .add(let add) = try Self.request(frame) else { return #expect(Bool(false)) }
        #expect(add.flags == flag && add.requestID == nil && add.masterKey == Self.emptyKey)
        #expect(add.ledgerID == 7 && add.entryID == 9)
        #expect(hex(add.entry.joined().readableBytesView) == entry)
        #expect(hex(encoded(BookieRequest.add(add)).readableBytesView) == frame)
      }
    }
  }

  @Test("Reads: of an entry, of the last one, fencing, of a recovery")
  func reads() throws {
    let plain = "0000001402020000" + "0000000000000001" + "0000000000000005"
    #expect(try Self.request(plain) == .read(ReadRequest(ledgerID: 1, entryID: 5)))
    let last = "0000001402020000" + "0000000000000001" + "ffffffffffffffff"
    #expect(try Self.request(last) == .read(ReadRequest(ledgerID: 1, entryID: ReadRequest.lastEntry)))
    let fence = "0000002802020001" + "0000000000000001" + "ffffffffffffffff" + Self.key
    #expect(
      try Self.request(fence)
        == .read(
          ReadRequest(flags: .fencing, ledgerID: 1, entryID: ReadRequest.lastEntry, masterKey: Self.emptyKey)))
    let recovery = "0000002802020005" + "0000000000000001" + "0000000000000005" + Self.key
    let recoveryRead = BookieRequest.read(
      ReadRequest(flags: [.fencing, .highPriority], ledgerID: 1, entryID: 5, masterKey: Self.emptyKey))
    #expect(try Self.request(recovery) == recoveryRead)
    #expect(hex(encoded(recoveryRead).readableBytesView) == recovery)
    // A fence without a key is no fence.
    #expect(throws: BookieWireError.self) {
      try Self.request("0000001402020001" + "0000000000000001" + "ffffffffffffffff")
    }
  }

  @Test("Batch reads, without limits and fencing too")
  func batchReads() throws {
    let open = "0000002802070000" + "0000000000000001" + "0000000000000002" + "0000000000000007" + "00000000"
    guard case .batchRead(let read) = try Self.request(open + "0000000000000000") else { return #expect(Bool(false)) }
    #expect(read.ledgerID == 1 && read.startEntryID == 2 && read.requestID == 7)
    #expect(read.maxCount == 0 && read.maxSize == 0)
    let fencing =
      "0000003c02070001" + "0000000000000001" + "0000000000000002" + "0000000000000007" + "00000064"
      + "0000000000001000" + Self.key
    guard case .batchRead(let other) = try Self.request(fencing) else { return #expect(Bool(false)) }
    #expect(other.maxCount == 100 && other.maxSize == 4096)
  }

  @Test("AUTH of any plugin, also with fields that we do not know")
  func auth() throws {
    // AuthMessage { 1: "X", 2: 01 02, 7: varint 5 }
    let frame = "0000000d02030000" + "0a0158" + "12020102" + "3805"
    #expect(
      try Self.request(frame) == .auth(BookieAuthMessage(pluginName: "X", payload: ByteBuffer(bytes: [1, 2]))))
    let empty = try Self.request("0000000402030000")
    #expect(empty == .auth(BookieAuthMessage(pluginName: "", payload: ByteBuffer())))
  }

  // MARK: Answers

  @Test(
    "Each code in the answer to each operation",
    arguments: [
      (BookieReturnCode.ok, "00000000"), (.noLedger, "00000001"), (.noEntry, "00000002"), (.badRequest, "00000064"),
      (.ioError, "00000065"), (.unauthorized, "00000066"), (.badVersion, "00000067"), (.fenced, "00000068"),
      (.readOnly, "00000069"), (.tooManyRequests, "0000006a"), (.unknownLedgerState, "0000006b"),
    ])
  func codes(_ code: BookieReturnCode, _ number: String) throws {
    let ids = "0000000000000001" + "0000000000000002"
    let answers: [(BookieResponse, String)] = [
      (.add(AddResponse(code: code, ledgerID: 1, entryID: 2)), "00000018" + "02010000" + number + ids),
      (
        .read(ReadResponse(code: code, ledgerID: 1, entryID: 2, entry: code == .ok ? ByteBuffer() : nil)),
        "00000018" + "02020000" + number + ids
      ),
      (
        .batchRead(BatchReadResponse(requestID: 9, code: code, ledgerID: 1, startEntryID: 2)),
        "00000020" + "02070000" + number + ids + "0000000000000009"
      ),
    ]
    for (answer, frame) in answers {
      #expect(hex(encoded(answer).readableBytesView) == frame)
      #expect(try BookieResponse(decoding: try #require(try frames(Self.bytes(frame)).first)) == answer)
    }
    // With the request ids of our own processes: the flag and eight bytes behind the header.
    let extended = BookieResponse.add(AddResponse(requestID: 3, code: code, ledgerID: 1, entryID: 2))
    #expect(
      hex(encoded(extended).readableBytesView)
        == "00000020" + "02018000" + "0000000000000003" + number + ids)
    let read = BookieResponse.read(
      ReadResponse(requestID: 4, code: code, ledgerID: 1, entryID: 2, entry: code == .ok ? ByteBuffer() : nil))
    #expect(
      hex(encoded(read).readableBytesView)
        == "00000020" + "02028000" + "0000000000000004" + number + ids)
    #expect(try BookieResponse(decoding: try #require(try frames(encoded(read)).first)) == read)
  }

  @Test("A refusal has no body, whatever the caller had")
  func refusalsHaveNoBody() {
    let refusal = BookieResponse.read(
      ReadResponse(code: .ioError, ledgerID: 1, entryID: 2, entry: ByteBuffer(bytes: [1, 2, 3])))
    #expect(encoded(refusal).readableBytes == 28)
  }

  @Test("The last entry comes with its own number inside")
  func lastEntry() throws {
    let entry = LedgerEntryCodec(digest: .crc32c).encode(
      LedgerEntryHeader(ledgerID: 1, entryID: 0, lastAddConfirmed: -1, length: 5), ByteBuffer(string: "hello")
    ).joined()
    let answer = BookieResponse.read(ReadResponse(code: .ok, ledgerID: 1, entryID: -1, entry: entry))
    #expect(
      hex(encoded(answer).readableBytesView)
        == "00000041" + "02020000" + "00000000" + "0000000000000001" + "ffffffffffffffff" + "0000000000000001"
        + "0000000000000000" + "ffffffffffffffff" + "0000000000000005" + "e3a5f74d" + "68656c6c6f")
  }

  // MARK: What no client should send

  @Test("Every other version is refused with code 103 and the request's ids")
  func versions() {
    for version in 0...255 where version != 2 {
      let digits = String(version + 256, radix: 16).suffix(2)
      let frame = Self.bytes("\(digits)010000" + Self.key + "00000000000000070000000000000009")
      let refusal = BookieResponse.add(AddResponse(code: .badVersion, ledgerID: 7, entryID: 9))
      #expect(throws: BookieWireError.unsupportedVersion(UInt8(version), answer: refusal)) {
        try BookieRequest(decoding: frame)
      }
    }
  }

  @Test("Operations that v2 does not serve, and bytes that are none", arguments: [0, 4, 5, 6, 8, 9, 200, 255])
  func unknownOperations(_ opcode: Int) {
    let digits = String(opcode + 256, radix: 16).suffix(2)
    #expect(throws: BookieWireError.unknownOpcode(UInt8(opcode))) {
      try BookieRequest(decoding: Self.bytes("02\(digits)0000" + "00000000000000010000000000000002"))
    }
  }

  @Test("Every frame that ends too early is refused and harms nobody")
  func truncated() throws {
    let whole = [
      "02010000" + Self.key + "00000000000000070000000000000009",
      "02020000" + "00000000000000010000000000000005", "02020001" + "0000000000000001ffffffffffffffff" + Self.key,
      "02070000" + "00000000000000010000000000000002" + "0000000000000007" + "00000064" + "0000000000001000",
    ]
    for frame in whole {
      #expect(throws: Never.self) { try BookieRequest(decoding: Self.bytes(frame)) }
      for length in stride(from: 0, to: frame.count, by: 2) {
        let cut = Self.bytes(String(frame.prefix(length)))
        #expect(throws: BookieWireError.self, "\(length / 2) bytes of \(frame)") {
          try BookieRequest(decoding: cut)
        }
      }
    }
    // An entry of a batch that claims more than there is, or less than nothing.
    let head = "02070000" + "00000000" + "00000000000000010000000000000002" + "0000000000000009"
    for size in ["00000002aa", "ffffffffaa", "7fffffff", "0000"] {
      #expect(throws: BookieWireError.self) { try BookieResponse(decoding: Self.bytes(head + size)) }
    }
  }

  @Test("A length that no frame may have, and a frame of exactly the limit")
  func oversize() throws {
    for length: UInt32 in [1 << 31, UInt32.max, UInt32(BookieFrameReader.defaultMaximumFrameLength) + 1] {
      #expect(throws: BookieWireError.self) { try frames(ByteBuffer(integer: length)) }
    }
    var exact = ByteBuffer(integer: UInt32(100))
    exact.writeRepeatingByte(1, count: 100)
    #expect(try frames(exact, limit: 100).first?.readableBytes == 100)
    #expect(throws: BookieWireError.self) { try frames(exact, limit: 99) }
    #expect(try frames(ByteBuffer(integer: UInt32(0))).first?.readableBytes == 0)
    #expect(throws: BookieWireError.self) { try BookieRequest(decoding: ByteBuffer()) }
  }
}
