import Atomics
import DequeModule
import Logging
import NIOCore
import PulsarWire
import Transport

/// One client's connection: reads frames, passes them on to topics, writes what comes back.
///
/// Confined to the connection's loop. It decides nothing about messages: it knows which producer and consumer ids are
/// open on the connection, keeps the requests of each in order, and bounds what is in flight.
final class ClientSession: ChannelDuplexHandler, @unchecked Sendable {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  /// A producer of this connection. A client may use an id again: `life` tells one producer from the next.
  enum ProducerState {
    /// Being created; the flag says that the client closed it meanwhile.
    case opening(life: UInt64, requestID: UInt64, isCancelled: Bool)
    case open(life: UInt64, LoadedTopic, TopicProducer, TopicOutbox)

    var life: UInt64 {
      switch self {
      case .opening(let life, _, _), .open(let life, _, _, _): life
      }
    }
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
  /// Who is at the other end, once a TLS handshake said so.
  private(set) var certificate: TLSPeer?

  /// nil until the client has said CONNECT.
  var client: ConnectedClient?
  var producers: [UInt64: ProducerState] = [:]
  var consumers: [UInt64: ConsumerState] = [:]
  var address = ""
  var outboxes: [ObjectIdentifier: TopicOutbox] = [:]
  private var processor: NIOSingleStepByteToMessageProcessor<PulsarFrameDecoder>
  let pending: PendingPublishes
  var pendingRequests = 0
  var lastProducerLife: UInt64 = 0
  /// Waiting producers whose turn came while they were created, with their topic epochs.
  var earlyReady: [UInt64: Int64] = [:]
  var gate = ReadGate()
  /// What was read and waits for the gate.
  var held: Deque<ByteBuffer> = []
  private var isDecoding = false
  var context: ChannelHandlerContext?
  private var unwritableTicks = 0
  /// Topics whose publish rate is used up.
  var holders: Set<ObjectIdentifier> = []
  /// What clients published in the buffer at hand, for the broker's publish rate.
  var published = (messages: 0, bytes: 0)
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
    pending = PendingPublishes(buffer: broker.publishBuffer)
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
    self.context = context
    address =
      context.channel.remoteAddress.map { address in
        address.ipAddress.map { "/\($0):\(address.port ?? 0)" } ?? "\(address)"
      } ?? ""
    logger[metadataKey: "client"] = "\(address)"
    if context.channel.isActive { start() }
  }

  func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

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
    held.append(unwrapInboundIn(data))
    decodeHeld()
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    flushOutboxes()
    context.flush()
  }

  /// Handles what was read, one buffer after the other, as long as the gate is open.
  func decodeHeld() {
    // Answering may make the connection writable again and lead here once more.
    guard !isDecoding else { return }
    isDecoding = true
    defer { isDecoding = false }
    while gate.isOpen, let buffer = held.popFirst() {
      do {
        try processor.process(buffer: buffer) { frame in
          if !isClosed { handle(frame) }
        }
      } catch {
        held = []
        return abort("\(error)")
      }
      pending.report()
      shutIfTooMuchIsPending()
      takeFromBrokerRate()
    }
  }

  func read(context: ChannelHandlerContext) {
    if gate.read() { context.read() }
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    let isWritable = context.channel.isWritable
    writable.store(isWritable, ordering: .relaxed)
    unwritableTicks = 0
    if isWritable {
      openGate(.unwritable)
      for case .open(_, _, let consumer, _, let outbox) in consumers.values {
        outbox.append(.sinkBecameWritable(consumer))
      }
      flushOutboxes()
    } else if broker.configuration.pulsarChannelPauseReceivingRequestsIfUnwritable {
      gate.shut(.unwritable)
    }
    context.fireChannelWritabilityChanged()
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if let handshake = event as? TLSHandshakeCompleted { certificate = handshake.peer }
    context.fireUserInboundEventTriggered(event)
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
    broker.publishBuffer.stopWaiting(id)
    pending.report()
    for case .open(_, let topic, let producer, let outbox) in producers.values {
      outbox.append(.closeProducer(topic, producer, requestID: nil))
    }
    for case .open(_, _, let consumer, let sink, let outbox) in consumers.values {
      sink.detach()
      outbox.eventLoop.execute { consumer.close() }
    }
    producers = [:]
    consumers = [:]
    held = []
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
    if !isWritable {
      // What was written before has not gone out: more of it would not be seen either.
      unwritableTicks += 1
      if unwritableTicks > 4 { abort("it took nothing of what it was sent for four keep-alive intervals") }
      return
    }
    if hasReadSinceTick || !gate.isOpen {
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
      let answer = try? await eventLoop.submit { () -> (reads: UInt64, isUnread: Bool)? in
        // What is not read because we do not want to says nothing about the other end.
        self.isClosed ? nil : (self.reads, !self.gate.reasons.subtracting(.unwritable).isEmpty)
      }.get()
      guard let answer else { return false }
      if answer.reads != before || answer.isUnread { return true }
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
      receive: { [weak self, pending] replies in
        pending.settle(replies)
        self?.receive(replies)
      })
    let outbox = TopicOutbox(eventLoop: loop, port: port)
    outboxes[ObjectIdentifier(loop)] = outbox
    return outbox
  }

  func flushOutboxes() {
    for outbox in outboxes.values {
      if outbox.flush() { mark(outbox) }
      if outbox.isBehind { gate.shut(.topics) }
    }
  }

  // MARK: Publishing

  func handle(_ send: SendCommand, _ payload: ByteBuffer?) {
    guard case .open(_, let topic, let producer, let outbox) = producers[send.producerID] else {
      // A producer that was closed a moment ago: its client knows that nothing it still sends is stored.
      return
    }
    let limit = broker.configuration.maxMessageSize
    let request = PublishRequest(send, payload: payload ?? ByteBuffer(), maxMessageSize: limit)
    // As the topic counts it when it answers.
    pending.add(bytes: request.body.readableBytes)
    outbox.append(.publish(topic, producer, request))
    if broker.publishLimit != nil, !producer.kind.isReplicator {
      published.messages += request.messages
      published.bytes += request.body.readableBytes
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

  func encode(_ command: ProtoBaseCommand, into buffer: inout ByteBuffer) {
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
