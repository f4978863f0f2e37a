import Compression
import NIOCore
import PulsarWire

extension PartitionProducer {
  /// Takes a message for which room was reserved.
  func enqueue(_ message: Message, _ completion: @escaping Completion) {
    eventLoop.assertInEventLoop()
    switch state {
    case .failed(let error):
      release(messages: 1, bytes: message.payload.readableBytes)
      completion(.failure(error))
      return
    case .closed:
      release(messages: 1, bytes: message.payload.readableBytes)
      completion(.failure(.closed))
      return
    case .connecting, .open: break
    }
    let sequence = message.sequenceID ?? UInt64(lastSequencePushed + 1)
    lastSequencePushed = max(lastSequencePushed, Int64(sequence))
    let batches =
      configuration.batchingEnabled && message.replicateTo == nil && message.deliverAtTimeMs == nil
      && !(configuration.chunkingEnabled && message.payload.readableBytes > entryLimit)
    guard batches else {
      sendBatch()
      sendSingle(message, sequence, completion)
      return
    }
    let single = SingleMessageMetadata(
      properties: message.properties, partitionKey: message.key, payloadSize: Int32(message.payload.readableBytes),
      eventTimeMs: message.eventTimeMs, orderingKey: message.orderingKey, sequenceID: sequence)
    let size = BatchBuilder.encodedSize(metadata: single, payload: message.payload)
    // Receipts name one number of a batch: its numbers must ascend.
    if batch.count > 0,
      batch.readableBytes + size > configuration.batchingMaxBytes || sequence <= batchLastSequence
    {
      sendBatch()
    }
    if batch.count == 0 {
      batch = BatchBuilder(capacity: min(configuration.batchingMaxBytes, max(4096, size)))
      batchFirst = (sequence, message)
      if configuration.batchingMaxPublishDelay > .zero {
        batchTimer = eventLoop.scheduleTask(in: configuration.batchingMaxPublishDelay) { [weak self] in
          self?.batchTimer = nil
          self?.sendBatch()
        }
      }
    }
    batch.append(metadata: single, payload: message.payload)
    batchLastSequence = sequence
    batchReserved += message.payload.readableBytes
    batchCompletions.append(completion)
    if batch.count >= configuration.batchingMaxMessages || batch.readableBytes >= configuration.batchingMaxBytes
      || configuration.batchingMaxPublishDelay <= .zero
    {
      sendBatch()
    }
  }

  /// Sends the batch that is being gathered.
  func sendBatch() {
    guard batch.count > 0, let first = batchFirst else { return }
    batchTimer?.cancel()
    batchTimer = nil
    let count = batch.count
    let completions = batchCompletions
    let payload = batch.finish()
    let reserved = batchReserved
    batchCompletions = []
    batchFirst = nil
    batchReserved = 0
    var metadata = MessageMetadata(producerName: name, sequenceID: first.sequence, publishTimeMs: WallClock.nowMs())
    metadata.numMessagesInBatch = Int32(count)
    metadata.highestSequenceID = batchLastSequence
    metadata.partitionKey = first.message.key
    metadata.orderingKey = first.message.orderingKey
    send(
      metadata, payload, reserved: reserved, sequence: first.sequence, last: batchLastSequence, count: count,
      completions)
  }

  private func sendSingle(_ message: Message, _ sequence: UInt64, _ completion: @escaping Completion) {
    var metadata = MessageMetadata(producerName: name, sequenceID: sequence, publishTimeMs: WallClock.nowMs())
    metadata.properties = message.properties
    metadata.partitionKey = message.key
    metadata.orderingKey = message.orderingKey
    metadata.eventTimeMs = message.eventTimeMs
    metadata.deliverAtTimeMs = message.deliverAtTimeMs
    if let replicateTo = message.replicateTo {
      metadata.replicateTo = replicateTo.isEmpty ? ["__local__"] : replicateTo
    }
    send(
      metadata, message.payload, reserved: message.payload.readableBytes, sequence: sequence, last: sequence, count: 1,
      [completion])
  }

  private func send(
    _ metadata: MessageMetadata, _ payload: ByteBuffer, reserved: Int, sequence: UInt64, last: UInt64, count: Int,
    _ completions: [Completion]
  ) {
    var metadata = metadata
    var payload = payload
    metadata.schemaVersion = schemaVersion
    if configuration.compression != .none {
      metadata.uncompressedSize = UInt32(payload.readableBytes)
      do {
        payload = try configuration.compression.compress(payload, level: configuration.compressionLevel)
        metadata.compression = CompressionType(configuration.compression)
      } catch {
        fail(completions, reserved, count, .invalidConfiguration("the message cannot be compressed: \(error)"))
        return
      }
    }
    let front = EntryEncoder.frontSize(metadata)
    if configuration.chunkingEnabled, metadata.numMessagesInBatch == nil, front + payload.readableBytes > entryLimit {
      sendChunks(metadata, payload, reserved: reserved, sequence: sequence, completions)
      return
    }
    if case .open = state, front + payload.readableBytes > maxMessageSize {
      fail(
        completions, reserved, count,
        .messageTooLarge(size: front + payload.readableBytes, limit: maxMessageSize))
      return
    }
    sendEntry(
      metadata, payload, reserved: reserved, sequence: sequence, last: last, count: count, chunk: nil, completions)
  }

  /// Bytes of an entry, beyond which a message is cut into chunks.
  private var entryLimit: Int { min(maxMessageSize, max(1, configuration.chunkMaxMessageSize ?? .max)) }

  /// Cuts a message that is too large for one entry. Its chunks share its sequence id, and follow one another.
  private func sendChunks(
    _ metadata: MessageMetadata, _ payload: ByteBuffer, reserved: Int, sequence: UInt64, _ completions: [Completion]
  ) {
    guard
      let plan = ChunkPlan(
        bytes: payload.readableBytes, limit: entryLimit,
        front: { count in
          var front = metadata
          front.markChunk(count - 1, of: count, bytes: payload.readableBytes, uuid: "\(self.name)-\(sequence)")
          return EntryEncoder.frontSize(front)
        })
    else {
      fail(completions, reserved, 1, .messageTooLarge(size: payload.readableBytes, limit: entryLimit))
      return
    }
    var rest = payload
    for index in 0..<plan.count {
      guard let piece = rest.readSlice(length: min(plan.bytesPerChunk, rest.readableBytes)) else { break }
      var front = metadata
      front.markChunk(index, of: plan.count, bytes: payload.readableBytes, uuid: "\(name)-\(sequence)")
      let isLast = index == plan.count - 1
      // The message is one: what was reserved, and who waits, belong to its last chunk.
      sendEntry(
        front, piece, reserved: isLast ? reserved : 0, sequence: sequence, last: sequence, count: isLast ? 1 : 0,
        chunk: (index, plan.count), isLast ? completions : [])
    }
  }

  private func sendEntry(
    _ metadata: MessageMetadata, _ payload: ByteBuffer, reserved: Int, sequence: UInt64, last: UInt64, count: Int,
    chunk: (index: Int, count: Int)?, _ completions: [Completion]
  ) {
    var entry = ByteBufferAllocator().buffer(capacity: 128)
    EntryEncoder.encode(metadata, payload: payload, into: &entry)
    let entrySize = entry.readableBytes + payload.readableBytes
    var header = ByteBufferAllocator().buffer(capacity: 64 + entry.readableBytes)
    PulsarFrameEncoder.encode(
      SendCommand(
        producerID: id, sequenceID: sequence, numMessages: chunk == nil ? Int32(count) : 1,
        highestSequenceID: last == sequence ? nil : last, isChunk: chunk != nil),
      payloadLength: entrySize, into: &header)
    header.writeImmutableBuffer(entry)
    pending.append(
      .init(
        firstSequence: sequence, lastSequence: last, messages: count, bytes: reserved, enqueuedAt: .now(),
        payload: Sent(
          header: header, payload: payload, size: entrySize, isBatch: metadata.numMessagesInBatch != nil, chunk: chunk,
          completions: completions)))
    entriesSent += 1
    guard case .open(let connection) = state else { return }
    connection.write(header)
    connection.write(payload)
    scheduleFlush(connection)
  }

  /// One flush for all that is sent in one turn of the loop.
  private func scheduleFlush(_ connection: PulsarConnection) {
    guard !needsFlush else { return }
    needsFlush = true
    eventLoop.assumeIsolated().execute {
      self.needsFlush = false
      connection.flush()
    }
  }
}
