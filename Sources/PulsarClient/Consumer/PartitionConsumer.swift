import Logging
import NIOConcurrencyHelpers
import NIOCore
import PulsarWire
import Transport

/// The consumer of one topic partition: subscribes, takes entries apart, acknowledges, and subscribes again when the
/// connection breaks.
///
/// Confined to `eventLoop`, but for ``submit(_:)``.
final class PartitionConsumer: ConnectionConsumer, @unchecked Sendable {
  /// What the application says of a message.
  enum Word {
    /// The promise is kept when the broker has confirmed it.
    case acknowledge(MessageID, EventLoopPromise<Void>? = nil)
    case acknowledgeCumulative(MessageID, EventLoopPromise<Void>? = nil)
    case negativeAcknowledge(MessageID)
  }

  enum State {
    case connecting
    case open(PulsarConnection)
    case closed
  }

  let topic: String
  /// Index in the queue, and partition of the topic or -1.
  let index: Int
  let partition: Int32
  let eventLoop: any EventLoop
  let client: PulsarClient
  let subscription: String
  let configuration: ConsumerConfiguration
  /// Where a consumer without a durable subscription begins; `nil` for a durable one.
  var start: StartPoint?
  let isDurable: Bool
  let queue: MessageQueue
  let id: UInt64
  let logger: Logger
  var state = State.connecting
  var acks: AckTracker
  var nacks: NegativeAckTracker
  var chunks: ChunkAssembler
  /// Set while the broker moves the subscription: what still comes is of before, and waits for the broker's answer.
  var isSeeking = false
  var heldWhileSeeking: [(MessageCommand, ByteBuffer)] = []
  /// Where a consumer of its own position has to begin again for the sake of messages in chunks.
  var resumeAt: AckTracker.Entry?
  private(set) var isActive = true
  var hasReachedEnd = false
  private(set) var corruptEntries = 0
  private var isConnectPending = false
  var epoch: UInt64 = 0
  var gathered: [ReceivedMessage] = []
  var dropped = 0
  var ackTimer: Scheduled<Void>?
  var nackTimer: Scheduled<Void>?
  private var backoff: Backoff
  private var generator = SystemRandomNumberGenerator()
  let inbox = NIOLockedValueBox<(words: [Word], isScheduled: Bool)>(([], false))
  /// Tasks that wait until the broker has said that it knows of what they acknowledged.
  var receiptWaiters: [EventLoopPromise<Void>] = []

  init(
    client: PulsarClient, topic: String, index: Int, partition: Int32, subscription: String, start: StartPoint?,
    isDurable: Bool, configuration: ConsumerConfiguration, queue: MessageQueue, logger: Logger
  ) {
    self.client = client
    self.topic = topic
    self.index = index
    self.partition = partition
    self.subscription = subscription
    self.start = start
    self.isDurable = isDurable
    self.configuration = configuration
    self.queue = queue
    self.logger = logger
    eventLoop = client.group.next()
    id = client.makeID()
    acks = AckTracker(
      acknowledgesIndexes: configuration.acknowledgesBatchIndexes, maxGroupSize: configuration.acknowledgementGroupSize)
    nacks = NegativeAckTracker(delay: configuration.negativeAcknowledgementDelay)
    chunks = ChunkAssembler(
      maxPending: configuration.maxPendingChunkedMessages, maxBytes: configuration.maxMessageBytes)
    backoff = Backoff(client.configuration.backoff)
  }

  // MARK: - Opening

  /// Opens the consumer; fails if the broker refuses it for good.
  func open() async throws {
    try await client.retrying("consumer on \(topic)", on: eventLoop) { _ in self.connect() }
  }

  private func connect() -> EventLoopFuture<Void> {
    client.connectionToOwner(of: topic, on: eventLoop, slot: Int(id)).flatMap { connection in
      // What was taken before does not come again; what waits in the queue does.
      let opening = self.queue.reopen(self.index)
      self.epoch = opening.epoch
      self.gathered.removeAll(keepingCapacity: true)
      self.heldWhileSeeking = []
      self.dropped = 0
      // A message whose first chunks came already is to come again from its first.
      self.resumeAt = self.chunks.oldest ?? self.resumeAt
      self.chunks.reset()
      self.nacks.reset()
      if !self.isDurable, let last = opening.lastTaken {
        self.start = StartPoint(last, isInclusive: false, publishTimeMs: self.start?.publishTimeMs)
      }
      let request = self.subscribeRequest(connection.makeID())
      connection.register(self, id: self.id)
      return connection.request(ProtoBaseCommand(request), id: request.requestID).map { _ in
        self.opened(connection, permits: opening.permits)
      }.flatMapErrorThrowing { error in
        connection.unregister(consumer: self.id)
        throw error
      }
    }
  }

  private func subscribeRequest(_ requestID: UInt64) -> ProtoCommandSubscribe {
    var request = ProtoCommandSubscribe()
    request.topic = topic
    request.subscription = subscription
    request.subType = configuration.subscriptionType.wire
    request.consumerID = id
    request.requestID = requestID
    if let name = configuration.name { request.consumerName = name }
    request.priorityLevel = configuration.priorityLevel
    request.durable = isDurable
    request.readCompacted = configuration.readsCompacted
    request.initialPosition = configuration.initialPosition == .earliest ? .earliest : .latest
    request.metadata = configuration.properties.map { $0.wire }
    request.subscriptionProperties = configuration.subscriptionProperties.map { $0.wire }
    if let schema = configuration.schema { request.schema = schema }
    if configuration.subscriptionType == .keyShared {
      var meta = ProtoKeySharedMeta()
      meta.keySharedMode = .autoSplit
      request.keySharedMeta = meta
    }
    if !isDurable, let start {
      var id = start.id.wire
      id.batchIndex = start.id.batchIndex
      if let resumeAt, resumeAt < AckTracker.Entry(ledgerID: id.ledgerID, entryID: id.entryID) {
        id = MessageIDData(ledgerID: resumeAt.ledgerID, entryID: resumeAt.entryID, partition: id.partition)
      }
      request.startMessageID = id.proto
    }
    return request
  }

  private func opened(_ connection: PulsarConnection, permits: Int) {
    guard case .connecting = state else {
      sendClose(connection, connection.makeID())
      return
    }
    state = .open(connection)
    isSeeking = false
    backoff.reset()
    // What is acknowledged before the first permit is not delivered again.
    sendAcknowledgements()
    grant(permits)
  }

  func grant(_ permits: Int) {
    guard case .open(let connection) = state, permits > 0 else { return }
    connection.send(FlowCommand(consumerID: id, messagePermits: UInt32(clamping: permits)))
  }

  // MARK: - Closing

  func close() -> EventLoopFuture<Void> {
    eventLoop.assertInEventLoop()
    guard let connection = end() else { return eventLoop.makeSucceededVoidFuture() }
    let requestID = connection.makeID()
    var request = ProtoCommandCloseConsumer()
    request.consumerID = id
    request.requestID = requestID
    return connection.request(ProtoBaseCommand(request), id: requestID).map { _ in
      connection.unregister(consumer: self.id)
    }.flatMapError { _ in self.eventLoop.makeSucceededVoidFuture() }
  }

  /// Deletes the subscription; the consumer is closed if that works.
  func unsubscribe() -> EventLoopFuture<Void> {
    eventLoop.assertInEventLoop()
    guard case .open(let connection) = state else {
      return eventLoop.makeFailedFuture(PulsarClientError.connection("the consumer on \(topic) is not connected"))
    }
    drainInbox()
    sendAcknowledgements()
    var request = ProtoCommandUnsubscribe()
    request.consumerID = id
    request.requestID = connection.makeID()
    return connection.request(ProtoBaseCommand(request), id: request.requestID).map { _ in
      connection.unregister(consumer: self.id)
      _ = self.end()
    }
  }

  private func end() -> PulsarConnection? {
    drainInbox()
    sendAcknowledgements()
    ackTimer?.cancel()
    nackTimer?.cancel()
    defer {
      state = .closed
      failReceiptWaiters(.closed)
    }
    guard case .open(let connection) = state else { return nil }
    return connection
  }

  private func sendClose(_ connection: PulsarConnection, _ requestID: UInt64) {
    connection.unregister(consumer: id)
    var request = ProtoCommandCloseConsumer()
    request.consumerID = id
    request.requestID = requestID
    connection.send(ProtoBaseCommand(request))
  }

  // MARK: - From the connection

  func received(message: MessageCommand, entry: ByteBuffer) {
    guard case .open = state else { return }
    if isSeeking {
      heldWhileSeeking.append((message, entry))
      return
    }
    do {
      try take(message, EntryDecoder(entry))
    } catch {
      corruptEntries += 1
      dropped += error.permits
      logger.warning(
        "an entry of \(topic) at \(message.messageID.ledgerID):\(message.messageID.entryID) is of no use: \(error.description)"
      )
      guard case .open(let connection) = state else { return }
      connection.send(
        AckCommand(
          consumerID: id, type: .individual,
          messageIDs: [MessageIDData(ledgerID: message.messageID.ledgerID, entryID: message.messageID.entryID)],
          validationError: error.reason))
    }
  }

  private func take(_ command: MessageCommand, _ decoder: EntryDecoder) throws(EntryDecoder.Corrupt) {
    let entry = AckTracker.Entry(ledgerID: command.messageID.ledgerID, entryID: command.messageID.entryID)
    let metadata = decoder.metadata
    if metadata.markerType != nil {
      dropped += 1
      acknowledgeNow(entry)
      return
    }
    var payload = decoder.header.payload
    if metadata.isEncrypted {
      // Only the application has the keys: it gets the bytes as they are.
      offer(decoder, .init(index: -1, payload: payload), entry, 0, command)
      dropped += decoder.messageCount - 1
      return
    }
    if metadata.isChunk, let uuid = metadata.uuid {
      resumeAt = nil  // from here on the assembler knows
      let outcome = chunks.add(
        uuid: uuid, chunk: Int(metadata.chunkID ?? -1), of: Int(metadata.numChunksFromMessage ?? 0),
        total: Int(metadata.totalChunkMessageSize ?? 0), payload: payload, entry: entry)
      guard case .complete(let whole) = outcome else {
        dropped += 1
        return
      }
      do {
        payload = try decoder.decompress(whole.payload, limit: configuration.maxMessageBytes)
      } catch {
        // The last chunk is acknowledged with the reason; the others go with it.
        for chunk in whole.entries.dropLast() { acknowledgeNow(chunk) }
        throw error
      }
      acks.delivered(chunks: whole.entries)
      let begin = whole.entries.first.map { MessageID.Chunk(ledgerID: $0.ledgerID, entryID: $0.entryID) }
      offer(decoder, .init(index: -1, payload: payload), entry, 0, command, firstChunk: begin)
      return
    }
    payload = try decoder.decompress(payload, limit: configuration.maxMessageBytes)
    guard decoder.isBatch else {
      offer(decoder, .init(index: -1, payload: payload), entry, 0, command)
      return
    }
    let parts = try decoder.parts(of: payload)
    let count = decoder.messageCount
    let wanted = acks.delivered(batch: entry, count: count, ackSet: command.ackSet)
    dropped += count - parts.count
    for part in parts {
      if wanted.contains(Int(part.index)) {
        offer(decoder, part, entry, Int32(clamping: count), command)
      } else {
        dropped += 1
      }
    }
  }

  private func acknowledgeNow(_ entry: AckTracker.Entry) {
    if acks.acknowledge(MessageID(ledgerID: entry.ledgerID, entryID: entry.entryID)) { sendAcknowledgements() }
  }

  private func offer(
    _ decoder: EntryDecoder, _ part: EntryDecoder.Part, _ entry: AckTracker.Entry, _ batchSize: Int32,
    _ command: MessageCommand, firstChunk: MessageID.Chunk? = nil
  ) {
    let id = MessageID(
      ledgerID: entry.ledgerID, entryID: entry.entryID, partition: partition, batchIndex: part.index,
      batchSize: batchSize, firstChunk: firstChunk)
    if let start, start.drops(id, publishTimeMs: decoder.metadata.publishTimeMs) {
      dropped += 1
      return
    }
    gathered.append(decoder.message(part, id: id, topic: topic, redeliveryCount: Int(command.redeliveryCount)))
  }

  func receivedAll() {
    guard !gathered.isEmpty || dropped > 0 else { return }
    let messages = gathered
    let count = dropped
    gathered = []
    gathered.reserveCapacity(messages.count)
    dropped = 0
    queue.offer(messages, dropped: count, partition: index, epoch: epoch)
  }

  func activeChanged(_ isActive: Bool) { self.isActive = isActive }

  func reachedEndOfTopic() { hasReachedEnd = true }

  func closedByBroker(_ command: ProtoCommandCloseConsumer) {
    reconnect(.connection("the broker closed the consumer"))
  }

  func connectionClosed(_ error: PulsarClientError) {
    reconnect(error)
  }

  /// Subscribes again, if it was open.
  func reconnect(_ error: PulsarClientError) {
    guard case .open = state else { return }
    state = .connecting
    logger.debug("consumer on \(topic) subscribes again: \(error)")
    scheduleConnect()
  }

  func scheduleConnect() {
    guard !isConnectPending else { return }
    isConnectPending = true
    let pause = backoff.next(using: &generator).timeAmount
    eventLoop.assumeIsolated().scheduleTask(in: pause) {
      self.isConnectPending = false
      // While a seek is unanswered its subscription is not there to be taken: the answer connects.
      guard case .connecting = self.state, !self.isSeeking else { return }
      self.isConnectPending = true
      self.connect().whenComplete { result in
        self.isConnectPending = false
        guard case .connecting = self.state, case .failure(let error) = result else { return }
        switch error as? PulsarClientError {
        case .closed: self.fail(.closed)
        case .broker(let code, let message)
        where [.authenticationError, .authorizationError, .notAllowedError, .incompatibleSchema].contains(code):
          self.fail(.broker(code, message))
        default: self.scheduleConnect()
        }
      }
    }
  }

  private func fail(_ error: PulsarClientError) {
    _ = end()
    queue.fail(error)
  }
}

extension MessageProperty {
  var wire: ProtoKeyValue {
    var pair = ProtoKeyValue()
    pair.key = key
    pair.value = value
    return pair
  }
}
