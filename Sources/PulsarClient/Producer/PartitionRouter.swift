import NIOCore

/// How a key is made a number that chooses its partition.
public enum KeyHashing: Sendable {
  /// Java's `String.hashCode`, the default of Pulsar's Java client.
  case javaString
  /// MurmurHash3, 32 bits, of the key's UTF-8 bytes.
  case murmur3

  /// The hash, from 0 to 2^31 - 1.
  public func hash(_ key: String) -> UInt32 {
    switch self {
    case .javaString:
      var hash: UInt32 = 0
      for unit in key.utf16 { hash = hash &* 31 &+ UInt32(unit) }
      return hash & 0x7fff_ffff
    case .murmur3: return Self.murmur3(Array(key.utf8)) & 0x7fff_ffff
    }
  }

  private static func murmur3(_ bytes: [UInt8]) -> UInt32 {
    func mix(_ word: UInt32) -> UInt32 { rotate(word &* 0xcc9e_2d51, 15) &* 0x1b87_3593 }
    func rotate(_ value: UInt32, _ bits: UInt32) -> UInt32 { value << bits | value >> (32 - bits) }
    var hash: UInt32 = 0
    var word: UInt32 = 0
    for (index, byte) in bytes.enumerated() {
      word |= UInt32(byte) << UInt32(8 * (index & 3))
      if index & 3 == 3 {
        hash = rotate(hash ^ mix(word), 13) &* 5 &+ 0xe654_6b64
        word = 0
      }
    }
    if bytes.count & 3 != 0 { hash ^= mix(word) }
    hash ^= UInt32(truncatingIfNeeded: bytes.count)
    hash = (hash ^ hash >> 16) &* 0x85eb_ca6b
    hash = (hash ^ hash >> 13) &* 0xc2b2_ae35
    return hash ^ hash >> 16
  }
}

/// Chooses a partition for each message: by its key, or one after the other.
///
/// Messages without a key stay with a partition for as long as a batch is filled there.
struct PartitionRouter {
  /// How many there are; more of them change where a key goes.
  var partitions: Int
  private let hashing: KeyHashing
  private let maxMessages: Int
  private let maxBytes: Int
  private let stay: TimeAmount
  private var current: Int
  private var messages = 0
  private var bytes = 0
  private var since = NIODeadline.uptimeNanoseconds(0)

  init(partitions: Int, configuration: ProducerConfiguration, start: Int) {
    self.partitions = partitions
    hashing = configuration.hashing
    maxMessages = configuration.batchingEnabled ? configuration.batchingMaxMessages : 1
    maxBytes = configuration.batchingMaxBytes
    stay = configuration.batchingMaxPublishDelay
    current = start % max(1, partitions)
  }

  mutating func route(key: String?, bytes size: Int, now: NIODeadline) -> Int {
    guard partitions > 1 else { return 0 }
    if let key { return Int(hashing.hash(key)) % partitions }
    if messages >= maxMessages || bytes >= maxBytes || (messages > 0 && now - since > stay) {
      current = (current + 1) % partitions
      messages = 0
      bytes = 0
    }
    if messages == 0 { since = now }
    messages += 1
    bytes += size
    return current
  }
}
