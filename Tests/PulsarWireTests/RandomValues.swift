import Foundation
import NIOCore
import PulsarWire

/// A seeded generator of protocol values, biased towards borders.
struct RandomValues: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) {
    state = seed
  }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  mutating func int(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }
  mutating func chance() -> Bool { next() & 1 == 0 }
  mutating func uint64() -> UInt64 { next() >> UInt64(int(0...63)) }
  mutating func int64() -> Int64 { [-1, 0, .max, .min, Int64(bitPattern: uint64()), Int64(int(0...300))][int(0...5)] }
  mutating func int32() -> Int32 { [-1, 0, 1, .max, .min, Int32(truncatingIfNeeded: uint64())][int(0...5)] }
  mutating func uint32() -> UInt32 { UInt32(truncatingIfNeeded: uint64()) }

  mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) } }
  mutating func bytes() -> [UInt8] { bytes(int(0...[0, 5, 130, 400][int(0...3)])) }
  mutating func data() -> Data { Data(bytes()) }
  mutating func buffer() -> ByteBuffer { ByteBuffer(bytes: bytes()) }

  mutating func string() -> String {
    let alphabet = Array("abcdefghijklmnop-_/äöü漢字🙂")
    return String((0..<int(0...[0, 3, 20, 150][int(0...3)])).map { _ in alphabet[int(0...alphabet.count - 1)] })
  }

  mutating func array<T>(_ maximum: Int, _ make: (inout RandomValues) -> T) -> [T] {
    var values: [T] = []
    for _ in 0..<int(0...maximum) { values.append(make(&self)) }
    return values
  }

  mutating func optional<T>(_ make: (inout RandomValues) -> T) -> T? { chance() ? make(&self) : nil }

  mutating func messageID(depth: Int = 0) -> MessageIDData {
    MessageIDData(
      ledgerID: int64(), entryID: int64(), partition: int32(), batchIndex: int32(), batchSize: optional { $0.int32() },
      ackSet: array(3) { $0.int64() },
      firstChunkMessageID: depth < 2 && int(0...3) == 0 ? messageID(depth: depth + 1) : nil)
  }

  mutating func origin() -> OriginStamp {
    OriginStamp(
      region: string(), incarnation: uint64(), ledgerID: int64(), entryID: int64(), previousLedgerID: int64(),
      previousEntryID: int64())
  }

  mutating func send() -> SendCommand {
    SendCommand(
      producerID: uint64(), sequenceID: uint64(), numMessages: int32(), highestSequenceID: optional { $0.uint64() },
      isChunk: chance(), marker: chance(), messageID: optional { $0.messageID() }, origin: optional { $0.origin() },
      txnLeastBits: uint64(), txnMostBits: uint64())
  }

  mutating func receipt() -> SendReceiptCommand {
    SendReceiptCommand(
      producerID: uint64(), sequenceID: uint64(), messageID: optional { $0.messageID() }, highestSequenceID: uint64(),
      watermark: optional { $0.origin() })
  }

  mutating func message() -> MessageCommand {
    MessageCommand(
      consumerID: uint64(), messageID: messageID(), redeliveryCount: uint32(), ackSet: array(4) { $0.int64() },
      consumerEpoch: optional { $0.uint64() })
  }

  mutating func ack() -> AckCommand {
    AckCommand(
      consumerID: uint64(), type: chance() ? .individual : .cumulative, messageIDs: array(5) { $0.messageID() },
      validationError: optional { .allCases[$0.int(0...4)] },
      properties: array(2) { values in
        var pair = ProtoKeyLongValue()
        pair.key = values.string()
        pair.value = values.uint64()
        return pair
      }, txnLeastBits: uint64(), txnMostBits: uint64(), requestID: optional { $0.uint64() })
  }

  mutating func flow() -> FlowCommand { FlowCommand(consumerID: uint64(), messagePermits: uint32()) }

  mutating func property() -> MessageProperty { MessageProperty(key: string(), value: string()) }

  mutating func metadata() -> MessageMetadata {
    var metadata = MessageMetadata(producerName: string(), sequenceID: uint64(), publishTimeMs: int64())
    metadata.properties = array(3) { $0.property() }
    metadata.replicatedFrom = optional { $0.string() }
    metadata.partitionKey = optional { $0.string() }
    metadata.replicateTo = array(3) { $0.string() }
    metadata.compression = CompressionType(rawValue: Int32(int(0...4)))
    metadata.uncompressedSize = uint32()
    metadata.numMessagesInBatch = optional { $0.int32() }
    metadata.eventTimeMs = int64()
    metadata.encryptionKeys = array(1) { values in
      var key = ProtoEncryptionKeys()
      key.key = values.string()
      key.value = values.data()
      return key
    }
    metadata.encryptionAlgorithm = optional { $0.string() }
    metadata.encryptionParameter = optional { $0.buffer() }
    metadata.schemaVersion = optional { $0.buffer() }
    metadata.partitionKeyIsBase64 = chance()
    metadata.orderingKey = optional { $0.buffer() }
    metadata.deliverAtTimeMs = optional { $0.int64() }
    metadata.markerType = optional { $0.int32() }
    metadata.txnLeastBits = optional { $0.uint64() }
    metadata.txnMostBits = optional { $0.uint64() }
    metadata.highestSequenceID = uint64()
    metadata.nullValue = chance()
    metadata.uuid = optional { $0.string() }
    metadata.numChunksFromMessage = optional { $0.int32() }
    metadata.totalChunkMessageSize = optional { $0.int32() }
    metadata.chunkID = optional { $0.int32() }
    metadata.nullPartitionKey = chance()
    metadata.compactedBatchIndexes = array(3) { $0.int32() }
    metadata.schemaID = optional { $0.buffer() }
    return metadata
  }

  mutating func singleMetadata() -> SingleMessageMetadata {
    SingleMessageMetadata(
      properties: array(3) { $0.property() }, partitionKey: optional { $0.string() }, payloadSize: int32(),
      compactedOut: chance(), eventTimeMs: int64(), partitionKeyIsBase64: chance(),
      orderingKey: optional { $0.buffer() }, sequenceID: optional { $0.uint64() }, nullValue: chance(),
      nullPartitionKey: chance())
  }

  mutating func brokerMetadata() -> BrokerEntryMetadataView {
    BrokerEntryMetadataView(
      brokerTimestampMs: optional { $0.int64() }, index: optional { $0.int64() },
      localMessages: optional { $0.int64() }, localBytes: optional { $0.int64() }, origin: optional { $0.origin() })
  }
}
