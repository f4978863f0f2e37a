import Atomics
import Logging
import NIOCore
import PulsarWire

/// One client's connection: reads frames, passes them on to topics, writes what comes back.
///
/// Confined to the connection's loop. It decides nothing about messages: it knows which producer and consumer ids are
/// open on the connection, keeps the requests of each in order, and bounds what is in flight.
final class ClientSession: ChannelInboundHandler, @unchecked Sendable {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  enum ProducerState {
    /// Being created; the flag says that the client or the broker closed it meanwhile.
    case opening(isCancelled: Bool)
    case open(LoadedTopic, TopicProducer, TopicOutbox)
  }

  enum ConsumerState {
    case opening(isCancelled: Bool)
    case open(LoadedTopic, subscription: String, SubscriptionConsumer, SessionConsumerSink, TopicOutbox)
  }

  private static let nextID = ManagedAtomic<UInt64>(1)
  /// Payloads up to this size are copied into the write buffer: cheaper than a buffer of their own.
  private static let copyLimit = 8 * 1024

  let id: UInt64
  let broker: Broker
  let eventLoop: any EventLoop
  var logger: Logger
  var channel: (any Channel)?
  let isTLS: Bool

  /// nil until the client has said CONNECT.
  var client: ConnectedClient?
  var producers: [UInt64: ProducerState] = [:]
  var consumers: [UInt64: ConsumerState] = [:]
  var address = ""
  private var outboxes: [ObjectIdentifier: TopicOutbox] = [:]
  private var processor: NIOSingleStepByteToMessageProcessor<PulsarFrameDecoder>
  private var pendingPublishes = 0
  private var pendingPublishBytes = 0
  private var isReadingPaused = false
  private var keepAlive: RepeatedTask?
  private var hasReadSinceTick = true
  private var reads: UInt64 = 0
  private var isPinged = false
  /// Read by topics on their loops.
  private let writable = ManagedAtomic<Bool>(true)
  private(set) var isClosed = false

  init(broker: Broker, eventLoop: any EventLoop, isTLS: Bool, logger: Logger) {
    self.id = Self.nextID.loadThenWrappingIncrement(ordering: .relaxed)
    self.broker = broker
    self.eventLoop = eventLoop
    self.isTLS = isTLS
    self.logger = logger
    processor = NIOSingleStepByteToMessageProcessor(
      PulsarFrameDecoder(maxMessageSize: broker.configuration.maxMessageSize))
  }

  /// What is known of the program at the other end.
  struct ConnectedClient {
    var version: String
    var protocolVersion: Int32
    var features: ProtoFeatureFlags

    /// The C++ client, and those built on it, drop the connection at a command they do not know.
    var isCPlusPlus: Bool {
      version.hasPrefix("Pulsar-CPP") || version.hasPrefix("Pulsar-Python") || version.hasPrefix("Pulsar-Node")
    }
  }

  /// Whether the connection takes more bytes; from any loop.
  var isWritable: Bool { writable.load(ordering: .relaxed) }

  // MARK: Channel

  func handlerAdded(context: ChannelHandlerContext) {
    channel = context.channel
    address =
      context.channel.remoteAddress.map { address in
        address.ipAddress.map { "/\($0):\(address.port ?? 0)" } ?? "\(address)"
      } ?? ""
    logger[metadataKey: "client"] = "\(address)"
    if context.channel.isActive { start() }
  }

  func channelActive(context: ChannelHandlerContext) { start() }

  private func start() {
    guard keepAlive == nil, !isClosed else { return }
    broker.sessionOpened(self)
    let interval = TimeAmount.milliseconds(broker.configuration.keepAliveInterval.milliseconds)
    keepAlive = eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { [weak self] _ in
      self?.checkLiveness()
    }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    hasReadSinceTick = true
    reads &+= 1
    do {
      try processor.process(buffer: unwrapInboundIn(data)) { frame in
        if !isClosed { handle(frame) }
      }
    } catch {
      abort("\(error)")
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    flushOutboxes()
    context.flush()
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    writable.store(context.channel.isWritable, ordering: .relaxed)
    if context.channel.isWritable {
      for case .open(_, _, let consumer, _, let outbox) in consumers.values {
        outbox.append(.sinkBecameWritable(consumer))
      }
      flushOutboxes()
    }
    context.fireChannelWritabilityChanged()
  }

  func channelInactive(context: ChannelHandlerContext) {
    connectionEnded()
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    abort("\(error)")
  }

  private func connectionEnded() {
    guard !isClosed else { return }
    isClosed = true
    keepAlive?.cancel()
    for case .open(let topic, let producer, let outbox) in producers.values {
      outbox.append(.closeProducer(topic, producer, requestID: nil))
    }
    for case .open(_, _, let consumer, let sink, let outbox) in consumers.values {
      sink.detach()
      outbox.eventLoop.execute { consumer.close() }
    }
    producers = [:]
    consumers = [:]
    flushOutboxes()
    outboxes = [:]
    broker.sessionClosed(self)
  }

  /// Ends the connection because of what the other end did.
  func abort(_ reason: String) {
    guard !isClosed else { return }
    logger.info("a client's connection is closed", metadata: ["reason": "\(reason)"])
    channel?.close(promise: nil)
  }

  private func checkLiveness() {
    guard !isClosed else { return }
    if hasReadSinceTick || isReadingPaused {
      hasReadSinceTick = false
      isPinged = false
    } else if isPinged || client == nil {
      return abort("nothing was heard for two keep-alive intervals")
    } else {
      isPinged = true
    }
    guard client != nil else { return }
    var buffer = ByteBuffer()
    PulsarFrameEncoder.encodePing(into: &buffer)
    write(buffer, flush: true)
  }

  /// Asks the other end for a sign of life. Without one within three seconds the connection is closed.
  private func isAlive() async -> Bool {
    let before = try? await eventLoop.submit { () -> UInt64? in
      guard !self.isClosed else { return nil }
      var buffer = ByteBuffer()
      PulsarFrameEncoder.encodePing(into: &buffer)
      self.write(buffer, flush: true)
      return self.reads
    }.get()
    guard let before else { return false }
    for _ in 0..<60 {
      try? await Task.sleep(for: .milliseconds(50))
      let now = try? await eventLoop.submit { self.isClosed ? nil : self.reads }.get()
      guard let now else { return false }
      if now != before { return true }
    }
    eventLoop.execute { self.abort("a client of the same producer name connected, and this one does not answer") }
    return false
  }

  // MARK: Topics

  /// The way to the topics on a loop.
  func outbox(for loop: any EventLoop) -> TopicOutbox {
    if let outbox = outboxes[ObjectIdentifier(loop)] { return outbox }
    let port = SessionPort(
      eventLoop: loop, sessionLoop: eventLoop, connection: id,
      probe: { [weak self] in await self?.isAlive() ?? false },
      receive: { [weak self] in self?.receive($0) })
    let outbox = TopicOutbox(eventLoop: loop, port: port)
    outboxes[ObjectIdentifier(loop)] = outbox
    return outbox
  }

  func flushOutboxes() {
    for outbox in outboxes.values { outbox.flush() }
  }

  // MARK: Publishing

  func handle(_ send: SendCommand, _ payload: ByteBuffer?) {
    guard case .open(let topic, let producer, let outbox) = producers[send.producerID] else {
      // A producer that was closed a moment ago: its client knows that nothing it still sends is stored.
      return
    }
    let payload = payload ?? ByteBuffer()
    pendingPublishes += 1
    pendingPublishBytes += payload.readableBytes
    let limit = broker.configuration.maxMessageSize
    outbox.append(.publish(topic, producer, PublishRequest(send, payload: payload, maxMessageSize: limit)))
    if pendingPublishes >= broker.configuration.maxPendingPublishRequestsPerConnection
      || pendingPublishBytes >= broker.configuration.maxPendingPublishBytesPerConnection
    {
      pauseReading()
    }
  }

  private func pauseReading() {
    guard !isReadingPaused else { return }
    isReadingPaused = true
    _ = channel?.setOption(.autoRead, value: false)
  }

  private func resumeReading() {
    guard isReadingPaused,
      pendingPublishes <= broker.configuration.maxPendingPublishRequestsPerConnection / 2,
      pendingPublishBytes <= broker.configuration.maxPendingPublishBytesPerConnection / 2
    else { return }
    isReadingPaused = false
    _ = channel?.setOption(.autoRead, value: true)
    channel?.read()
  }

  /// What topics answer, in order: one buffer, one write.
  private func receive(_ replies: [PublishReply]) {
    eventLoop.assertInEventLoop()
    guard !isClosed else { return }
    var buffer = ByteBuffer()
    for reply in replies {
      // A body is counted with the bytes that its topic saw; what a session stripped from its front is settled too.
      pendingPublishes = max(0, pendingPublishes - reply.settled)
      pendingPublishBytes = max(0, pendingPublishBytes - reply.settledBytes)
      encode(reply, into: &buffer)
    }
    if pendingPublishes == 0 { pendingPublishBytes = 0 }
    if buffer.readableBytes > 0 { write(buffer, flush: true) }
    resumeReading()
  }

  private func encode(_ reply: PublishReply, into buffer: inout ByteBuffer) {
    guard producers[reply.producerID] != nil else {
      if case .closedByClient(let requestID) = reply.outcome { encode(.success(requestID), into: &buffer) }
      return
    }
    switch reply.outcome {
    case .receipt(let sequenceID, let highest, let position):
      PulsarFrameEncoder.encode(
        SendReceiptCommand(
          producerID: reply.producerID, sequenceID: sequenceID,
          messageID: MessageIDData(ledgerID: position.ledgerID, entryID: position.entryID), highestSequenceID: highest),
        into: &buffer)
    case .watermark(let sequenceID, let stamp):
      PulsarFrameEncoder.encode(
        SendReceiptCommand(producerID: reply.producerID, sequenceID: sequenceID, watermark: stamp), into: &buffer)
    case .failed(let sequenceID, let error, let message):
      encode(.sendError(reply.producerID, sequenceID: sequenceID, error, message), into: &buffer)
    case .silent: break
    case .closedByBroker:
      producers[reply.producerID] = nil
      encode(.closeProducer(reply.producerID), into: &buffer)
    case .closedByClient(let requestID):
      producers[reply.producerID] = nil
      encode(.success(requestID), into: &buffer)
    case .ready(let requestID, let topicEpoch):
      guard case .open(_, let producer, _) = producers[reply.producerID] else { break }
      var success = ProtoCommandProducerSuccess()
      success.requestID = requestID
      success.producerName = producer.name
      success.topicEpoch = UInt64(bitPattern: topicEpoch)
      success.producerReady = true
      encode(ProtoBaseCommand(success), into: &buffer)
    case .refused(let requestID, let error, let message):
      producers[reply.producerID] = nil
      encode(.error(requestID, error, message), into: &buffer)
    }
  }

  // MARK: Writing

  func write(_ buffer: ByteBuffer, flush: Bool) {
    guard !isClosed, let channel else { return }
    if flush {
      channel.writeAndFlush(buffer, promise: nil)
    } else {
      channel.write(buffer, promise: nil)
    }
  }

  /// Sends one cold command.
  func send(_ command: ProtoBaseCommand) {
    eventLoop.assertInEventLoop()
    var buffer = ByteBuffer()
    encode(command, into: &buffer)
    write(buffer, flush: true)
  }

  private func encode(_ command: ProtoBaseCommand, into buffer: inout ByteBuffer) {
    do {
      try PulsarFrameEncoder.encode(command, into: &buffer)
    } catch {
      logger.error("a command could not be encoded", metadata: ["type": "\(command.type)", "reason": "\(error)"])
    }
  }

  /// Sends entries to one consumer, as they are stored.
  func deliver(_ batch: [Delivery], to sink: SessionConsumerSink) {
    eventLoop.assertInEventLoop()
    guard !isClosed, let channel, sink.isAttached, let client else { return }
    let keepsBrokerMetadata = client.features.supportsBrokerEntryMetadata
    var buffer = ByteBuffer()
    for delivery in batch {
      var entry = delivery.entry
      if !keepsBrokerMetadata { entry.moveReaderIndex(forwardBy: delivery.brokerMetadataLength) }
      PulsarFrameEncoder.encode(
        MessageCommand(
          consumerID: sink.consumerID,
          messageID: MessageIDData(
            ledgerID: delivery.position.ledgerID, entryID: delivery.position.entryID, partition: sink.partition),
          redeliveryCount: delivery.redeliveryCount, ackSet: delivery.ackSet ?? []),
        payloadLength: entry.readableBytes, into: &buffer)
      if entry.readableBytes <= Self.copyLimit {
        buffer.writeImmutableBuffer(entry)
      } else {
        channel.write(buffer, promise: nil)
        channel.write(entry, promise: nil)
        buffer = ByteBuffer()
      }
    }
    if buffer.readableBytes > 0 { channel.write(buffer, promise: nil) }
    channel.flush()
  }
}
