import NIOCore

/// Plain writes that wait for encryption, and their combination into full records.
///
/// Small writes are copied together into records of 16 KiB, since each record costs about as much to encrypt as a
/// kilobyte does; large ones are encrypted where they are.
struct TLSWriteQueue {
  /// A piece of encrypted bytes, and the writes that end in it.
  struct Chunk {
    var output: ByteBuffer
    var promises: [EventLoopPromise<Void>] = []
    /// Set when encryption failed: the chunk must not be sent.
    var error: TLSError?

    /// One promise for all of the writes.
    func promise(on loop: any EventLoop) -> EventLoopPromise<Void>? {
      guard let first = promises.first else { return nil }
      guard promises.count > 1 else { return first }
      let combined = loop.makePromise(of: Void.self)
      for promise in promises { combined.futureResult.cascade(to: promise) }
      return combined
    }
  }

  /// Plain bytes per chunk: a multiple of the record's length, and small enough to be freed as the socket takes it.
  private static let chunkLength = 16 * TLSEngine.recordLength

  private var queue = MarkedCircularBuffer<(buffer: ByteBuffer, promise: EventLoopPromise<Void>?)>(initialCapacity: 4)
  private var byteCount = 0

  /// Whether something waits that was flushed.
  var hasFlushed: Bool { queue.hasMark }

  mutating func append(_ buffer: ByteBuffer, _ promise: EventLoopPromise<Void>?) {
    byteCount += buffer.readableBytes
    queue.append((buffer, promise))
  }

  mutating func markFlush() {
    queue.mark()
  }

  /// Empties the queue and returns the promises, in order. (Completing one may re-enter the owner of the queue, so
  /// that must not happen in here.)
  mutating func removeAll() -> [EventLoopPromise<Void>] {
    let promises = queue.compactMap(\.promise)
    queue = MarkedCircularBuffer(initialCapacity: 4)
    byteCount = 0
    return promises
  }

  /// Encrypts the next writes that were flushed, up to one chunk. Call it only when there are some.
  mutating func nextChunk(_ engine: TLSEngine, _ allocator: ByteBufferAllocator) -> Chunk {
    let expected = min(byteCount, Self.chunkLength)
    var chunk = Chunk(
      output: allocator.buffer(capacity: expected + (expected / TLSEngine.recordLength + 1) * 96))
    do throws(TLSError) {
      try fill(&chunk, engine, allocator)
    } catch {
      chunk.error = error
    }
    return chunk
  }

  private mutating func fill(
    _ chunk: inout Chunk, _ engine: TLSEngine, _ allocator: ByteBufferAllocator
  ) throws(TLSError) {
    var budget = Self.chunkLength
    var record: ByteBuffer?
    while budget > 0, queue.hasMark, let write = queue.first {
      var part = write.buffer
      if part.readableBytes > budget {
        queue[queue.startIndex].buffer.moveReaderIndex(forwardBy: budget)
        part.moveWriterIndex(to: part.readerIndex + budget)
      } else {
        _ = queue.removeFirst()
        if let promise = write.promise { chunk.promises.append(promise) }
      }
      byteCount -= part.readableBytes
      budget -= part.readableBytes
      let isLast = budget == 0 || !queue.hasMark
      if var filling = record {
        if let head = part.readSlice(length: min(TLSEngine.recordLength - filling.readableBytes, part.readableBytes)) {
          record = nil
          filling.writeImmutableBuffer(head)
        }
        if filling.readableBytes == TLSEngine.recordLength {
          try encrypt(filling, &chunk, engine)
          filling.clear()
        }
        record = filling
      }
      guard part.readableBytes > 0 else { continue }
      let isAligned = (record?.readableBytes ?? 0) == 0
      let direct = isLast && isAligned ? part.readableBytes : part.readableBytes & ~(TLSEngine.recordLength - 1)
      if isAligned, let whole = part.readSlice(length: direct) { try encrypt(whole, &chunk, engine) }
      guard part.readableBytes > 0 else { continue }
      var filling = record ?? allocator.buffer(capacity: TLSEngine.recordLength)
      record = nil
      filling.writeImmutableBuffer(part)
      record = filling
    }
    if let record { try encrypt(record, &chunk, engine) }
  }

  private func encrypt(_ plain: ByteBuffer, _ chunk: inout Chunk, _ engine: TLSEngine) throws(TLSError) {
    guard plain.readableBytes > 0 else { return }
    var failure: TLSError?
    plain.withUnsafeReadableBytes { bytes in
      do throws(TLSError) {
        try engine.encrypt(bytes, into: &chunk.output)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
  }
}
