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
    /// Which chunk of its message it is; `nil` for an entry that is whole.
    var chunk: (index: Int, count: Int)?
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
  var lastSequencePushed: Int64
  private let client: PulsarClient
  let configuration: ProducerConfiguration
  let id: UInt64
  let logger: Logger
  var state = State.connecting
  private var epoch: UInt64 = 0
  private(set) var schemaVersion: ByteBuffer?
  var pending = PendingSends<Sent>()
  var batch = BatchBuilder()
  var batchFirst: (sequence: UInt64, message: Message)?
  var batchLastSequence: UInt64 = 0
  var batchReserved = 0
  var batchCompletions: [Completion] = []
  var batchTimer: Scheduled<Void>?
  private var timeoutTask: RepeatedTask?
  var backoff: Backoff
  var generator = SystemRandomNumberGenerator()
  var flushWaiters: [(until: Int, promise: EventLoopPromise<Void>)] = []
  var entriesSent = 0
  /// Where the message whose chunks are being acknowledged begins.
  var firstChunk: MessageID.Chunk?
  /// The largest entry that the broker takes, as far as it is known.
  private(set) var maxMessageSize = PulsarProtocol.defaultMaxMessageSize
  var needsFlush = false
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
    maxMessageSize = connection.maxMessageSize
    let tooLarge = Set(
      pending.entries.lazy.filter { $0.payload.size > self.maxMessageSize }.map { $0.firstSequence })
    for entry in pending.remove(where: { tooLarge.contains($0.firstSequence) }) {
      fail(
        entry.payload.completions, entry.bytes, entry.messages,
        .messageTooLarge(size: entry.payload.size, limit: maxMessageSize))
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
}
