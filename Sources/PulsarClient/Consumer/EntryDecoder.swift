import Compression
import NIOCore
import PulsarWire

/// Makes messages of an entry as the broker delivers it: checksum, metadata, decompression, batch.
struct EntryDecoder {
  /// Why an entry cannot be used.
  struct Corrupt: Error {
    var reason: ProtoCommandAck.ValidationError
    var description: String
    /// Permits that the entry cost.
    var permits: Int
  }

  /// One message with what a consumer decides by.
  struct Part {
    var index: Int32
    var payload: ByteBuffer
    var single: SingleMessageMetadata?
  }

  let header: EntryHeader
  let metadata: MessageMetadataView

  init(_ entry: ByteBuffer) throws(Corrupt) {
    do {
      header = try EntryHeader.parse(entry)
      try header.verifyChecksum()
      metadata = try MessageMetadataView(header.metadata)
    } catch {
      let reason: ProtoCommandAck.ValidationError =
        if case .checksumMismatch = error { .checksumMismatch } else { .batchDeSerializeError }
      throw Corrupt(reason: reason, description: "\(error)", permits: 1)
    }
  }

  /// Messages that the entry counts for.
  var messageCount: Int { min(metadata.messageCount, max(1, Int(PulsarProtocol.defaultMaxMessageSize))) }
  var isBatch: Bool { metadata.numMessagesInBatch != nil }

  func decompress(_ payload: ByteBuffer, limit: Int) throws(Corrupt) -> ByteBuffer {
    guard metadata.compression != .none else { return payload }
    guard let codec = metadata.compression.codec else {
      throw Corrupt(
        reason: .decompressionError, description: "compression \(metadata.compression.rawValue) is not known here",
        permits: messageCount)
    }
    do {
      return try codec.decompress(payload, uncompressedSize: Int(metadata.uncompressedSize), limit: limit)
    } catch {
      throw Corrupt(reason: .decompressionError, description: "\(error)", permits: messageCount)
    }
  }

  /// The messages of a decompressed batch; those that compaction removed are not among them.
  func parts(of batch: ByteBuffer) throws(Corrupt) -> [Part] {
    // Each message has at least its size word and a byte of metadata: a count beyond that is not believed.
    guard messageCount <= batch.readableBytes / 4 + 1 else {
      throw Corrupt(
        reason: .batchDeSerializeError,
        description: "a batch of \(batch.readableBytes) bytes cannot hold \(messageCount) messages", permits: 1)
    }
    var reader = BatchReader(payload: batch, count: messageCount)
    var parts: [Part] = []
    parts.reserveCapacity(messageCount)
    do {
      while let message = try reader.next() {
        if message.metadata.compactedOut { continue }
        parts.append(Part(index: Int32(message.index), payload: message.payload, single: message.metadata))
      }
    } catch {
      throw Corrupt(reason: .batchDeSerializeError, description: "\(error)", permits: messageCount)
    }
    return parts
  }

  func message(_ part: Part, id: MessageID, topic: String, redeliveryCount: Int) -> ReceivedMessage {
    let single = part.single
    return ReceivedMessage(
      id: id, topic: topic, payload: part.payload,
      key: single?.partitionKey ?? (single == nil ? metadata.partitionKey : nil),
      properties: single?.properties ?? metadata.properties, producerName: metadata.producerName,
      sequenceID: single.map { $0.sequenceID ?? metadata.sequenceID &+ UInt64(part.index) } ?? metadata.sequenceID,
      publishTimeMs: metadata.publishTimeMs, eventTimeMs: single?.eventTimeMs ?? metadata.eventTimeMs,
      redeliveryCount: redeliveryCount, replicatedFrom: metadata.replicatedFrom, schemaVersion: metadata.schemaVersion)
  }
}
