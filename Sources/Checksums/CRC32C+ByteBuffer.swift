import NIOCore

extension CRC32C {
  /// The checksum of the buffer's readable bytes, or with `extending` of what had that checksum followed by them.
  public static func checksum(_ buffer: ByteBuffer, extending crc: UInt32 = 0) -> UInt32 {
    buffer.withUnsafeReadableBytes { checksum($0, extending: crc) }
  }

  /// The checksum of an array's bytes, or with `extending` of what had that checksum followed by them.
  public static func checksum(_ bytes: [UInt8], extending crc: UInt32 = 0) -> UInt32 {
    bytes.withUnsafeBytes { checksum($0, extending: crc) }
  }
}
