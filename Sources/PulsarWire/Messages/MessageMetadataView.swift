import NIOCore

/// The fields of a message's metadata that a broker looks at, read by hand over the encoded bytes.
///
/// Numbers are decoded once; text stays where it is until somebody asks for it. The buffer is kept, not copied.
public struct MessageMetadataView: Hashable, Sendable {
  /// The encoded `MessageMetadata`.
  public private(set) var encoded: ByteBuffer
  /// Sequence id of the entry's first message.
  public private(set) var sequenceID: UInt64 = 0
  /// When the producer published, in milliseconds since 1970 by its clock.
  public private(set) var publishTimeMs: Int64 = 0
  /// Sequence id of a batch's last message; 0 if the producer did not say.
  public private(set) var highestSequenceID: UInt64 = 0
  /// Present on a batch. Untrusted: may be 0 or negative; `messageCount` is safe.
  public private(set) var numMessagesInBatch: Int32?
  /// How the payload is compressed.
  public private(set) var compression: CompressionType = .none
  /// Size of the payload before compression, in bytes. Untrusted.
  public private(set) var uncompressedSize: UInt32 = 0
  /// The application's time, in milliseconds since 1970; 0 for none.
  public private(set) var eventTimeMs: Int64 = 0
  /// When a delayed message becomes visible, in milliseconds since 1970.
  public private(set) var deliverAtTimeMs: Int64?
  /// Set on a marker; its kind.
  public private(set) var markerType: Int32?
  /// Chunked messages: how many chunks there are.
  public private(set) var numChunksFromMessage: Int32?
  /// Chunked messages: bytes of all chunks.
  public private(set) var totalChunkMessageSize: Int32?
  /// Chunked messages: which chunk this is, from 0.
  public private(set) var chunkID: Int32?
  /// Whether the message has no value (a tombstone in a compacted topic).
  public private(set) var nullValue = false
  /// Whether the message has no key, as opposed to an empty one.
  public private(set) var nullPartitionKey = false
  /// Whether `partitionKey` is base64 of the actual key.
  public private(set) var partitionKeyIsBase64 = false
  /// Whether the payload is encrypted.
  public private(set) var isEncrypted = false
  /// Whether the message belongs to a transaction.
  public private(set) var hasTransaction = false

  private var producerNameRange = 0..<0
  private var replicatedFromRange: Range<Int>?
  private var partitionKeyRange: Range<Int>?
  private var orderingKeyRange: Range<Int>?
  private var schemaVersionRange: Range<Int>?
  private var uuidRange: Range<Int>?
  private var hasReplicateTo = false
  /// Whether the message has at least one property.
  public private(set) var hasProperties = false

  /// Reads the metadata. Throws for malformed bytes, an absent required field, or text that is not UTF-8.
  public init(_ encoded: ByteBuffer) throws(PulsarWireError) {
    self.encoded = encoded
    var view = self
    try encoded.parse { reader throws(PulsarWireError) in try view.read(&reader) }
    self = view
  }

  /// Name of the producer that created the message.
  public var producerName: String { encoded.text(producerNameRange) }
  /// The region that the message came from, for a replicated one.
  public var replicatedFrom: String? { replicatedFromRange.map { encoded.text($0) } }
  /// Whether the message came from another region.
  public var isReplicated: Bool { replicatedFromRange != nil }
  /// The regions that the producer chose, or nil if it left that to the policies.
  public var replicateTo: [String]? { hasReplicateTo ? readReplicateTo() : nil }
  /// The key by which messages are routed and ordered.
  public var partitionKey: String? { partitionKeyRange.map { encoded.text($0) } }
  /// The key by which a Key_Shared subscription orders, if other than the partition key.
  public var orderingKey: ByteBuffer? { orderingKeyRange.map { encoded.subslice($0) } }
  /// Version of the schema that the payload was written with.
  public var schemaVersion: ByteBuffer? { schemaVersionRange.map { encoded.subslice($0) } }
  /// Id common to the chunks of one message.
  public var uuid: String? { uuidRange.map { encoded.text($0) } }
  /// Messages in the entry, at least 1 whatever the producer says.
  public var messageCount: Int { Int(max(1, numMessagesInBatch ?? 1)) }
  /// Whether the entry is one chunk of a message in more than one.
  public var isChunk: Bool { (numChunksFromMessage ?? 0) > 1 }

  /// All properties in order.
  public var properties: [MessageProperty] {
    guard hasProperties else { return [] }
    let properties = try? encoded.parse { reader throws(PulsarWireError) in
      var properties: [MessageProperty] = []
      while let tag = try reader.tag() {
        guard tag == 34 else {
          try reader.skip(tag)
          continue
        }
        var pair = try reader.nested()
        properties.append(try MessageProperty.decode(&pair))
      }
      return properties
    }
    return properties ?? []
  }

  /// Value of the first property with the key, as receivers of replicated messages are to read it.
  public func property(_ key: String) -> String? {
    guard hasProperties else { return nil }
    return try? encoded.parse { reader throws(PulsarWireError) -> String? in
      while let tag = try reader.tag() {
        guard tag == 34 else {
          try reader.skip(tag)
          continue
        }
        var pair = try reader.nested()
        var probe = pair
        if try MessageProperty.hasKey(key, &probe) { return try MessageProperty.decode(&pair).value }
      }
      return nil
    }
  }

  private mutating func read(_ reader: inout ProtobufReader) throws(PulsarWireError) {
    var hasName = false
    var hasSequence = false
    var hasTime = false
    while let tag = try reader.tag() {
      switch tag {
      case 10:
        producerNameRange = try reader.textRange("MessageMetadata.producer_name")
        hasName = true
      case 16:
        sequenceID = try reader.varint()
        hasSequence = true
      case 24:
        publishTimeMs = try reader.int64()
        hasTime = true
      case 34:
        var pair = try reader.nested()
        try MessageProperty.check(&pair)
        hasProperties = true
      case 42: replicatedFromRange = try reader.textRange("MessageMetadata.replicated_from")
      case 50: partitionKeyRange = try reader.textRange("MessageMetadata.partition_key")
      case 58:
        _ = try reader.textRange("MessageMetadata.replicate_to")
        hasReplicateTo = true
      case 64: compression = CompressionType(rawValue: try reader.int32())
      case 72: uncompressedSize = try reader.uint32()
      case 88: numMessagesInBatch = try reader.int32()
      case 96: eventTimeMs = try reader.int64()
      case 106:
        try reader.skip(tag)
        isEncrypted = true
      case 130: schemaVersionRange = try reader.range()
      case 136: partitionKeyIsBase64 = try reader.bool()
      case 146: orderingKeyRange = try reader.range()
      case 152: deliverAtTimeMs = try reader.int64()
      case 160: markerType = try reader.int32()
      case 176, 184:
        try reader.skip(tag)
        hasTransaction = true
      case 192: highestSequenceID = try reader.varint()
      case 200: nullValue = try reader.bool()
      case 210: uuidRange = try reader.textRange("MessageMetadata.uuid")
      case 216: numChunksFromMessage = try reader.int32()
      case 224: totalChunkMessageSize = try reader.int32()
      case 232: chunkID = try reader.int32()
      case 240: nullPartitionKey = try reader.bool()
      default: try reader.skip(tag)
      }
    }
    guard hasName else { throw .missingField("MessageMetadata.producer_name") }
    guard hasSequence else { throw .missingField("MessageMetadata.sequence_id") }
    guard hasTime else { throw .missingField("MessageMetadata.publish_time") }
  }

  private func readReplicateTo() -> [String] {
    let regions = try? encoded.parse { reader throws(PulsarWireError) in
      var regions: [String] = []
      while let tag = try reader.tag() {
        if tag == 58 {
          regions.append(try reader.string("MessageMetadata.replicate_to"))
        } else {
          try reader.skip(tag)
        }
      }
      return regions
    }
    return regions ?? []
  }
}
