import BookieWire
import NIOCore
import Testing

@Suite("Bookie wire: framing and garbage")
struct FramingTests {
  @Test("Frames come out whole however the stream is cut")
  func anyCut() throws {
    var stream = ByteBuffer()
    var requests: [BookieRequest] = []
    for id in 0..<20 {
      let entry = LedgerEntryCodec(digest: .crc32c).encode(
        LedgerEntryHeader(ledgerID: 1, entryID: Int64(id), lastAddConfirmed: -1, length: 0),
        ByteBuffer(repeating: UInt8(id), count: id * 37))
      let request = BookieRequest.add(
        AddRequest(
          requestID: id % 2 == 0 ? UInt64(id) : nil, masterKey: LedgerMasterKey(password: []), ledgerID: 1,
          entryID: Int64(id), entry: EntryBytes(head: entry.joined())))
      requests.append(request)
      stream.writeImmutableBuffer(encoded(request))
    }
    for step in [1, 2, 3, 7, 64, 999, 100_000] {
      var reader = BookieFrameReader()
      var rest = stream
      var decoded: [BookieRequest] = []
      while rest.readableBytes > 0 {
        guard let piece = rest.readSlice(length: min(step, rest.readableBytes)) else { break }
        reader.append(piece)
        while let frame = try reader.nextFrame() { decoded.append(try BookieRequest(decoding: frame)) }
      }
      #expect(decoded == requests)
    }
  }

  @Test("A large payload is emitted as the buffer it is")
  func largePayload() {
    let payload = ByteBuffer(repeating: 1, count: 8192)
    let entry = LedgerEntryCodec(digest: .crc32c).encode(
      LedgerEntryHeader(ledgerID: 1, entryID: 0, lastAddConfirmed: -1, length: 8192), payload)
    var writer = BookieFrameWriter()
    var buffers: [ByteBuffer] = []
    let request = AddRequest(masterKey: LedgerMasterKey(password: []), ledgerID: 1, entryID: 0, entry: entry)
    writer.append(.add(request)) { buffers.append($0) }
    writer.finish { buffers.append($0) }
    #expect(buffers.count == 2)
    #expect(buffers.last == payload)
  }

  @Test("An oversize length is refused as soon as it is seen")
  func oversize() {
    var reader = BookieFrameReader(maximumFrameLength: 100)
    reader.append(ByteBuffer(bytes: [0, 0, 0, 101]))
    #expect(throws: BookieWireError.frameTooLarge(101, limit: 100)) { try reader.nextFrame() }
  }

  @Test("Random, truncated and flipped bytes never crash a decoder")
  func fuzz() throws {
    var random = SystemRandomNumberGenerator()
    let samples: [ByteBuffer] = [
      encoded(
        BookieRequest.read(ReadRequest(flags: .fencing, ledgerID: 1, entryID: 2, masterKey: .init(password: [])))),
      encoded(BookieRequest.batchRead(.init(requestID: 1, ledgerID: 1, startEntryID: 0, maxCount: 1, maxSize: 1))),
      encoded(BookieRequest.auth(.requestIDs)),
      encoded(
        BookieResponse.batchRead(
          .init(requestID: 1, code: .ok, ledgerID: 1, startEntryID: 0, entries: [ByteBuffer(bytes: [1, 2, 3])]))),
      encoded(BookieResponse.read(.init(code: .ok, ledgerID: 1, entryID: 1, entry: ByteBuffer(bytes: [1])))),
    ]
    let deadline = ContinuousClock.now + .milliseconds(800)
    var rounds = 0
    while ContinuousClock.now < deadline {
      var bytes: [UInt8]
      if rounds % 2 == 0 {
        bytes = (0..<Int.random(in: 0...80, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
        if bytes.count > 1, Bool.random(using: &random) { (bytes[0], bytes[1]) = (2, UInt8.random(in: 0...8)) }
      } else {
        bytes = Array(samples[rounds / 2 % samples.count].readableBytesView.dropFirst(4))
        bytes = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &random)))
        if !bytes.isEmpty { bytes[Int.random(in: 0..<bytes.count)] ^= UInt8.random(in: 1...255) }
      }
      _ = try? BookieRequest(decoding: ByteBuffer(bytes: bytes))
      _ = try? BookieResponse(decoding: ByteBuffer(bytes: bytes))
      _ = try? frames(ByteBuffer(bytes: bytes), limit: 1000)
      rounds += 1
    }
    #expect(rounds > 100)
  }
}
