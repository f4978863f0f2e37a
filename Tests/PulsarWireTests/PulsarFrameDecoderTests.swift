import NIOCore
import PulsarWire
import Testing

@Suite("Frame decoder")
struct PulsarFrameDecoderTests {
  private func decode(_ bytes: [UInt8], maxMessageSize: Int = 100) throws -> PulsarFrame? {
    var decoder = PulsarFrameDecoder(maxMessageSize: maxMessageSize)
    var buffer = ByteBuffer(bytes: bytes)
    return try decoder.decode(buffer: &buffer)
  }

  @Test("hands out every frame of a stream, however it was cut")
  func chunks() throws {
    var values = RandomValues(seed: 11)
    var stream = ByteBuffer()
    var expected: [PulsarFrame] = []
    for _ in 0..<60 {
      let payload = values.optional { ByteBuffer(bytes: $0.bytes(30)) }
      let frame = PulsarFrame(command: payload == nil ? .ack(values.ack()) : .send(values.send()), payload: payload)
      expected.append(frame)
      try PulsarFrameEncoder.encode(
        command: frame.command, payloadLength: payload?.readableBytes ?? 0, into: &stream)
      if let payload { stream.writeImmutableBuffer(payload) }
    }
    let processor = NIOSingleStepByteToMessageProcessor(PulsarFrameDecoder())
    var received: [PulsarFrame] = []
    while stream.readableBytes > 0 {
      guard let piece = stream.readSlice(length: min(values.int(1...70), stream.readableBytes)) else { break }
      try processor.process(buffer: piece) { received.append($0) }
    }
    try processor.finishProcessing(seenEOF: true) { received.append($0) }
    #expect(received == expected)
  }

  @Test("refuses a frame above the limit from its first four bytes")
  func tooLarge() {
    let limit = 100 + 10 * 1024
    #expect(throws: PulsarWireError.frameTooLarge(size: limit + 1, limit: limit)) {
      try decode([0, 0, 0x28, 0x65])
    }
    #expect(throws: PulsarWireError.frameTooLarge(size: 0xffff_ffff, limit: limit)) {
      try decode([0xff, 0xff, 0xff, 0xff])
    }
    #expect(throws: Never.self) { try decode([0, 0, 0x28, 0x64]) }
  }

  @Test("refuses a command above its own limit")
  func commandTooLarge() {
    var decoder = PulsarFrameDecoder(maxCommandSize: 64)
    var buffer = ByteBuffer(bytes: [0, 0, 1, 0, 0, 0, 0, 65])
    #expect(throws: PulsarWireError.frameTooLarge(size: 65, limit: 64)) { try decoder.decode(buffer: &buffer) }
  }

  @Test("refuses sizes that contradict each other")
  func sizes() {
    for bytes: [UInt8] in [
      [0, 0, 0, 3], [0, 0, 0, 0], [0, 0, 0, 4, 0, 0, 0, 1], [0, 0, 0, 9, 0xff, 0xff, 0xff, 0xff],
    ] {
      #expect(throws: PulsarWireError.self) { try decode(bytes) }
    }
  }

  @Test("waits for the rest", arguments: 0..<17)
  func partial(length: Int) throws {
    let bytes: [UInt8] = [0, 0, 0, 13, 0, 0, 0, 9, 0x08, 0x0b, 0x5a, 0x05, 0x08, 0x01, 0x10, 0xe8, 0x07]
    #expect(try decode(Array(bytes[..<length])) == nil)
  }

  @Test("the payload is a slice of what was read")
  func slice() throws {
    var buffer = ByteBuffer()
    PulsarFrameEncoder.encode(SendCommand(producerID: 1, sequenceID: 1), payloadLength: 6, into: &buffer)
    buffer.writeString("abcdef")
    let address = buffer.withVeryUnsafeBytes { $0.baseAddress }
    var decoder = PulsarFrameDecoder()
    let payload = try #require(try decoder.decode(buffer: &buffer)?.payload)
    #expect(payload.withVeryUnsafeBytes { $0.baseAddress } == address.map { $0 + 16 })
  }

  @Test("names what is wrong with a command")
  func malformedCommands() {
    let cases: [([UInt8], PulsarWireError)] = [
      ([], .missingField("BaseCommand.type")),
      ([0x08, 0xff, 0x01], .unknownCommand(type: 255)),
      ([0x08, 0x06], .missingField("BaseCommand field 6")),
      ([0x08, 0x06, 0x32, 0x02, 0x08, 0x01], .missingField("CommandSend.sequence_id")),
      ([0x08, 0x06, 0x32, 0x02, 0x10, 0x01], .missingField("CommandSend.producer_id")),
      ([0x08, 0x07, 0x3a, 0x00], .missingField("CommandSendReceipt.producer_id")),
      ([0x08, 0x09, 0x4a, 0x02, 0x08, 0x01], .missingField("CommandMessage.message_id")),
      ([0x08, 0x0a, 0x52, 0x02, 0x08, 0x01], .missingField("CommandAck.ack_type")),
      ([0x08, 0x0a, 0x52, 0x04, 0x08, 0x01, 0x10, 0x07], .invalidField("CommandAck.ack_type")),
      (
        [0x08, 0x0a, 0x52, 0x08, 0x08, 0x01, 0x10, 0x00, 0x1a, 0x02, 0x08, 0x01],
        .missingField("MessageIdData.entryId")
      ),
      ([0x08, 0x0b, 0x5a, 0x02, 0x08, 0x01], .missingField("CommandFlow.messagePermits")),
      ([0x08, 0x0b, 0x5a, 0x09, 0x08, 0x01], .truncated),
      ([0x08, 0x0b, 0x5a, 0x02, 0x08, 0x80], .truncated),
      ([0x08, 0x0b, 0x5a, 0x0c] + [0x08] + [UInt8](repeating: 0xff, count: 11), .malformedVarint),
      ([0x08, 0x0b, 0x5a, 0x0b] + [0x08] + [UInt8](repeating: 0xff, count: 9) + [0x02], .malformedVarint),
      ([0x08, 0x0b, 0x5a, 0x02, 0x00, 0x01], .malformedTag),
      ([0x08, 0x0b, 0x5a, 0x02, 0x0b, 0x0c], .malformedTag),
    ]
    for (bytes, error) in cases {
      #expect(throws: error, "\(bytes)") { try PulsarCommand(decoding: ByteBuffer(bytes: bytes)) }
    }
  }

  @Test("a cold command without its required fields, or without its body, is an error")
  func coldCommands() {
    #expect(throws: PulsarWireError.self) { try PulsarCommand(decoding: ByteBuffer(bytes: [0x08, 0x02, 0x12, 0x00])) }
    #expect(throws: PulsarWireError.missingField("BaseCommand field 2")) {
      try PulsarCommand(decoding: ByteBuffer(bytes: [0x08, 0x02]))
    }
  }

  @Test("many receipts share one buffer")
  func manyFrames() throws {
    var buffer = ByteBuffer()
    for sequence in 0..<5000 {
      PulsarFrameEncoder.encode(
        SendReceiptCommand(
          producerID: 1, sequenceID: UInt64(sequence), messageID: MessageIDData(ledgerID: 7, entryID: Int64(sequence))),
        into: &buffer)
    }
    var decoder = PulsarFrameDecoder()
    var sequence: UInt64 = 0
    while let frame = try decoder.decode(buffer: &buffer) {
      guard case .sendReceipt(let receipt) = frame.command else {
        Issue.record("not a receipt: \(frame.command)")
        return
      }
      #expect(receipt.sequenceID == sequence)
      sequence += 1
    }
    #expect(sequence == 5000)
  }
}
