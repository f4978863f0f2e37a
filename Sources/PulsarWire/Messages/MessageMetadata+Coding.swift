import NIOCore
import SwiftProtobuf

extension MessageMetadata {
  static func decode(_ reader: inout ProtobufReader) throws(PulsarWireError) -> MessageMetadata {
    var metadata = MessageMetadata(producerName: "", sequenceID: 0, publishTimeMs: 0)
    var hasName = false
    var hasSequence = false
    var hasTime = false
    while let tag = try reader.tag() {
      switch tag {
      case 10:
        metadata.producerName = try reader.string("MessageMetadata.producer_name")
        hasName = true
      case 16:
        metadata.sequenceID = try reader.varint()
        hasSequence = true
      case 24:
        metadata.publishTimeMs = try reader.int64()
        hasTime = true
      default: try metadata.read(tag, &reader)
      }
    }
    guard hasName else { throw .missingField("MessageMetadata.producer_name") }
    guard hasSequence else { throw .missingField("MessageMetadata.sequence_id") }
    guard hasTime else { throw .missingField("MessageMetadata.publish_time") }
    return metadata
  }

  private mutating func read(_ tag: UInt32, _ reader: inout ProtobufReader) throws(PulsarWireError) {
    switch tag {
    case 34:
      var pair = try reader.nested()
      properties.append(try MessageProperty.decode(&pair))
    case 42: replicatedFrom = try reader.string("MessageMetadata.replicated_from")
    case 50: partitionKey = try reader.string("MessageMetadata.partition_key")
    case 58: replicateTo.append(try reader.string("MessageMetadata.replicate_to"))
    case 64: compression = CompressionType(rawValue: try reader.int32())
    case 72: uncompressedSize = try reader.uint32()
    case 88: numMessagesInBatch = try reader.int32()
    case 96: eventTimeMs = try reader.int64()
    case 106: encryptionKeys.append(try MessageMetadata.encryptionKeys(try reader.buffer()))
    case 114: encryptionAlgorithm = try reader.string("MessageMetadata.encryption_algo")
    case 122: encryptionParameter = try reader.buffer()
    case 130: schemaVersion = try reader.buffer()
    case 136: partitionKeyIsBase64 = try reader.bool()
    case 146: orderingKey = try reader.buffer()
    case 152: deliverAtTimeMs = try reader.int64()
    case 160: markerType = try reader.int32()
    case 176: txnLeastBits = try reader.varint()
    case 184: txnMostBits = try reader.varint()
    case 192: highestSequenceID = try reader.varint()
    case 200: nullValue = try reader.bool()
    case 210: uuid = try reader.string("MessageMetadata.uuid")
    case 216: numChunksFromMessage = try reader.int32()
    case 224: totalChunkMessageSize = try reader.int32()
    case 232: chunkID = try reader.int32()
    case 240: nullPartitionKey = try reader.bool()
    case 248: compactedBatchIndexes.append(try reader.int32())
    case 250: try reader.packed(into: &compactedBatchIndexes) { Int32(truncatingIfNeeded: $0) }
    case 258: schemaID = try reader.buffer()
    default: try reader.skip(tag)
    }
  }

  /// Encryption keys are rare and nested: the library decodes them.
  private static func encryptionKeys(_ bytes: ByteBuffer) throws(PulsarWireError) -> ProtoEncryptionKeys {
    do {
      return try ProtoEncryptionKeys(serializedBytes: Array(bytes.readableBytesView))
    } catch {
      throw .invalidField("MessageMetadata.encryption_keys")
    }
  }

  /// The encoded keys; a key without its required fields is left out, as no reader could take it.
  private var encodedEncryptionKeys: [[UInt8]] {
    encryptionKeys.compactMap { try? $0.serializedBytes() }
  }

  var encodedSize: Int {
    var size =
      ProtobufSize.field(10, producerName) + ProtobufSize.field(16, sequenceID) + ProtobufSize.field(24, publishTimeMs)
    for property in properties { size += ProtobufSize.delimited(34, property.encodedSize) }
    if let replicatedFrom { size += ProtobufSize.field(42, replicatedFrom) }
    if let partitionKey { size += ProtobufSize.field(50, partitionKey) }
    for region in replicateTo { size += ProtobufSize.field(58, region) }
    if compression != .none { size += ProtobufSize.field(64, compression.rawValue) }
    if uncompressedSize != 0 { size += ProtobufSize.field(72, uncompressedSize) }
    if let numMessagesInBatch { size += ProtobufSize.field(88, numMessagesInBatch) }
    if eventTimeMs != 0 { size += ProtobufSize.field(96, eventTimeMs) }
    for key in encodedEncryptionKeys { size += ProtobufSize.delimited(106, key.count) }
    if let encryptionAlgorithm { size += ProtobufSize.field(114, encryptionAlgorithm) }
    if let encryptionParameter { size += ProtobufSize.field(122, encryptionParameter) }
    if let schemaVersion { size += ProtobufSize.field(130, schemaVersion) }
    if partitionKeyIsBase64 { size += ProtobufSize.field(136, true) }
    if let orderingKey { size += ProtobufSize.field(146, orderingKey) }
    if let deliverAtTimeMs { size += ProtobufSize.field(152, deliverAtTimeMs) }
    if let markerType { size += ProtobufSize.field(160, markerType) }
    if let txnLeastBits { size += ProtobufSize.field(176, txnLeastBits) }
    if let txnMostBits { size += ProtobufSize.field(184, txnMostBits) }
    if highestSequenceID != 0 { size += ProtobufSize.field(192, highestSequenceID) }
    if nullValue { size += ProtobufSize.field(200, true) }
    if let uuid { size += ProtobufSize.field(210, uuid) }
    if let numChunksFromMessage { size += ProtobufSize.field(216, numChunksFromMessage) }
    if let totalChunkMessageSize { size += ProtobufSize.field(224, totalChunkMessageSize) }
    if let chunkID { size += ProtobufSize.field(232, chunkID) }
    if nullPartitionKey { size += ProtobufSize.field(240, true) }
    for index in compactedBatchIndexes { size += ProtobufSize.field(248, index) }
    if let schemaID { size += ProtobufSize.field(258, schemaID) }
    return size
  }

  func write(to writer: inout ProtobufWriter) {
    writer.field(10, producerName)
    writer.field(16, sequenceID)
    writer.field(24, publishTimeMs)
    for property in properties {
      writer.field(34, UInt64(property.encodedSize))
      property.write(to: &writer)
    }
    if let replicatedFrom { writer.field(42, replicatedFrom) }
    if let partitionKey { writer.field(50, partitionKey) }
    for region in replicateTo { writer.field(58, region) }
    if compression != .none { writer.field(64, compression.rawValue) }
    if uncompressedSize != 0 { writer.field(72, uncompressedSize) }
    if let numMessagesInBatch { writer.field(88, numMessagesInBatch) }
    if eventTimeMs != 0 { writer.field(96, eventTimeMs) }
    for key in encodedEncryptionKeys {
      writer.field(106, UInt64(key.count))
      key.withUnsafeBytes { writer.copy($0) }
    }
    if let encryptionAlgorithm { writer.field(114, encryptionAlgorithm) }
    if let encryptionParameter { writer.field(122, encryptionParameter) }
    if let schemaVersion { writer.field(130, schemaVersion) }
    if partitionKeyIsBase64 { writer.field(136, true) }
    if let orderingKey { writer.field(146, orderingKey) }
    if let deliverAtTimeMs { writer.field(152, deliverAtTimeMs) }
    if let markerType { writer.field(160, markerType) }
    if let txnLeastBits { writer.field(176, txnLeastBits) }
    if let txnMostBits { writer.field(184, txnMostBits) }
    if highestSequenceID != 0 { writer.field(192, highestSequenceID) }
    if nullValue { writer.field(200, true) }
    if let uuid { writer.field(210, uuid) }
    if let numChunksFromMessage { writer.field(216, numChunksFromMessage) }
    if let totalChunkMessageSize { writer.field(224, totalChunkMessageSize) }
    if let chunkID { writer.field(232, chunkID) }
    if nullPartitionKey { writer.field(240, true) }
    for index in compactedBatchIndexes { writer.field(248, index) }
    if let schemaID { writer.field(258, schemaID) }
  }
}
