import NIOCore
import PulsarWire

/// What dispatch must know of a stored entry: read from its metadata without touching the payload.
struct EntryFacts {
  /// The bytes that the broker's own metadata takes at the beginning.
  var brokerMetadataLength = 0
  /// The messages in the entry, at least 1.
  var messages = 1
  var publishTimeMs: Int64 = 0
  /// 0: at once.
  var deliverAtMs: Int64 = 0
  /// A message of the broker to itself; consumers never see it.
  var isMarker = false
  var isChunk = false
  /// The hash of the key; 0 unless asked for.
  var keyHash: UInt16 = 0
}

extension EntryFacts {
  /// Reads the facts of `entry`, as stored.
  ///
  /// An entry that cannot be understood is one plain message: its consumer finds out and discards it, and nothing
  /// behind it waits for ever.
  /// - Parameter needsKey: whether `keyHash` is wanted.
  init(_ entry: ByteBuffer, needsKey: Bool) {
    guard let offset = try? EntryHeader.producerBytesOffset(in: entry) else { return }
    brokerMetadataLength = offset
    var producerBytes = entry
    producerBytes.moveReaderIndex(forwardBy: offset)
    guard let header = try? EntryHeader.parse(producerBytes),
      let metadata = try? MessageMetadataView(header.metadata)
    else { return }
    // No entry holds more messages than its bytes could tell apart: a wrong count must not eat up all permits.
    messages = min(metadata.messageCount, max(1, entry.readableBytes))
    publishTimeMs = metadata.publishTimeMs
    deliverAtMs = metadata.deliverAtTimeMs ?? 0
    isMarker = metadata.markerType != nil
    isChunk = metadata.isChunk
    if needsKey { keyHash = Self.keyHash(metadata) }
  }

  /// The key is the ordering key, else the partition key. A message without either is spread by its producer and
  /// sequence id, so that it does not pile up with all others like it on one consumer.
  private static func keyHash(_ metadata: MessageMetadataView) -> UInt16 {
    if let key = metadata.orderingKey { return key.withUnsafeReadableBytes { Murmur3.keyHash($0) } }
    if let key = metadata.partitionKey {
      guard metadata.partitionKeyIsBase64, let bytes = Base64.decode(key) else { return Murmur3.keyHash(key) }
      return bytes.withUnsafeBytes { Murmur3.keyHash($0) }
    }
    return Murmur3.keyHash("\(metadata.producerName)-\(metadata.sequenceID)")
  }
}

/// Base64 as clients write binary keys.
enum Base64 {
  /// The bytes that `text` stands for; nil if it is not base64.
  static func decode(_ text: String) -> [UInt8]? {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.utf8.count * 3 / 4)
    var bits: UInt32 = 0
    var held = 0
    for character in text.utf8 {
      let value: UInt32
      switch character {
      case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = UInt32(character - UInt8(ascii: "A"))
      case UInt8(ascii: "a")...UInt8(ascii: "z"): value = UInt32(character - UInt8(ascii: "a")) + 26
      case UInt8(ascii: "0")...UInt8(ascii: "9"): value = UInt32(character - UInt8(ascii: "0")) + 52
      case UInt8(ascii: "+"): value = 62
      case UInt8(ascii: "/"): value = 63
      case UInt8(ascii: "="): continue
      default: return nil
      }
      bits = bits << 6 | value
      held += 6
      if held >= 8 {
        held -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(held)))
      }
    }
    return bytes
  }
}
