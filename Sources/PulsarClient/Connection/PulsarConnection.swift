import Logging
import NIOCore
import NIOPosix
import PulsarWire
import Transport

/// One connection to a broker, ready for use: requests by id, producers and consumers by theirs.
///
/// Confined to `eventLoop`: every method but ``connect(to:options:on:logger:)`` is called there.
public final class PulsarConnection: @unchecked Sendable {
  /// The loop it lives on.
  public let eventLoop: any EventLoop
  /// Which broker it talks to.
  public let address: ServiceAddress
  /// What the broker said of itself.
  public let server: ProtoCommandConnected
  /// Completes when it is closed.
  public var closeFuture: EventLoopFuture<Void> { channel.closeFuture }
  /// Called with each answer to ``ping(clockMs:)``: the echoed clock and the broker's own.
  public var onPong: ((_ echoedClockMs: Int64?, _ clockMs: Int64?) -> Void)?
  /// Called once when it becomes writable again.
  public var onWritable: [() -> Void] = []

  let channel: any Channel
  private let logger: Logger
  private let keepAliveInterval: TimeAmount
  private var requests: [UInt64: EventLoopPromise<ProtoBaseCommand>] = [:]
  private var producers: [UInt64: any ConnectionProducer] = [:]
  private var consumers: [UInt64: any ConnectionConsumer] = [:]
  private var touched: [any ConnectionConsumer] = []
  private var nextID: UInt64 = 0
  private var heardSinceKeepAlive = true
  private var keepAlive: RepeatedTask?
  private var closeReason: PulsarClientError?
  private var scratch = ByteBuffer()

  init(
    channel: any Channel, address: ServiceAddress, server: ProtoCommandConnected, keepAliveInterval: TimeAmount,
    logger: Logger
  ) {
    self.channel = channel
    self.eventLoop = channel.eventLoop
    self.address = address
    self.server = server
    self.keepAliveInterval = keepAliveInterval
    self.logger = logger
    keepAlive = eventLoop.scheduleRepeatedTask(initialDelay: keepAliveInterval, delay: keepAliveInterval) {
      [weak self] _ in self?.checkAlive()
    }
  }

  /// Largest message that the broker takes, in bytes.
  public var maxMessageSize: Int {
    server.hasMaxMessageSize ? Int(server.maxMessageSize) : PulsarProtocol.defaultMaxMessageSize
  }

  /// The Meridian region at the other end, if it is one.
  public var peer: ProtoMeridianPeer? {
    server.hasFeatureFlags && server.featureFlags.hasMeridian ? server.featureFlags.meridian : nil
  }

  /// Whether it can still be used.
  public var isActive: Bool { channel.isActive && closeReason == nil }

  /// Whether writes go out without piling up.
  public var isWritable: Bool { channel.isWritable }

  /// A new id for a request, producer or consumer.
  public func makeID() -> UInt64 {
    eventLoop.assertInEventLoop()
    nextID += 1
    return nextID
  }

  // MARK: - Requests

  /// Sends a request and waits for the answer that carries its id; `ERROR` answers fail it.
  ///
  /// - Parameters:
  ///   - command: the request, with `id` in it.
  ///   - id: its request id.
  ///   - timeout: how long to wait.
  public func request(_ command: ProtoBaseCommand, id: UInt64, timeout: TimeAmount = .seconds(30)) -> EventLoopFuture<
    ProtoBaseCommand
  > {
    awaitAnswer(to: id, timeout: timeout) { self.send(command) }
  }

  /// Sends an acknowledgement and waits until the broker confirms it; its answer may carry an error.
  public func request(_ ack: AckCommand, timeout: TimeAmount = .seconds(30)) -> EventLoopFuture<ProtoBaseCommand> {
    var ack = ack
    let id = makeID()
    ack.requestID = id
    return awaitAnswer(to: id, timeout: timeout) { self.send(ack) }
  }

  private func awaitAnswer(to id: UInt64, timeout: TimeAmount, _ send: () -> Void) -> EventLoopFuture<ProtoBaseCommand>
  {
    eventLoop.assertInEventLoop()
    let promise = eventLoop.makePromise(of: ProtoBaseCommand.self)
    guard isActive else {
      promise.fail(closeReason ?? .connection("the connection to \(address) is closed"))
      return promise.futureResult
    }
    requests[id] = promise
    let address = self.address
    let timer = eventLoop.scheduleTask(in: timeout) { [weak self] in
      let seconds = timeout.nanoseconds / 1_000_000_000
      self?.requests.removeValue(forKey: id)?.fail(
        PulsarClientError.timeout("\(address) did not answer a request within \(seconds) s"))
    }
    promise.futureResult.whenComplete { _ in timer.cancel() }
    send()
    return promise.futureResult
  }

  /// Sends a command that has no answer, or whose answer goes to a producer or consumer.
  public func send(_ command: ProtoBaseCommand) {
    eventLoop.assertInEventLoop()
    var buffer = channel.allocator.buffer(capacity: 256)
    do {
      try PulsarFrameEncoder.encode(command, into: &buffer)
      channel.writeAndFlush(buffer, promise: nil)
    } catch {
      close(.invalidConfiguration("a command could not be encoded: \(error)"))
    }
  }

  /// Sends a ping with a clock; the answer goes to ``onPong``.
  public func ping(clockMs: Int64) {
    eventLoop.assertInEventLoop()
    var buffer = channel.allocator.buffer(capacity: 32)
    PulsarFrameEncoder.encodePing(clockMs: clockMs, into: &buffer)
    channel.writeAndFlush(buffer, promise: nil)
  }

  /// Writes bytes that are frames already; nothing leaves before ``flush()``.
  public func write(_ frames: ByteBuffer) {
    eventLoop.assertInEventLoop()
    channel.write(frames, promise: nil)
  }

  /// Lets everything that was written go.
  public func flush() {
    channel.flush()
  }

  /// Sends an acknowledgement.
  public func send(_ ack: AckCommand) {
    var buffer = channel.allocator.buffer(capacity: 64)
    PulsarFrameEncoder.encode(ack, into: &buffer)
    channel.writeAndFlush(buffer, promise: nil)
  }

  /// Gives a consumer's permits.
  public func send(_ flow: FlowCommand) {
    var buffer = channel.allocator.buffer(capacity: 32)
    PulsarFrameEncoder.encode(flow, into: &buffer)
    channel.writeAndFlush(buffer, promise: nil)
  }

  // MARK: - Producers and consumers

  /// Hands what concerns producer `id` to `producer` from now on.
  public func register(_ producer: any ConnectionProducer, id: UInt64) {
    eventLoop.assertInEventLoop()
    producers[id] = producer
  }

  /// Hands what concerns consumer `id` to `consumer` from now on.
  public func register(_ consumer: any ConnectionConsumer, id: UInt64) {
    eventLoop.assertInEventLoop()
    consumers[id] = consumer
  }

  /// Forgets a producer; what still comes for it is dropped.
  public func unregister(producer id: UInt64) {
    producers[id] = nil
  }

  /// Forgets a consumer; what still comes for it is dropped.
  public func unregister(consumer id: UInt64) {
    consumers[id] = nil
  }

  /// Closes the connection; everything that waits on it fails with the reason.
  public func close(_ reason: PulsarClientError = .closed) {
    eventLoop.assertInEventLoop()
    guard closeReason == nil else { return }
    closeReason = reason
    channel.close(promise: nil)
  }

  // MARK: - From the channel

  func received(_ frame: PulsarFrame) {
    heardSinceKeepAlive = true
    switch frame.command {
    case .message(let message):
      guard let consumer = consumers[message.consumerID], let entry = frame.payload else { return }
      if touched.last !== consumer { touched.append(consumer) }
      consumer.received(message: message, entry: entry)
    case .sendReceipt(let receipt): producers[receipt.producerID]?.received(receipt: receipt)
    case .ping(let clockMs):
      var buffer = channel.allocator.buffer(capacity: 32)
      PulsarFrameEncoder.encodePong(echoedClockMs: clockMs, into: &buffer)
      channel.writeAndFlush(buffer, promise: nil)
    case .pong(let echoedClockMs, let clockMs): onPong?(echoedClockMs, clockMs)
    case .other(let command): received(command)
    case .send, .ack, .flow: close(.corrupt("\(address) sent a command that only clients send"))
    }
  }

  func readComplete() {
    guard !touched.isEmpty else { return }
    let consumers = touched
    touched.removeAll(keepingCapacity: true)
    for consumer in consumers { consumer.receivedAll() }
  }

  func writabilityChanged() {
    guard channel.isWritable, !onWritable.isEmpty else { return }
    let waiting = onWritable
    onWritable.removeAll()
    for notify in waiting { notify() }
  }

  func failed(_ error: any Error) {
    close(.connection("the connection to \(address) failed: \(ErrorText.describe(error))"))
  }

  func closed() {
    keepAlive?.cancel()
    keepAlive = nil
    let reason = closeReason ?? .connection("\(address) closed the connection")
    closeReason = reason
    let requests = self.requests
    let producers = self.producers
    let consumers = self.consumers
    self.requests.removeAll()
    self.producers.removeAll()
    self.consumers.removeAll()
    onWritable.removeAll()
    for promise in requests.values { promise.fail(reason) }
    for producer in producers.values { producer.connectionClosed(reason) }
    for consumer in consumers.values { consumer.connectionClosed(reason) }
  }

  private func received(_ command: ProtoBaseCommand) {
    switch command.type {
    case .sendError: producers[command.sendError.producerID]?.received(error: command.sendError)
    case .closeProducer:
      producers.removeValue(forKey: command.closeProducer.producerID)?.closedByBroker(command.closeProducer)
    case .closeConsumer:
      consumers.removeValue(forKey: command.closeConsumer.consumerID)?.closedByBroker(command.closeConsumer)
    case .activeConsumerChange:
      consumers[command.activeConsumerChange.consumerID]?.activeChanged(command.activeConsumerChange.isActive)
    case .reachedEndOfTopic: consumers[command.reachedEndOfTopic.consumerID]?.reachedEndOfTopic()
    case .error:
      let error = PulsarClientError.broker(command.error.error, command.error.message)
      guard let promise = requests.removeValue(forKey: command.error.requestID) else {
        logger.debug("\(address) reports an error for no request: \(error)")
        return
      }
      promise.fail(error)
    case .producerSuccess where command.producerSuccess.producerReady == false:
      break  // queued for exclusive access; the same request is answered again
    default:
      guard let id = command.answeredRequestID else {
        logger.debug("\(address) sent \(command.type), which nobody waits for")
        return
      }
      requests.removeValue(forKey: id)?.succeed(command)
    }
  }

  private func checkAlive() {
    guard heardSinceKeepAlive else {
      let seconds = 2 * keepAliveInterval.nanoseconds / 1_000_000_000
      close(.connection("nothing came from \(address) for \(seconds) s"))
      return
    }
    heardSinceKeepAlive = false
    var buffer = channel.allocator.buffer(capacity: 16)
    PulsarFrameEncoder.encodePing(into: &buffer)
    channel.writeAndFlush(buffer, promise: nil)
  }
}

extension ProtoBaseCommand {
  /// The id of the request that this command answers.
  fileprivate var answeredRequestID: UInt64? {
    switch type {
    case .success: success.requestID
    case .producerSuccess: producerSuccess.requestID
    case .partitionedMetadataResponse: partitionMetadataResponse.requestID
    case .lookupResponse: lookupTopicResponse.requestID
    case .consumerStatsResponse: consumerStatsResponse.requestID
    case .getLastMessageIDResponse: getLastMessageIDResponse.requestID
    case .getTopicsOfNamespaceResponse: getTopicsOfNamespaceResponse.requestID
    case .getSchemaResponse: getSchemaResponse.requestID
    case .getOrCreateSchemaResponse: getOrCreateSchemaResponse.requestID
    case .ackResponse: ackResponse.hasRequestID ? ackResponse.requestID : nil
    default: nil
    }
  }
}
