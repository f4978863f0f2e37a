import Checksums
import NIOCore

/// Makes the front of an entry as a producer sends it.
public enum EntryEncoder {
  /// Bytes that ``encode(_:payload:into:)`` appends for this metadata.
  public static func frontSize(_ metadata: MessageMetadata) -> Int { 10 + metadata.encodedSize }

  /// Appends `[0x0e01 crc32c][metadataSize][metadata]` for a payload that is to follow as its own buffer.
  ///
  /// The checksum covers the payload as well, which is read once and not copied.
  public static func encode(_ metadata: MessageMetadata, payload: ByteBuffer, into buffer: inout ByteBuffer) {
    let start = buffer.writerIndex
    let size = metadata.encodedSize
    buffer.writeProtobuf(size: 10 + size) { writer in
      writer.uint16(PulsarProtocol.checksumMagic)
      writer.uint32(0)
      writer.uint32(UInt32(size))
      metadata.write(to: &writer)
    }
    let front = buffer.withUnsafeReadableBytes { bytes in
      CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[(bytes.count - 4 - size)...]))
    }
    let checksum = CRC32C.checksum(payload, extending: front)
    buffer.setInteger(checksum, at: start + 2)
  }
}
