import NIOCore

/// A way to compress payloads; the raw values are those of the Pulsar protocol.
///
/// LZ4 is one raw block, zlib a zlib stream, zstd one frame: what other Pulsar clients write and read.
public enum CompressionCodec: UInt8, Hashable, Sendable, CaseIterable {
  /// The bytes as they are.
  case none = 0
  /// LZ4, one block without a frame.
  case lz4 = 1
  /// A zlib stream (RFC 1950).
  case zlib = 2
  /// A zstd frame.
  case zstd = 3

  /// Compresses the readable bytes.
  ///
  /// - Parameter level: effort in the codec's own scale (zlib 1...9, zstd 1...19; LZ4 has none), nil for its default.
  ///   Values outside the scale are brought into it.
  /// - Throws: `CompressionError`.
  public func compress(_ bytes: ByteBuffer, level: Int? = nil) throws -> ByteBuffer {
    switch self {
    case .none: bytes
    case .lz4: try LZ4.compress(bytes)
    case .zlib: try Zlib.compress(bytes, level: level)
    case .zstd: try Zstd.compress(bytes, level: level)
    }
  }

  /// Decompresses the readable bytes to exactly `uncompressedSize`.
  ///
  /// - Parameters:
  ///   - uncompressedSize: the size that the sender states. Not trusted: it is checked against the limit before memory
  ///     is allocated, and against the data.
  ///   - limit: most bytes that the caller is ready to hold.
  /// - Throws: `CompressionError`.
  public func decompress(_ bytes: ByteBuffer, uncompressedSize: Int, limit: Int) throws -> ByteBuffer {
    guard uncompressedSize >= 0, uncompressedSize <= limit else {
      throw CompressionError.sizeBeyondLimit(size: uncompressedSize, limit: limit)
    }
    switch self {
    case .none:
      guard bytes.readableBytes == uncompressedSize else {
        throw CompressionError.sizeMismatch(stated: uncompressedSize, actual: bytes.readableBytes)
      }
      return bytes
    case .lz4: return try LZ4.decompress(bytes, uncompressedSize: uncompressedSize)
    case .zlib: return try Zlib.decompress(bytes, uncompressedSize: uncompressedSize)
    case .zstd: return try Zstd.decompress(bytes, uncompressedSize: uncompressedSize)
    }
  }
}
