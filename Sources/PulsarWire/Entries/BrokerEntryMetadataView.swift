import NIOCore

/// What the broker stores in front of a producer's bytes (`BrokerEntryMetadata`).
public struct BrokerEntryMetadataView: Hashable, Sendable {
  /// When the broker took the entry, in milliseconds since 1970.
  public var brokerTimestampMs: Int64?
  /// Zero-based index of the entry's last message in its topic partition.
  public var index: Int64?
  /// Messages published in this region up to and including this entry.
  public var localMessages: Int64?
  /// Bytes of producers' data published in this region up to and including this entry.
  public var localBytes: Int64?
  /// Set on an entry that came from another region.
  public var origin: OriginStamp?

  /// Creates the metadata.
  public init(
    brokerTimestampMs: Int64? = nil, index: Int64? = nil, localMessages: Int64? = nil, localBytes: Int64? = nil,
    origin: OriginStamp? = nil
  ) {
    self.brokerTimestampMs = brokerTimestampMs
    self.index = index
    self.localMessages = localMessages
    self.localBytes = localBytes
    self.origin = origin
  }

  /// Appends `[0x0e02][size][metadata]`, the front of a stored entry.
  public func encode(into buffer: inout ByteBuffer) {
    let size = encodedSize
    buffer.writeProtobuf(size: 6 + size) { writer in
      writer.uint16(PulsarProtocol.brokerEntryMetadataMagic)
      writer.uint32(UInt32(size))
      write(to: &writer)
    }
  }
}

extension BrokerEntryMetadataView {
  static func decode(_ reader: inout ProtobufReader) throws(PulsarWireError) -> BrokerEntryMetadataView {
    var metadata = BrokerEntryMetadataView()
    while let tag = try reader.tag() {
      switch tag {
      case 8: metadata.brokerTimestampMs = try reader.int64()
      case 16: metadata.index = try reader.int64()
      case 8000: metadata.localMessages = try reader.int64()
      case 8008: metadata.localBytes = try reader.int64()
      case 8018:
        var nested = try reader.nested()
        metadata.origin = try OriginStamp.decode(&nested, merging: metadata.origin)
      default: try reader.skip(tag)
      }
    }
    return metadata
  }

  var encodedSize: Int {
    var size = 0
    if let brokerTimestampMs { size += ProtobufSize.field(8, brokerTimestampMs) }
    if let index { size += ProtobufSize.field(16, index) }
    if let localMessages { size += ProtobufSize.field(8000, localMessages) }
    if let localBytes { size += ProtobufSize.field(8008, localBytes) }
    if let origin { size += ProtobufSize.delimited(8018, origin.encodedSize) }
    return size
  }

  func write(to writer: inout ProtobufWriter) {
    if let brokerTimestampMs { writer.field(8, brokerTimestampMs) }
    if let index { writer.field(16, index) }
    if let localMessages { writer.field(8000, localMessages) }
    if let localBytes { writer.field(8008, localBytes) }
    if let origin {
      writer.field(8018, UInt64(origin.encodedSize))
      origin.write(to: &writer)
    }
  }
}
