/// How the entries of a ledger are protected. The raw value is the one of BookKeeper's ledger metadata.
public enum LedgerDigest: UInt8, Sendable, CaseIterable {
  /// CRC-32 (IEEE) in an 8-byte field.
  case crc32 = 1
  /// HMAC-SHA1, keyed by the ledger's password.
  case hmac = 2
  /// CRC-32C (Castagnoli): the default of Pulsar and of Meridian.
  case crc32c = 3
  /// No digest.
  case dummy = 4

  /// Number of bytes that the digest takes in an entry.
  public var byteCount: Int {
    switch self {
    case .crc32: 8
    case .hmac: 20
    case .crc32c: 4
    case .dummy: 0
    }
  }
}
