import Compression

/// How a payload is compressed, as the metadata says; a value that this version does not know is kept.
public struct CompressionType: RawRepresentable, Hashable, Sendable {
  /// The protocol's number.
  public var rawValue: Int32

  /// The type with the protocol's number.
  public init(rawValue: Int32) {
    self.rawValue = rawValue
  }

  /// The type of a codec.
  public init(_ codec: CompressionCodec) {
    rawValue = Int32(codec.rawValue)
  }

  /// Not compressed.
  public static let none = CompressionType(rawValue: 0)
  /// One LZ4 block.
  public static let lz4 = CompressionType(rawValue: 1)
  /// A zlib stream.
  public static let zlib = CompressionType(rawValue: 2)
  /// A zstd frame.
  public static let zstd = CompressionType(rawValue: 3)
  /// Snappy, which Meridian passes on but does not decompress.
  public static let snappy = CompressionType(rawValue: 4)

  /// What decompresses it, or nil if nothing here does.
  public var codec: CompressionCodec? { UInt8(exactly: rawValue).flatMap { CompressionCodec(rawValue: $0) } }
}
