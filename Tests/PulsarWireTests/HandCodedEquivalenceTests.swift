import NIOCore
import PulsarWire
import SwiftProtobuf
import Testing

/// The hand-written codecs against the protobuf library, on random values.
@Suite("Hand-coded messages equal the protobuf library's")
struct HandCodedEquivalenceTests {
  private func check(_ command: PulsarCommand, _ mirror: ProtoBaseCommand) throws {
    let expected: [UInt8] = try mirror.serializedBytes()
    var buffer = ByteBuffer(string: "before")
    buffer.moveReaderIndex(forwardBy: 6)
    try PulsarFrameEncoder.encode(command: command, payloadLength: 3, into: &buffer)
    #expect(buffer.readInteger(as: UInt32.self) == UInt32(expected.count + 4 + 3))
    #expect(buffer.readInteger(as: UInt32.self) == UInt32(expected.count))
    #expect(Array(buffer.readableBytesView) == expected)
    #expect(try PulsarCommand(decoding: ByteBuffer(bytes: expected)) == command)
    // The library's path, which an unusual order of fields takes, must agree.
    let reordered = Array(expected[2...]) + Array(expected[..<2])
    #expect(try PulsarCommand(decoding: ByteBuffer(bytes: reordered)) == command)
    // Fields from the future are skipped.
    let future: [UInt8] = [0xfa, 0xff, 0x03, 0x02, 0x01, 0x02]
    #expect(try PulsarCommand(decoding: ByteBuffer(bytes: expected + future)) == command)
  }

  private func payloadFree(_ command: PulsarCommand, _ mirror: ProtoBaseCommand) throws {
    let expected: [UInt8] = try mirror.serializedBytes()
    var buffer = ByteBuffer()
    try PulsarFrameEncoder.encode(command: command, into: &buffer)
    #expect(Array(buffer.readableBytesView.dropFirst(8)) == expected)
    #expect(try PulsarCommand(decoding: ByteBuffer(bytes: expected)) == command)
    let reordered = Array(expected[2...]) + Array(expected[..<2])
    #expect(try PulsarCommand(decoding: ByteBuffer(bytes: reordered)) == command)
  }

  @Test func send() throws {
    var values = RandomValues(seed: 1)
    for _ in 0..<500 {
      let command = values.send()
      try check(.send(command), command.mirror)
    }
  }

  @Test func sendReceipt() throws {
    var values = RandomValues(seed: 2)
    for _ in 0..<500 {
      let command = values.receipt()
      try payloadFree(.sendReceipt(command), command.mirror)
    }
  }

  @Test func message() throws {
    var values = RandomValues(seed: 3)
    for _ in 0..<500 {
      let command = values.message()
      try check(.message(command), command.mirror)
    }
  }

  @Test func ack() throws {
    var values = RandomValues(seed: 4)
    for _ in 0..<500 {
      let command = values.ack()
      try payloadFree(.ack(command), command.mirror)
    }
  }

  @Test func flow() throws {
    var values = RandomValues(seed: 5)
    for _ in 0..<500 {
      let command = values.flow()
      try payloadFree(.flow(command), command.mirror)
    }
  }

  @Test func pingAndPong() throws {
    for clock in [nil, 0, -1, 1_800_000_000_000] as [Int64?] {
      var ping = ProtoBaseCommand()
      ping.type = .ping
      ping.ping = ProtoCommandPing()
      if let clock { ping.ping.meridianClockMs = clock }
      try payloadFree(.ping(clockMs: clock), ping)
      var pong = ProtoBaseCommand()
      pong.type = .pong
      pong.pong = ProtoCommandPong()
      if let clock {
        pong.pong.meridianEchoedClockMs = clock
        pong.pong.meridianClockMs = 5
      }
      try payloadFree(.pong(echoedClockMs: clock, clockMs: clock.map { _ in 5 }), pong)
    }
  }

  @Test func messageMetadata() throws {
    var values = RandomValues(seed: 6)
    for _ in 0..<500 {
      let metadata = values.metadata()
      let expected: [UInt8] = try metadata.mirror.serializedBytes()
      var buffer = ByteBuffer()
      metadata.encode(into: &buffer)
      #expect(Array(buffer.readableBytesView) == expected)
      #expect(try MessageMetadata(decoding: buffer) == metadata)
      try checkView(try MessageMetadataView(buffer), metadata)
    }
  }

  private func checkView(_ view: MessageMetadataView, _ metadata: MessageMetadata) throws {
    #expect(view.producerName == metadata.producerName)
    #expect(view.sequenceID == metadata.sequenceID)
    #expect(view.highestSequenceID == metadata.highestSequenceID)
    #expect(view.publishTimeMs == metadata.publishTimeMs)
    #expect(view.eventTimeMs == metadata.eventTimeMs)
    #expect(view.numMessagesInBatch == metadata.numMessagesInBatch)
    #expect(view.messageCount >= 1)
    #expect(view.properties == metadata.properties)
    for property in metadata.properties {
      #expect(view.property(property.key) == metadata.properties.first { $0.key == property.key }?.value)
    }
    #expect(view.property("no such key") == nil)
    #expect(view.replicatedFrom == metadata.replicatedFrom)
    #expect(view.isReplicated == (metadata.replicatedFrom != nil))
    #expect(view.replicateTo == (metadata.replicateTo.isEmpty ? nil : metadata.replicateTo))
    #expect(view.partitionKey == metadata.partitionKey)
    #expect(view.partitionKeyIsBase64 == metadata.partitionKeyIsBase64)
    #expect(view.orderingKey == metadata.orderingKey)
    #expect(view.compression == metadata.compression)
    #expect(view.uncompressedSize == metadata.uncompressedSize)
    #expect(view.schemaVersion == metadata.schemaVersion)
    #expect(view.deliverAtTimeMs == metadata.deliverAtTimeMs)
    #expect(view.markerType == metadata.markerType)
    #expect(view.uuid == metadata.uuid)
    #expect(view.numChunksFromMessage == metadata.numChunksFromMessage)
    #expect(view.totalChunkMessageSize == metadata.totalChunkMessageSize)
    #expect(view.chunkID == metadata.chunkID)
    #expect(view.nullValue == metadata.nullValue)
    #expect(view.nullPartitionKey == metadata.nullPartitionKey)
    #expect(view.isEncrypted == !metadata.encryptionKeys.isEmpty)
    #expect(view.hasTransaction == (metadata.txnLeastBits != nil || metadata.txnMostBits != nil))
  }

  @Test func singleMessageMetadata() throws {
    var values = RandomValues(seed: 7)
    for _ in 0..<500 {
      let metadata = values.singleMetadata()
      let expected: [UInt8] = try metadata.mirror.serializedBytes()
      var buffer = ByteBuffer()
      metadata.encode(into: &buffer)
      #expect(Array(buffer.readableBytesView) == expected)
      #expect(try SingleMessageMetadata(decoding: buffer) == metadata)
    }
  }

  @Test func brokerEntryMetadata() throws {
    var values = RandomValues(seed: 8)
    for _ in 0..<500 {
      let metadata = values.brokerMetadata()
      let expected: [UInt8] = try metadata.mirror.serializedBytes()
      var entry = ByteBuffer()
      metadata.encode(into: &entry)
      #expect(Array(entry.readableBytesView.dropFirst(6)) == expected)
      entry.writeInteger(UInt32(0))
      #expect(try EntryHeader.parse(entry).brokerEntryMetadata == metadata)
    }
  }

  @Test("fields that this version does not know are skipped, whatever their wire type")
  func unknownFields() throws {
    let known: [UInt8] = [0x08, 0x02, 0x10, 0x03]
    let unknown: [[UInt8]] = [
      [0xf8, 0x01, 0x96, 0x01], [0xf9, 0x01, 1, 2, 3, 4, 5, 6, 7, 8], [0xfa, 0x01, 0x02, 9, 9],
      [0xfd, 0x01, 1, 2, 3, 4],
      // Fields 1 and 2 with another wire type than theirs.
      [0x0a, 0x01, 0x05], [0x15, 1, 2, 3, 4],
    ]
    for field in unknown {
      let body = known + field
      let bytes = [0x08, 0x06, 0x32, UInt8(body.count)] + body
      let expected = PulsarCommand.send(SendCommand(producerID: 2, sequenceID: 3))
      #expect(try PulsarCommand(decoding: ByteBuffer(bytes: bytes)) == expected)
    }
  }

  @Test("packed and unpacked lists are the same")
  func packed() throws {
    let id: [UInt8] = [0x08, 0x01, 0x10, 0x02, 0x2a, 0x03, 0x05, 0x96, 0x01]
    let body: [UInt8] = [0x08, 0x07, 0x12, UInt8(id.count)] + id
    let command = try PulsarCommand(decoding: ByteBuffer(bytes: [0x08, 0x09, 0x4a, UInt8(body.count)] + body))
    let expected = MessageIDData(ledgerID: 1, entryID: 2, ackSet: [5, 150])
    #expect(command == .message(MessageCommand(consumerID: 7, messageID: expected)))
  }
}
