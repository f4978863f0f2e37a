import NIOCore

/// What stands in front of each message of a batch (`SingleMessageMetadata`).
public struct SingleMessageMetadata: Hashable, Sendable {
  /// The message's properties, in order.
  public var properties: [MessageProperty]
  /// The key by which the message is routed and ordered.
  public var partitionKey: String?
  /// Bytes of the message's payload. `BatchBuilder` sets it.
  public var payloadSize: Int32
  /// Whether compaction removed the message: it must not be delivered.
  public var compactedOut: Bool
  /// The application's time, in milliseconds since 1970; 0 for none.
  public var eventTimeMs: Int64
  /// Whether `partitionKey` is base64 of the actual key.
  public var partitionKeyIsBase64: Bool
  /// The key by which a Key_Shared subscription orders, if other than the partition key.
  public var orderingKey: ByteBuffer?
  /// The message's own sequence id.
  public var sequenceID: UInt64?
  /// Whether the message has no value.
  public var nullValue: Bool
  /// Whether the message has no key, as opposed to an empty one.
  public var nullPartitionKey: Bool

  /// Creates the metadata of one message.
  public init(
    properties: [MessageProperty] = [], partitionKey: String? = nil, payloadSize: Int32 = 0,
    compactedOut: Bool = false, eventTimeMs: Int64 = 0, partitionKeyIsBase64: Bool = false,
    orderingKey: ByteBuffer? = nil, sequenceID: UInt64? = nil, nullValue: Bool = false, nullPartitionKey: Bool = false
  ) {
    self.properties = properties
    self.partitionKey = partitionKey
    self.payloadSize = payloadSize
    self.compactedOut = compactedOut
    self.eventTimeMs = eventTimeMs
    self.partitionKeyIsBase64 = partitionKeyIsBase64
    self.orderingKey = orderingKey
    self.sequenceID = sequenceID
    self.nullValue = nullValue
    self.nullPartitionKey = nullPartitionKey
  }

  /// Decodes the bytes of one `SingleMessageMetadata`.
  public init(decoding bytes: ByteBuffer) throws(PulsarWireError) {
    self = try bytes.parse { reader throws(PulsarWireError) in try SingleMessageMetadata.decode(&reader) }
  }

  /// Appends the encoded metadata, without a size in front.
  public func encode(into buffer: inout ByteBuffer) {
    buffer.writeProtobuf(size: encodedSize) { write(to: &$0) }
  }
}

extension SingleMessageMetadata {
  static func decode(_ reader: inout ProtobufReader) throws(PulsarWireError) -> SingleMessageMetadata {
    var metadata = SingleMessageMetadata()
    var hasSize = false
    while let tag = try reader.tag() {
      switch tag {
      case 10:
        var pair = try reader.nested()
        metadata.properties.append(try MessageProperty.decode(&pair))
      case 18: metadata.partitionKey = try reader.string("SingleMessageMetadata.partition_key")
      case 24:
        metadata.payloadSize = try reader.int32()
        hasSize = true
      case 32: metadata.compactedOut = try reader.bool()
      case 40: metadata.eventTimeMs = try reader.int64()
      case 48: metadata.partitionKeyIsBase64 = try reader.bool()
      case 58: metadata.orderingKey = try reader.buffer()
      case 64: metadata.sequenceID = try reader.varint()
      case 72: metadata.nullValue = try reader.bool()
      case 80: metadata.nullPartitionKey = try reader.bool()
      default: try reader.skip(tag)
      }
    }
    guard hasSize else { throw .missingField("SingleMessageMetadata.payload_size") }
    return metadata
  }

  var encodedSize: Int {
    var size = ProtobufSize.field(24, payloadSize)
    for property in properties { size += ProtobufSize.delimited(10, property.encodedSize) }
    if let partitionKey { size += ProtobufSize.field(18, partitionKey) }
    if compactedOut { size += ProtobufSize.field(32, true) }
    if eventTimeMs != 0 { size += ProtobufSize.field(40, eventTimeMs) }
    if partitionKeyIsBase64 { size += ProtobufSize.field(48, true) }
    if let orderingKey { size += ProtobufSize.field(58, orderingKey) }
    if let sequenceID { size += ProtobufSize.field(64, sequenceID) }
    if nullValue { size += ProtobufSize.field(72, true) }
    if nullPartitionKey { size += ProtobufSize.field(80, true) }
    return size
  }

  func write(to writer: inout ProtobufWriter) {
    for property in properties {
      writer.field(10, UInt64(property.encodedSize))
      property.write(to: &writer)
    }
    if let partitionKey { writer.field(18, partitionKey) }
    writer.field(24, payloadSize)
    if compactedOut { writer.field(32, true) }
    if eventTimeMs != 0 { writer.field(40, eventTimeMs) }
    if partitionKeyIsBase64 { writer.field(48, true) }
    if let orderingKey { writer.field(58, orderingKey) }
    if let sequenceID { writer.field(64, sequenceID) }
    if nullValue { writer.field(72, true) }
    if nullPartitionKey { writer.field(80, true) }
  }
}
