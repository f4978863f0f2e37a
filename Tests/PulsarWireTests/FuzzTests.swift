import Compression
import Foundation
import NIOCore
import PulsarWire
import SwiftProtobuf
import Testing

/// Random, truncated and mutated bytes through every decoder: an error or a value, never a trap.
///
/// `MERIDIAN_FUZZ_SECONDS` says for how long (2 by default), `MERIDIAN_FUZZ_SEED` repeats a run.
@Suite("Fuzz")
struct FuzzTests {
  @Test("no bytes crash a decoder")
  func decoders() {
    let environment = ProcessInfo.processInfo.environment
    let seconds = environment["MERIDIAN_FUZZ_SECONDS"].flatMap(Double.init) ?? 2
    let seed = environment["MERIDIAN_FUZZ_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0...UInt64.max)
    print("fuzz: MERIDIAN_FUZZ_SEED=\(seed) MERIDIAN_FUZZ_SECONDS=\(seconds)")
    var values = RandomValues(seed: seed)
    let deadline = NIODeadline.now() + .milliseconds(Int64(seconds * 1000))
    var rounds = 0
    while NIODeadline.now() < deadline {
      feed(input(&values), &values)
      rounds += 1
    }
    print("fuzz: \(rounds) inputs")
    #expect(rounds > 0)
  }

  private func input(_ values: inout RandomValues) -> [UInt8] {
    guard values.int(0...9) != 0 else { return values.bytes(values.int(0...200)) }
    var bytes = valid(&values)
    for _ in 0..<values.int(0...4) where !bytes.isEmpty {
      let index = values.int(0...bytes.count - 1)
      switch values.int(0...5) {
      case 0: bytes[index] = UInt8(truncatingIfNeeded: values.next())
      case 1: bytes[index] ^= 1 << UInt8(values.int(0...7))
      case 2: bytes.removeSubrange(index...)
      case 3: bytes.remove(at: index)
      case 4: bytes.insert([0x00, 0x7f, 0x80, 0xff][values.int(0...3)], at: index)
      default: bytes.replaceSubrange(index..<min(index + 4, bytes.count), with: [0xff, 0xff, 0xff, 0xff])
      }
    }
    return bytes
  }

  private func valid(_ values: inout RandomValues) -> [UInt8] {
    var buffer = ByteBuffer()
    switch values.int(0...9) {
    case 0: PulsarFrameEncoder.encode(values.send(), payloadLength: 0, into: &buffer)
    case 1: PulsarFrameEncoder.encode(values.receipt(), into: &buffer)
    case 2: PulsarFrameEncoder.encode(values.message(), payloadLength: 0, into: &buffer)
    case 3: PulsarFrameEncoder.encode(values.ack(), into: &buffer)
    case 4: PulsarFrameEncoder.encode(values.flow(), into: &buffer)
    case 5: values.metadata().encode(into: &buffer)
    case 6:
      var batch = BatchBuilder()
      for _ in 0..<values.int(1...4) { batch.append(metadata: values.singleMetadata(), payload: values.buffer()) }
      buffer = batch.finish()
    case 7:
      let codec = CompressionCodec.allCases[values.int(0...3)]
      buffer = (try? codec.compress(ByteBuffer(bytes: values.bytes(100)))) ?? buffer
    default:
      if values.chance() { values.brokerMetadata().encode(into: &buffer) }
      let payload = values.buffer()
      EntryEncoder.encode(values.metadata(), payload: payload, into: &buffer)
      buffer.writeImmutableBuffer(payload)
    }
    return Array(buffer.readableBytesView)
  }

  private func feed(_ bytes: [UInt8], _ values: inout RandomValues) {
    let buffer = ByteBuffer(bytes: bytes)
    frames(buffer)
    command(bytes)
    if bytes.count > 8 { command(Array(bytes[8...])) }
    metadata(buffer)
    _ = try? SingleMessageMetadata(decoding: buffer)
    var batch = BatchReader(payload: buffer, count: values.int(0...5))
    while let message = try? batch.next() { #expect(message.payload.readableBytes <= bytes.count) }
    if let header = try? EntryHeader.parse(buffer) {
      try? header.verifyChecksum()
      #expect(header.producerBytes.readableBytes <= bytes.count)
      metadata(header.metadata)
    }
    _ = try? EntryHeader.producerBytesOffset(in: buffer)
    if let parts = try? MetadataRewriter.rewrite(
      entry: buffer, replicatedFrom: "us", schemaVersion: ByteBuffer(bytes: [1]), appendingProperty: ("k", "v"))
    {
      var sent = parts.header
      sent.writeImmutableBuffer(parts.payload)
      #expect(throws: Never.self) { try EntryHeader.parse(sent) }
    }
    for codec in CompressionCodec.allCases {
      _ = try? codec.decompress(buffer, uncompressedSize: 100, limit: 100)
    }
  }

  private func frames(_ buffer: ByteBuffer) {
    var buffer = buffer
    var decoder = PulsarFrameDecoder(maxMessageSize: 1000)
    while (try? decoder.decode(buffer: &buffer)) != nil {}
  }

  /// Where both decoders take the bytes, they take them for the same.
  private func command(_ bytes: [UInt8]) {
    guard let command = try? PulsarCommand(decoding: ByteBuffer(bytes: bytes)),
      let proto = try? ProtoBaseCommand(serializedBytes: bytes)
    else { return }
    switch command {
    case .send(let send): #expect(send == SendCommand(proto.send), "\(bytes)")
    case .sendReceipt(let receipt): #expect(receipt == SendReceiptCommand(proto.sendReceipt), "\(bytes)")
    case .message(let message): #expect(message == MessageCommand(proto.message), "\(bytes)")
    case .ack(let ack): #expect(ack == AckCommand(proto.ack), "\(bytes)")
    case .flow(let flow): #expect(flow == FlowCommand(proto.flow), "\(bytes)")
    case .ping, .pong: break
    case .other(let other): #expect(other == proto, "\(bytes)")
    }
  }

  private func metadata(_ buffer: ByteBuffer) {
    _ = try? MessageMetadata(decoding: buffer)
    guard let view = try? MessageMetadataView(buffer) else { return }
    #expect(view.messageCount >= 1)
    _ = (view.producerName, view.replicatedFrom, view.replicateTo, view.partitionKey, view.orderingKey)
    _ = (view.schemaVersion, view.uuid, view.properties, view.property("a"))
    if let proto = try? ProtoMessageMetadata(serializedBytes: Array(buffer.readableBytesView)) {
      #expect(view.producerName == proto.producerName)
      #expect(view.sequenceID == proto.sequenceID)
      #expect(view.replicateTo ?? [] == proto.replicateTo)
      #expect(view.properties.map(\.key) == proto.properties.map(\.key))
      #expect(view.numMessagesInBatch ?? 1 == proto.numMessagesInBatch)
    }
  }
}
