import Compression
import Logging
import NIOConcurrencyHelpers
import NIOCore
import PulsarWire
import Transport

/// The producer of one topic partition: batches, numbers, sends, and sends again after every reconnect, in order.
///
/// Confined to `eventLoop`, but for ``submit(_:completion:)`` and the waiting for room.
final class PartitionProducer: ConnectionProducer, @unchecked Sendable {
  typealias Completion = @Sendable (Result<MessageID, PulsarClientError>) -> Void

  /// What is kept of an entry until its receipt: the frame for a resend, and whom to tell.
  struct Sent {
    var header: ByteBuffer
    var payload: ByteBuffer
    var size: Int
    var isBatch: Bool
    var completions: [Completion]
  }

  enum State {
    case connecting
    case open(PulsarConnection)
    case failed(PulsarClientError)
    case closed
  }

  let topic: String
  let partition: Int32
  let eventLoop: any EventLoop
  private(set) var name: String
  private(set) var lastSequencePushed: Int64
  private let client: PulsarClient
  private let configuration: ProducerConfiguration
  let id: UInt64
  let logger: Logger
  var state = State.connecting
  private var epoch: UInt64 = 0
  private var schemaVersion: ByteBuffer?
  var pending = PendingSends<Sent>()
  var batch = BatchBuilder()
  var batchFirst: (sequence: UInt64, message: Message)?
  private var batchLastSequence: UInt64 = 0
  var batchReserved = 0
  var batchCompletions: [Completion] = []
  var batchTimer: Scheduled<Void>?
  private var timeoutTask: RepeatedTask?
  var backoff: Backoff
  var generator = SystemRandomNumberGenerator()
  var flushWaiters: [(until: Int, promise: EventLoopPromise<Void>)] = []
  var entriesSent = 0
  private var needsFlush = false
  var isClosing = false

  /// What other threads may see: messages on their way to the loop, how much waits, and who waits for room.
  private struct Room {
    var inbox: [(message: Message, completion: Completion)] = []
    var isDrainScheduled = false
    var messages = 0
    var bytes = 0
    var waiters: [CheckedContinuation<Void, Never>] = []
  }
  private let room = NIOLockedValueBox(Room())

  init(client: PulsarClient, topic: String, partition: Int32, configuration: ProducerConfiguration, logger: Logger) {
    self.client = client
    self.topic = topic
    self.partition = partition
    self.configuration = configuration
    self.logger = logger
    eventLoop = client.group.next()
    id = client.makeID()
    name = configuration.name ?? ""
    lastSequencePushed = configuration.initialSequenceID ?? -1
    backoff = Backoff(client.configuration.backoff)
  }

  // MARK: - Room

  /// Takes a message if there is room for it; any thread. Messages of one thread stay in order, and many cross to the
  /// loop in one hop.
  ///
  /// - Returns: whether it was taken; if not, `completion` is not called.
  func submit(_ message: Message, completion: @escaping Completion) -> Bool {
    let bytes = message.payload.readableBytes
    let (isTaken, schedules) = room.withLockedValue { room in
      guard
        room.messages < configuration.maxPendingMessages,
        room.messages == 0 || room.bytes + bytes <= configuration.maxPendingBytes
      else { return (false, false) }
      room.messages += 1
      room.bytes += bytes
      room.inbox.append((message, completion))
      defer { room.isDrainScheduled = true }
      return (true, !room.isDrainScheduled)
    }
    if schedules { eventLoop.execute { self.drainInbox() } }
    return isTaken
  }

  func drainInbox() {
    let messages = room.withLockedValue { room in
      room.isDrainScheduled = false
      defer { room.inbox = [] }
      return room.inbox
    }
    for (message, completion) in messages { enqueue(message, completion) }
  }

  /// Waits until something was stored, then a reservation is worth another try; any thread.
  func waitForRoom(_ bytes: Int) async {
    await withCheckedContinuation { continuation in
      let resumeNow = room.withLockedValue { room in
        if room.messages == 0 { return true }
        if room.messages < configuration.maxPendingMessages, room.bytes + bytes <= configuration.maxPendingBytes {
          return true
        }
        room.waiters.append(continuation)
        return false
      }
      if resumeNow { continuation.resume() }
    }
  }

  func release(messages: Int, bytes: Int) {
    let waiters = room.withLockedValue { room in
      room.messages -= messages
      room.bytes -= bytes
      defer { room.waiters.removeAll() }
      return room.waiters
    }
    for waiter in waiters { waiter.resume() }
  }

  /// What is reserved now: messages and bytes; any thread.
  var reserved: (messages: Int, bytes: Int) { room.withLockedValue { ($0.messages, $0.bytes) } }

  // MARK: - Opening and closing

  /// Opens the producer; fails if the broker refuses it for good.
  func open() async throws {
    try await client.retrying("producer on \(topic)", on: eventLoop) { _ in self.connect() }
    let interval = TimeAmount.milliseconds(250)
    try await eventLoop.submit {
      guard let timeout = self.configuration.sendTimeout else { return }
      self.timeoutTask = self.eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { [weak self] _ in
        self?.failTimedOut(timeout)
      }
    }.get()
  }

  func connect() -> EventLoopFuture<Void> {
    client.connectionToOwner(of: topic, on: eventLoop, slot: Int(id)).flatMap { connection in
      var request = ProtoCommandProducer()
      request.topic = self.topic
      request.producerID = self.id
      request.requestID = connection.makeID()
      if !self.name.isEmpty { request.producerName = self.name }
      request.userProvidedProducerName = self.configuration.name != nil
      request.epoch = self.epoch
      request.producerAccessMode = self.configuration.accessMode
      if let schema = self.configuration.schema { request.schema = schema }
      request.metadata = self.configuration.properties.map { property in
        var pair = ProtoKeyValue()
        pair.key = property.key
        pair.value = property.value
        return pair
      }
      self.epoch += 1
      connection.register(self, id: self.id)
      return connection.request(ProtoBaseCommand(request), id: request.requestID).map { answer in
        self.opened(connection, answer.producerSuccess)
      }.flatMapErrorThrowing { error in
        connection.unregister(producer: self.id)
        throw error
      }
    }
  }

  private func opened(_ connection: PulsarConnection, _ success: ProtoCommandProducerSuccess) {
    guard case .connecting = state else {
      abandon(connection)
      return
    }
    state = .open(connection)
    backoff.reset()
    name = success.producerName
    if success.hasSchemaVersion { schemaVersion = ByteBuffer(bytes: success.schemaVersion) }
    if configuration.initialSequenceID == nil, lastSequencePushed < success.lastSequenceID {
      lastSequencePushed = success.lastSequenceID
    }
    // The limit may be another one than that of the broker before, or was not known yet.
    for entry in pending.remove(where: { $0.payload.size > connection.maxMessageSize }) {
      fail(
        entry.payload.completions, entry.bytes, entry.messages,
        .messageTooLarge(size: entry.payload.size, limit: connection.maxMessageSize))
    }
    notifyFlushed()
    for entry in pending.entries {
      connection.write(entry.payload.header)
      connection.write(entry.payload.payload)
    }
    connection.flush()
  }

  /// Lets the broker forget the producer, without waiting for it.
  func abandon(_ connection: PulsarConnection) {
    connection.unregister(producer: id)
    var request = ProtoCommandCloseProducer()
    request.producerID = id
    request.requestID = connection.makeID()
    connection.send(ProtoBaseCommand(request))
  }

  /// Waits for the receipts of what was submitted, and closes; without a connection nothing is waited for.
  func close() -> EventLoopFuture<Void> {
    eventLoop.assertInEventLoop()
    drainInbox()
    guard case .open = state else {
      finish(.closed, .closed)
      return eventLoop.makeSucceededVoidFuture()
    }
    isClosing = true
    return flush().flatMapError { _ in self.eventLoop.makeSucceededVoidFuture() }.flatMap {
      guard case .open(let connection) = self.state else {
        self.finish(.closed, .closed)
        return self.eventLoop.makeSucceededVoidFuture()
      }
      self.finish(.closed, .closed)
      var request = ProtoCommandCloseProducer()
      request.producerID = self.id
      request.requestID = connection.makeID()
      return connection.request(ProtoBaseCommand(request), id: request.requestID).map { _ in
        connection.unregister(producer: self.id)
      }.flatMapError { _ in self.eventLoop.makeSucceededVoidFuture() }
    }
  }

  func finish(_ state: State, _ error: PulsarClientError) {
    self.state = state
    batchTimer?.cancel()
    timeoutTask?.cancel()
    failPending(error)
  }

  // MARK: - Sending

  /// Takes a message for which room was reserved.
  private func enqueue(_ message: Message, _ completion: @escaping Completion) {
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
    let batches = configuration.batchingEnabled && message.replicateTo == nil && message.deliverAtTimeMs == nil
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
    var entry = ByteBufferAllocator().buffer(capacity: 128)
    EntryEncoder.encode(metadata, payload: payload, into: &entry)
    let entrySize = entry.readableBytes + payload.readableBytes
    if case .open(let connection) = state, entrySize > connection.maxMessageSize {
      fail(completions, reserved, count, .messageTooLarge(size: entrySize, limit: connection.maxMessageSize))
      return
    }
    var header = ByteBufferAllocator().buffer(capacity: 64 + entry.readableBytes)
    PulsarFrameEncoder.encode(
      SendCommand(
        producerID: id, sequenceID: sequence, numMessages: Int32(count),
        highestSequenceID: last == sequence ? nil : last),
      payloadLength: entrySize, into: &header)
    header.writeImmutableBuffer(entry)
    pending.append(
      .init(
        firstSequence: sequence, lastSequence: last, messages: count, bytes: reserved, enqueuedAt: .now(),
        payload: Sent(
          header: header, payload: payload, size: entrySize, isBatch: metadata.numMessagesInBatch != nil,
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
