import Checksums
import NIOCore

/// Changes the metadata of an entry on its way to another region.
///
/// Fields that this version does not know survive byte for byte. The payload is neither copied nor read: the new
/// checksum follows from the old one, so damage that the old one would have shown, the new one shows too.
public enum MetadataRewriter {
  /// An entry in two parts, to be written one behind the other.
  public struct Parts: Hashable, Sendable {
    /// `[0x0e01 crc32c]? [metadataSize][metadata]`; the checksum is there if the original had one.
    public var header: ByteBuffer
    /// The original's payload, a slice of it.
    public var payload: ByteBuffer

    /// Bytes of both parts.
    public var readableBytes: Int { header.readableBytes + payload.readableBytes }
  }

  /// The entry without the broker's part and the transaction id, with the given changes.
  ///
  /// - Parameters:
  ///   - replicatedFrom: new value of `replicated_from`; nil keeps what is there.
  ///   - schemaVersion: new value of `schema_version`; nil keeps what is there.
  ///   - appendingProperty: a property to add. Properties of the same key that the entry already has are removed,
  ///     since receivers take the first.
  public static func rewrite(
    entry: ByteBuffer, replicatedFrom: String? = nil, schemaVersion: ByteBuffer? = nil,
    appendingProperty: (String, String)? = nil
  ) throws(PulsarWireError) -> Parts {
    try rewrite(
      EntryHeader.parse(entry), replicatedFrom: replicatedFrom, schemaVersion: schemaVersion,
      appendingProperty: appendingProperty)
  }

  /// The same for an entry whose header is parsed.
  public static func rewrite(
    _ entry: EntryHeader, replicatedFrom: String? = nil, schemaVersion: ByteBuffer? = nil,
    appendingProperty: (String, String)? = nil
  ) throws(PulsarWireError) -> Parts {
    let old = entry.metadata
    let kept = try keptRanges(
      of: old, dropReplicatedFrom: replicatedFrom != nil, dropSchemaVersion: schemaVersion != nil,
      dropPropertyKey: appendingProperty?.0)
    let property = appendingProperty.map { MessageProperty(key: $0.0, value: $0.1) }
    var size = kept.reduce(0) { $0 + $1.count }
    if let property { size += ProtobufSize.delimited(34, property.encodedSize) }
    if let replicatedFrom { size += ProtobufSize.field(42, replicatedFrom) }
    if let schemaVersion { size += ProtobufSize.field(130, schemaVersion) }

    let front = entry.checksum == nil ? 0 : 6
    var header = ByteBuffer()
    header.writeProtobuf(size: front + 4 + size) { writer in
      if front != 0 {
        writer.uint16(PulsarProtocol.checksumMagic)
        writer.uint32(0)
      }
      writer.uint32(UInt32(size))
      old.withUnsafeReadableBytes { bytes in
        for range in kept { writer.copy(UnsafeRawBufferPointer(rebasing: bytes[range])) }
      }
      if let property {
        writer.field(34, UInt64(property.encodedSize))
        property.write(to: &writer)
      }
      if let replicatedFrom { writer.field(42, replicatedFrom) }
      if let schemaVersion { writer.field(130, schemaVersion) }
    }
    if let checksum = entry.checksum {
      let length = entry.payloadRange.count
      let oldFront = entry.entry.subslice(entry.metadataRange.lowerBound - 4..<entry.metadataRange.upperBound)
      let payloadChecksum = CRC32C.suffix(of: checksum, prefix: CRC32C.checksum(oldFront), lengthOfSuffix: length)
      let newFront = CRC32C.checksum(header.subslice(front..<header.readableBytes))
      header.setInteger(CRC32C.combine(newFront, payloadChecksum, lengthOfB: length), at: header.readerIndex + 2)
    }
    return Parts(header: header, payload: entry.payload)
  }

  /// The stretches of the metadata that stay as they are.
  private static func keptRanges(
    of metadata: ByteBuffer, dropReplicatedFrom: Bool, dropSchemaVersion: Bool, dropPropertyKey: String?
  ) throws(PulsarWireError) -> [Range<Int>] {
    try metadata.parse { reader throws(PulsarWireError) in
      var kept: [Range<Int>] = []
      var start = 0
      var position = 0
      while let tag = try reader.tag() {
        let drop: Bool
        switch tag {
        case 34:
          let key = dropPropertyKey
          var pair = try reader.nested()
          drop = try key.map { key throws(PulsarWireError) in try MessageProperty.hasKey(key, &pair) } ?? false
        case 42:
          try reader.skip(tag)
          drop = dropReplicatedFrom
        case 130:
          try reader.skip(tag)
          drop = dropSchemaVersion
        case 176, 184:
          try reader.skip(tag)
          drop = true
        default:
          try reader.skip(tag)
          drop = false
        }
        if drop {
          if start < position { kept.append(start..<position) }
          start = reader.position
        }
        position = reader.position
      }
      if start < position { kept.append(start..<position) }
      return kept
    }
  }
}
