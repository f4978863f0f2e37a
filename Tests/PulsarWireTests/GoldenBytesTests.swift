import NIOCore
import PulsarWire
import Testing

/// Frames written down by hand from the protocol's definition.
@Suite("Golden bytes")
struct GoldenBytesTests {
  private func frame(_ encode: (inout ByteBuffer) throws -> Void) rethrows -> [UInt8] {
    var buffer = ByteBuffer()
    try encode(&buffer)
    return Array(buffer.readableBytesView)
  }

  @Test func ping() throws {
    let bytes: [UInt8] = [0, 0, 0, 9, 0, 0, 0, 5, 0x08, 0x12, 0x92, 0x01, 0x00]
    #expect(frame { PulsarFrameEncoder.encodePing(into: &$0) } == bytes)
    #expect(try decodeOne(bytes) == PulsarFrame(command: .ping()))
  }

  @Test func pong() throws {
    let bytes: [UInt8] = [0, 0, 0, 9, 0, 0, 0, 5, 0x08, 0x13, 0x9a, 0x01, 0x00]
    #expect(frame { PulsarFrameEncoder.encodePong(into: &$0) } == bytes)
    #expect(try decodeOne(bytes) == PulsarFrame(command: .pong()))
  }

  @Test func flow() throws {
    // consumer 1, 1000 permits
    let bytes: [UInt8] = [0, 0, 0, 13, 0, 0, 0, 9, 0x08, 0x0b, 0x5a, 0x05, 0x08, 0x01, 0x10, 0xe8, 0x07]
    let command = FlowCommand(consumerID: 1, messagePermits: 1000)
    #expect(frame { PulsarFrameEncoder.encode(command, into: &$0) } == bytes)
    #expect(try decodeOne(bytes) == PulsarFrame(command: .flow(command)))
  }

  @Test func sendWithPayload() throws {
    // producer 2, sequence 300, a batch of 10, then five bytes of payload
    let head: [UInt8] = [0, 0, 0, 20, 0, 0, 0, 11, 0x08, 0x06, 0x32, 0x07, 0x08, 0x02, 0x10, 0xac, 0x02, 0x18, 0x0a]
    let command = SendCommand(producerID: 2, sequenceID: 300, numMessages: 10)
    #expect(frame { PulsarFrameEncoder.encode(command, payloadLength: 5, into: &$0) } == head)
    let payload = ByteBuffer(string: "hello")
    #expect(
      try decodeOne(head + Array(payload.readableBytesView))
        == PulsarFrame(command: .send(command), payload: payload))
  }

  @Test func sendReceipt() throws {
    let bytes: [UInt8] = [
      0, 0, 0, 18, 0, 0, 0, 14, 0x08, 0x07, 0x3a, 0x0a, 0x08, 0x02, 0x10, 0x03, 0x1a, 0x04, 0x08, 0x05, 0x10, 0x06,
    ]
    let command = SendReceiptCommand(
      producerID: 2, sequenceID: 3, messageID: MessageIDData(ledgerID: 5, entryID: 6))
    #expect(frame { PulsarFrameEncoder.encode(command, into: &$0) } == bytes)
    #expect(try decodeOne(bytes) == PulsarFrame(command: .sendReceipt(command)))
  }

  @Test("an acknowledgement of entry -1 stays signed")
  func ackOfMinusOne() throws {
    let minusOne = [UInt8](repeating: 0xff, count: 9) + [0x01]
    let body: [UInt8] = [0x08, 0x01, 0x10, 0x01, 0x1a, 0x0d, 0x08, 0x09, 0x10] + minusOne
    let bytes: [UInt8] = [0, 0, 0, 27, 0, 0, 0, 23, 0x08, 0x0a, 0x52, 0x13] + body
    let command = AckCommand(
      consumerID: 1, type: .cumulative, messageIDs: [MessageIDData(ledgerID: 9, entryID: -1)])
    #expect(frame { PulsarFrameEncoder.encode(command, into: &$0) } == bytes)
    #expect(try decodeOne(bytes) == PulsarFrame(command: .ack(command)))
  }

  @Test func connect() throws {
    // client_version "x" (1), protocol_version 20 (4)
    let bytes: [UInt8] = [0, 0, 0, 13, 0, 0, 0, 9, 0x08, 0x02, 0x12, 0x05, 0x0a, 0x01, 0x78, 0x20, 0x14]
    var connect = ProtoCommandConnect()
    connect.clientVersion = "x"
    connect.protocolVersion = 20
    #expect(try frame { try PulsarFrameEncoder.encode(ProtoBaseCommand(connect), into: &$0) } == bytes)
    #expect(try decodeOne(bytes) == PulsarFrame(command: .other(ProtoBaseCommand(connect))))
  }

  @Test func storedEntry() throws {
    // broker timestamp 1, index 2; CRC32C of what follows it; metadata ("p", 0, 1); payload "123456789"
    let front: [UInt8] = [0x0e, 0x02, 0, 0, 0, 4, 0x08, 0x01, 0x10, 0x02]
    let metadata: [UInt8] = [0x0a, 0x01, 0x70, 0x10, 0x00, 0x18, 0x01]
    let covered = [0, 0, 0, 7] + metadata + Array("123456789".utf8)
    let checksum = bitwiseCRC32C(covered)
    let producer: [UInt8] =
      [0x0e, 0x01] + (0..<4).map { UInt8(truncatingIfNeeded: checksum >> (24 - 8 * $0)) } + covered

    var entry = ByteBuffer()
    BrokerEntryMetadataView(brokerTimestampMs: 1, index: 2).encode(into: &entry)
    #expect(Array(entry.readableBytesView) == front)
    let payload = ByteBuffer(string: "123456789")
    EntryEncoder.encode(
      MessageMetadata(producerName: "p", sequenceID: 0, publishTimeMs: 1), payload: payload, into: &entry)
    entry.writeImmutableBuffer(payload)
    #expect(Array(entry.readableBytesView) == front + producer)
    #expect(Array(try EntryHeader.parse(entry).producerBytes.readableBytesView) == producer)
  }
}

/// Decodes bytes that hold one frame.
func decodeOne(_ bytes: [UInt8]) throws -> PulsarFrame? {
  var decoder = PulsarFrameDecoder()
  var buffer = ByteBuffer(bytes: bytes)
  let frame = try decoder.decode(buffer: &buffer)
  #expect(buffer.readableBytes == 0)
  return frame
}

/// The polynomial division as the standard states it.
func bitwiseCRC32C(_ bytes: [UInt8]) -> UInt32 {
  var crc = UInt32.max
  for byte in bytes {
    crc ^= UInt32(byte)
    for _ in 0..<8 { crc = crc & 1 == 0 ? crc >> 1 : crc >> 1 ^ 0x82f6_3b78 }
  }
  return ~crc
}
