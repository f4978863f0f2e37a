import CChecksums

/// CRC32C (Castagnoli): the checksum of entries, ledgers and journals.
///
/// Values are the standard ones ("123456789" has e3069283), and 0 is the checksum of nothing. The implementation is chosen
/// once for the processor: CRC instructions in three streams where it has them, tables where it has not.
public enum CRC32C {
  /// The checksum of `bytes`, or with `extending` of the bytes that had that checksum followed by `bytes`.
  public static func checksum(_ bytes: UnsafeRawBufferPointer, extending crc: UInt32 = 0) -> UInt32 {
    meridian_crc32c(crc, bytes.baseAddress, bytes.count)
  }

  /// The checksum of A followed by B, from the checksums of both. Takes tens of nanoseconds, whatever the lengths.
  ///
  /// - Parameter lengthOfB: bytes of B, not negative.
  public static func combine(_ a: UInt32, _ b: UInt32, lengthOfB: Int) -> UInt32 {
    meridian_crc32c_shift(a, UInt64(lengthOfB)) ^ b
  }

  /// The checksum of B, from the checksum of A followed by B and that of A: the reverse of `combine`.
  ///
  /// - Parameter lengthOfSuffix: bytes of B, not negative.
  public static func suffix(of whole: UInt32, prefix: UInt32, lengthOfSuffix: Int) -> UInt32 {
    meridian_crc32c_shift(prefix, UInt64(lengthOfSuffix)) ^ whole
  }

  /// Which implementation the processor got: "sse4.2+pclmul", "arm64+crc" or "software".
  public static var implementation: String { String(cString: meridian_crc32c_implementation()) }
}
