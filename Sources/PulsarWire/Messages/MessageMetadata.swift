import NIOCore

/// The metadata of an entry in full (`MessageMetadata`), as producers write it and consumers read it.
///
/// A broker uses `MessageMetadataView` instead, and `MetadataRewriter` to change an entry that it only passes on: this
/// type drops fields that it does not know.
public struct MessageMetadata: Hashable, Sendable {
  /// Name of the producer that created the message.
  public var producerName: String
  /// Sequence id of the entry's first message.
  public var sequenceID: UInt64
  /// When the producer published, in milliseconds since 1970.
  public var publishTimeMs: Int64
  /// The message's properties, in order.
  public var properties: [MessageProperty] = []
  /// The region that the message came from, for a replicated one.
  public var replicatedFrom: String?
  /// The key by which the message is routed and ordered.
  public var partitionKey: String?
  /// The regions that the producer chose; empty leaves that to the policies.
  public var replicateTo: [String] = []
  /// How the payload is compressed.
  public var compression: CompressionType = .none
  /// Size of the payload before compression, in bytes; 0 if it is not stated.
  public var uncompressedSize: UInt32 = 0
  /// Set on a batch: how many messages it has.
  public var numMessagesInBatch: Int32?
  /// The application's time, in milliseconds since 1970; 0 for none.
  public var eventTimeMs: Int64 = 0
  /// Keys of an encrypted payload, each encrypted for a reader.
  public var encryptionKeys: [ProtoEncryptionKeys] = []
  /// Algorithm of the encryption.
  public var encryptionAlgorithm: String?
  /// Parameter of the encryption.
  public var encryptionParameter: ByteBuffer?
  /// Version of the schema that the payload was written with.
  public var schemaVersion: ByteBuffer?
  /// Whether `partitionKey` is base64 of the actual key.
  public var partitionKeyIsBase64 = false
  /// The key by which a Key_Shared subscription orders, if other than the partition key.
  public var orderingKey: ByteBuffer?
  /// When a delayed message becomes visible, in milliseconds since 1970.
  public var deliverAtTimeMs: Int64?
  /// Set on a marker; its kind.
  public var markerType: Int32?
  /// Lower half of the transaction id.
  public var txnLeastBits: UInt64?
  /// Upper half of the transaction id.
  public var txnMostBits: UInt64?
  /// Sequence id of a batch's last message; 0 if it is not stated.
  public var highestSequenceID: UInt64 = 0
  /// Whether the message has no value.
  public var nullValue = false
  /// Id common to the chunks of one message.
  public var uuid: String?
  /// Chunked messages: how many chunks there are.
  public var numChunksFromMessage: Int32?
  /// Chunked messages: bytes of all chunks.
  public var totalChunkMessageSize: Int32?
  /// Chunked messages: which chunk this is, from 0.
  public var chunkID: Int32?
  /// Whether the message has no key, as opposed to an empty one.
  public var nullPartitionKey = false
  /// Indexes of a batch's messages that survived compaction.
  public var compactedBatchIndexes: [Int32] = []
  /// Id of the schema in a registry outside.
  public var schemaID: ByteBuffer?

  /// Creates metadata with the fields that the protocol requires.
  public init(producerName: String, sequenceID: UInt64, publishTimeMs: Int64) {
    self.producerName = producerName
    self.sequenceID = sequenceID
    self.publishTimeMs = publishTimeMs
  }

  /// Decodes the bytes of one `MessageMetadata`.
  public init(decoding bytes: ByteBuffer) throws(PulsarWireError) {
    self = try bytes.parse { reader throws(PulsarWireError) in try MessageMetadata.decode(&reader) }
  }

  /// Appends the encoded metadata, without a size in front.
  public func encode(into buffer: inout ByteBuffer) {
    buffer.writeProtobuf(size: encodedSize) { write(to: &$0) }
  }
}
