import NIOCore

/// Puts messages together that their producer cut into chunks.
///
/// Chunks of one message come in order; those of several may be mixed. What never becomes complete is dropped when
/// others need the room.
struct ChunkAssembler {
  struct Message {
    var payload: ByteBuffer
    var entries: [AckTracker.Entry]
  }

  enum Outcome {
    /// Other chunks are awaited.
    case incomplete
    /// That was the last one.
    case complete(Message)
    /// The chunk belongs to nothing that is being put together.
    case orphan
  }

  private struct Partial {
    var parts: [ByteBuffer] = []
    var bytes = 0
    var entries: [AckTracker.Entry] = []
    var order: UInt64
  }

  private let maxPending: Int
  private let maxBytes: Int
  private var partials: [String: Partial] = [:]
  private var nextOrder: UInt64 = 0

  init(maxPending: Int, maxBytes: Int) {
    self.maxPending = max(1, maxPending)
    self.maxBytes = maxBytes
  }

  mutating func add(
    uuid: String, chunk: Int, of count: Int, total: Int = 0, payload: ByteBuffer, entry: AckTracker.Entry
  ) -> Outcome {
    // What says at once that it will be too large is not gathered in vain.
    guard total <= maxBytes else { return .orphan }
    if chunk == 0 {
      if partials[uuid] == nil, partials.count >= maxPending,
        let oldest = partials.min(by: { $0.value.order < $1.value.order })
      {
        partials[oldest.key] = nil
      }
      partials[uuid] = Partial(order: nextOrder)
      nextOrder += 1
    }
    guard var partial = partials[uuid], chunk >= 0, chunk < count else { return .orphan }
    if chunk < partial.parts.count { return .incomplete }  // delivered again
    guard chunk == partial.parts.count, partial.bytes + payload.readableBytes <= maxBytes else {
      partials[uuid] = nil
      return .orphan
    }
    partial.parts.append(payload)
    partial.bytes += payload.readableBytes
    partial.entries.append(entry)
    guard chunk == count - 1 else {
      partials[uuid] = partial
      return .incomplete
    }
    partials[uuid] = nil
    var whole = ByteBufferAllocator().buffer(capacity: partial.bytes)
    for part in partial.parts { whole.writeImmutableBuffer(part) }
    return .complete(Message(payload: whole, entries: partial.entries))
  }

  /// The first chunk of all that are being put together.
  var oldest: AckTracker.Entry? { partials.values.compactMap(\.entries.first).min() }

  /// Forgets what is not complete: it will be delivered again.
  mutating func reset() {
    partials.removeAll()
  }
}
