import PulsarWire

/// How a message is cut into chunks that each fit an entry.
struct ChunkPlan: Equatable {
  /// How many chunks there are, at least 1.
  let count: Int
  /// Bytes of the message in each chunk but the last, which has what is left.
  let bytesPerChunk: Int

  /// - Parameters:
  ///   - bytes: the message's bytes, as they are stored.
  ///   - limit: bytes that an entry may have.
  ///   - front: bytes of an entry before the payload, at most, if there are so many chunks.
  /// - Returns: `nil` if the limit leaves no room for a payload, or the message is larger than the protocol can say.
  init?(bytes: Int, limit: Int, front: (_ count: Int) -> Int) {
    guard bytes > 0, bytes <= Int(Int32.max) else { return nil }
    // The numbers of the most chunks that there can be take the most room.
    let room = limit - front(bytes)
    guard room > 0 else { return nil }
    bytesPerChunk = room
    count = (bytes + room - 1) / room
  }
}

extension MessageMetadata {
  /// Says that the entry is one chunk of a larger message.
  mutating func markChunk(_ index: Int, of count: Int, bytes: Int, uuid: String) {
    chunkID = Int32(clamping: index)
    numChunksFromMessage = Int32(clamping: count)
    totalChunkMessageSize = Int32(clamping: bytes)
    self.uuid = uuid
  }
}
