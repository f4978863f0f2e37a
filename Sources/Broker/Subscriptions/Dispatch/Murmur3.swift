/// MurmurHash3, 32 bits, as Pulsar's clients and brokers use it for keys: consumers that ask for fixed hash ranges rely
/// on these very values.
enum Murmur3 {
  /// The non-negative hash that Pulsar calls `Murmur3_32Hash.makeHash`.
  static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt32 { hash32(bytes) & 0x7fff_ffff }

  /// The 16-bit hash that decides which consumer of a Key_Shared subscription gets a key.
  static func keyHash(_ bytes: UnsafeRawBufferPointer) -> UInt16 { UInt16(truncatingIfNeeded: hash(bytes)) }

  /// The hash of a string's UTF-8 bytes.
  static func hash(_ string: String) -> UInt32 {
    var string = string
    return string.withUTF8 { hash(UnsafeRawBufferPointer($0)) }
  }

  static func keyHash(_ string: String) -> UInt16 { UInt16(truncatingIfNeeded: hash(string)) }

  /// The plain algorithm over all 32 bits.
  static func hash32(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
    let c1: UInt32 = 0xcc9e_2d51
    let c2: UInt32 = 0x1b87_3593
    var h = seed
    let whole = bytes.count & ~3
    var offset = 0
    while offset < whole {
      var k = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
      k = rotate(k &* c1, 15) &* c2
      h = rotate(h ^ k, 13) &* 5 &+ 0xe654_6b64
      offset += 4
    }
    var tail: UInt32 = 0
    for index in stride(from: bytes.count - 1, through: whole, by: -1) {
      tail = tail << 8 | UInt32(bytes[index])
    }
    if whole < bytes.count { h ^= rotate(tail &* c1, 15) &* c2 }
    h ^= UInt32(truncatingIfNeeded: bytes.count)
    h = (h ^ (h >> 16)) &* 0x85eb_ca6b
    h = (h ^ (h >> 13)) &* 0xc2b2_ae35
    return h ^ (h >> 16)
  }

  private static func rotate(_ value: UInt32, _ bits: UInt32) -> UInt32 { value << bits | value >> (32 - bits) }
}
