import Checksums
import NIOCore
import PulsarWire
import SwiftProtobuf
import Testing

@Suite("Entries")
struct EntryTests {
  private func entry(_ metadata: MessageMetadata, _ payload: ByteBuffer, checksum: Bool = true) -> ByteBuffer {
    var entry = ByteBuffer()
    EntryEncoder.encode(metadata, payload: payload, into: &entry)
    entry.writeImmutableBuffer(payload)
    if !checksum { entry.moveReaderIndex(forwardBy: 6) }
    return entry
  }

  @Test(
    "are taken apart with and without the broker's part and the checksum", arguments: [false, true], [false, true])
  func parts(broker: Bool, checksum: Bool) throws {
    var values = RandomValues(seed: 21)
    for _ in 0..<100 {
      let metadata = values.metadata()
      let payload = ByteBuffer(bytes: values.bytes(values.int(0...3000)))
      let produced = entry(metadata, payload, checksum: checksum)
      let brokerMetadata = values.brokerMetadata()
      var stored = ByteBuffer(string: "in front")
      stored.moveReaderIndex(forwardBy: 8)
      if broker { brokerMetadata.encode(into: &stored) }
      let offset = stored.readableBytes
      stored.writeImmutableBuffer(produced)

      let header = try EntryHeader.parse(stored)
      #expect(header.brokerEntryMetadata == (broker ? brokerMetadata : nil))
      #expect((header.checksum != nil) == checksum)
      #expect(header.producerBytesOffset == offset)
      #expect(try EntryHeader.producerBytesOffset(in: stored) == offset)
      #expect(header.producerBytes == produced)
      #expect(header.payload == payload)
      #expect(try MessageMetadata(decoding: header.metadata) == metadata)
      try header.verifyChecksum()
    }
  }

  @Test("show a changed byte by their checksum")
  func damage() throws {
    let metadata = MessageMetadata(producerName: "p", sequenceID: 1, publishTimeMs: 2)
    var bytes = entry(metadata, ByteBuffer(string: "payload"))
    let last = bytes.writerIndex - 1
    bytes.setInteger(UInt8(ascii: "D"), at: last)
    let header = try EntryHeader.parse(bytes)
    #expect(throws: PulsarWireError.self) { try header.verifyChecksum() }
  }

  @Test("with sizes that do not fit are refused")
  func malformed() {
    let cases: [[UInt8]] = [
      [], [0x0e], [0x0e, 0x01], [0x0e, 0x01, 1, 2, 3], [0x0e, 0x01, 1, 2, 3, 4, 0, 0, 0], [0, 0, 0, 1],
      [0xff, 0xff, 0xff, 0xff, 1], [0x0e, 0x02], [0x0e, 0x02, 0, 0, 0, 9, 1], [0x0e, 0x02, 0x7f, 0xff, 0xff, 0xff, 0],
      [0x0e, 0x02, 0, 0, 0, 1, 0x80, 0, 0, 0, 0],
    ]
    for bytes in cases {
      #expect(throws: PulsarWireError.self, "\(bytes)") { try EntryHeader.parse(ByteBuffer(bytes: bytes)) }
    }
  }

  @Test("are rewritten without touching the payload", arguments: [false, true])
  func rewrite(checksum: Bool) throws {
    var values = RandomValues(seed: 22)
    let key = "__MSG_PROP_REPL_SOURCE_POSITION"
    for round in 0..<200 {
      var metadata = values.metadata()
      if round % 3 == 0 { metadata.properties.insert(MessageProperty(key: key, value: "9:9"), at: 0) }
      let payload = ByteBuffer(bytes: values.bytes(values.int(0...5000)))
      var stored = ByteBuffer()
      values.brokerMetadata().encode(into: &stored)
      stored.writeImmutableBuffer(entry(metadata, payload, checksum: checksum))
      let schema = values.optional { $0.buffer() }
      let region = values.optional { $0.string() }
      let property = values.optional { (key, $0.string()) }

      let parts = try MetadataRewriter.rewrite(
        entry: stored, replicatedFrom: region, schemaVersion: schema, appendingProperty: property)
      #expect(parts.payload == payload)
      var sent = parts.header
      sent.writeImmutableBuffer(parts.payload)
      #expect(sent.readableBytes == parts.readableBytes)
      let header = try EntryHeader.parse(sent)
      #expect((header.checksum != nil) == checksum)
      try header.verifyChecksum()
      #expect(header.brokerEntryMetadata == nil)

      var expected = metadata
      expected.txnLeastBits = nil
      expected.txnMostBits = nil
      if let region { expected.replicatedFrom = region }
      if let schema { expected.schemaVersion = schema }
      if let property {
        expected.properties.removeAll { $0.key == key }
        expected.properties.append(MessageProperty(key: key, value: property.1))
      }
      #expect(try MessageMetadata(decoding: header.metadata) == expected)
    }
  }

  @Test("keep fields from the future through a rewrite")
  func unknownFields() throws {
    var metadata = ByteBuffer()
    MessageMetadata(producerName: "p", sequenceID: 1, publishTimeMs: 2).encode(into: &metadata)
    let future: [UInt8] = [0xfa, 0x3e, 0x03, 0x01, 0x02, 0x03]
    metadata.writeBytes(future)
    var entry = ByteBuffer()
    entry.writeInteger(UInt32(metadata.readableBytes))
    entry.writeImmutableBuffer(metadata)
    let parts = try MetadataRewriter.rewrite(entry: entry, replicatedFrom: "us")
    let proto = try ProtoMessageMetadata(serializedBytes: Array(parts.header.readableBytesView.dropFirst(4)))
    #expect(proto.replicatedFrom == "us")
    #expect(Array(proto.unknownFields.data) == future)
  }

  @Test("a rewrite does not hide damage")
  func damageSurvivesRewrite() throws {
    var bytes = entry(
      MessageMetadata(producerName: "p", sequenceID: 1, publishTimeMs: 2), ByteBuffer(string: "payload"))
    bytes.setInteger(UInt8(ascii: "D"), at: bytes.writerIndex - 1)
    let parts = try MetadataRewriter.rewrite(entry: bytes, replicatedFrom: "us")
    var sent = parts.header
    sent.writeImmutableBuffer(parts.payload)
    let header = try EntryHeader.parse(sent)
    #expect(throws: PulsarWireError.self) { try header.verifyChecksum() }
  }
}
