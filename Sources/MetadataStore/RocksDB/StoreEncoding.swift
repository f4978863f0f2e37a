/// A record as it is stored, with the lease that it is bound to (0: none).
struct StoredRecord: Equatable {
  var version: Int64
  var lease: Int64
  var value: [UInt8]

  init(version: Int64, lease: Int64, value: [UInt8]) {
    self.version = version
    self.lease = lease
    self.value = value
  }

  /// Version and lease, 8 bytes each, big-endian, then the value.
  init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= 16 else { return nil }
    version = StoreEncoding.integer(bytes[0..<8])
    lease = StoreEncoding.integer(bytes[8..<16])
    value = Array(bytes[16...])
  }

  var encoded: [UInt8] {
    StoreEncoding.bytes(version) + StoreEncoding.bytes(lease) + value
  }
}

/// The key space of the database: one letter, then what it stands for.
enum StoreEncoding {
  /// `k<key>` → record.
  static let recordPrefix = UInt8(ascii: "k")
  /// `l<lease><key>` → nothing: the keys to remove when the store opens.
  static let leasePrefix = UInt8(ascii: "l")
  /// `s<name>` → the last number of the sequence that may have been given.
  static let sequencePrefix = UInt8(ascii: "s")
  /// `r` → the version of the last change.
  static let revision: [UInt8] = [UInt8(ascii: "r")]

  static func record(_ key: String) -> [UInt8] { [recordPrefix] + Array(key.utf8) }

  static func lease(_ lease: Int64, _ key: String) -> [UInt8] { [leasePrefix] + bytes(lease) + Array(key.utf8) }

  static func sequence(_ name: String) -> [UInt8] { [sequencePrefix] + Array(name.utf8) }

  /// Without the letter.
  static func key(_ encoded: UnsafeRawBufferPointer) -> String { String(decoding: encoded.dropFirst(), as: UTF8.self) }

  static func bytes(_ number: Int64) -> [UInt8] { withUnsafeBytes(of: number.bigEndian, Array.init) }

  static func integer(_ bytes: some Collection<UInt8>) -> Int64 {
    Int64(bitPattern: bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) })
  }
}
