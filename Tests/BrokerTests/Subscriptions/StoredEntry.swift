import NIOCore
import PulsarWire
import TopicLog

@testable import Broker

/// Entries as a topic stores them.
enum StoredEntry {
  static func make(
    _ text: String = "", messages: Int? = nil, key: String? = nil, orderingKey: [UInt8]? = nil,
    deliverAtMs: Int64? = nil, publishTimeMs: Int64 = 1, marker: Int32? = nil, chunks: Int32? = nil,
    sequenceID: UInt64 = 0, withBrokerMetadata: Bool = true, keyIsBase64: Bool = false
  ) throws -> ByteBuffer {
    var entry = ByteBuffer()
    if withBrokerMetadata { BrokerEntryMetadataView(brokerTimestampMs: 5, index: 1).encode(into: &entry) }
    var bytes = try producerBytes(
      text, messages: messages, key: key, orderingKey: orderingKey, deliverAtMs: deliverAtMs,
      publishTimeMs: publishTimeMs, marker: marker, chunks: chunks, sequenceID: sequenceID,
      keyIsBase64: keyIsBase64)
    entry.writeBuffer(&bytes)
    return entry
  }

  private static func producerBytes(
    _ text: String, messages: Int?, key: String?, orderingKey: [UInt8]?, deliverAtMs: Int64?, publishTimeMs: Int64,
    marker: Int32?, chunks: Int32?, sequenceID: UInt64, keyIsBase64: Bool
  ) throws -> ByteBuffer {
    var metadata = ProtoMessageMetadata()
    metadata.producerName = "producer"
    metadata.sequenceID = sequenceID
    metadata.publishTime = UInt64(publishTimeMs)
    if let messages { metadata.numMessagesInBatch = Int32(messages) }
    if let key { metadata.partitionKey = key }
    if keyIsBase64 { metadata.partitionKeyB64Encoded = true }
    if let orderingKey { metadata.orderingKey = .init(orderingKey) }
    if let deliverAtMs { metadata.deliverAtTime = deliverAtMs }
    if let marker { metadata.markerType = marker }
    if let chunks { metadata.numChunksFromMsg = chunks }
    let encoded: [UInt8] = try metadata.serializedBytes()
    var bytes = ByteBuffer()
    bytes.writeInteger(UInt16(0x0e01))
    bytes.writeInteger(UInt32(0))
    bytes.writeInteger(UInt32(encoded.count))
    bytes.writeBytes(encoded)
    bytes.writeString(text)
    return bytes
  }
}

/// Collects what a subscription hands to one consumer. Confined to the topic's loop, like the real ones.
final class RecordingSink: ConsumerSink, @unchecked Sendable {
  var isWritable = true
  private(set) var deliveries: [Delivery] = []
  private(set) var batches = 0
  private(set) var activeNotices: [Bool] = []
  private(set) var endOfTopicNotices = 0
  private(set) var closed: ConsumerCloseReason?
  var onDeliver: (([Delivery]) -> Void)?

  func deliver(_ batch: [Delivery]) {
    deliveries.append(contentsOf: batch)
    batches += 1
    onDeliver?(batch)
  }

  func activeConsumerChanged(isActive: Bool) { activeNotices.append(isActive) }
  func reachedEndOfTopic() { endOfTopicNotices += 1 }
  func close(_ reason: ConsumerCloseReason) { closed = reason }
  func clear() { deliveries = [] }

  var positions: [Position] { deliveries.map(\.position) }
  var texts: [String] { deliveries.map { Self.text($0.entry) } }

  /// The payload of an entry.
  static func text(_ entry: ByteBuffer) -> String {
    guard let header = try? EntryHeader.parse(entry) else { return "?" }
    return String(buffer: header.payload)
  }
}
