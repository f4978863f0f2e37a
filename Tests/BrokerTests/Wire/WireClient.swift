import Checksums
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import PulsarWire
import TestSupport
import Transport

/// A client made of frames: says what a test wants it to say, and shows what came back.
final class WireClient: Sendable {
  typealias Features = ProtoFeatureFlags

  private let channel: any Channel
  private let inbox: Inbox

  static func connect(
    port: Int, tls: TLSContext? = nil, handshake: Bool = true, _ features: (inout Features) -> Void = { _ in }
  ) async throws -> WireClient {
    let inbox = Inbox()
    let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          if let tls {
            try channel.pipeline.syncOperations.addHandler(TLSHandler(context: tls, serverHostname: "127.0.0.1"))
          }
          try channel.pipeline.syncOperations.addHandlers(
            ByteToMessageHandler(PulsarFrameDecoder()), InboxHandler(inbox: inbox))
        }
      }
      .connect(host: "127.0.0.1", port: port).get()
    let client = WireClient(channel: channel, inbox: inbox)
    guard handshake else { return client }
    var connect = ProtoCommandConnect()
    connect.clientVersion = "test"
    connect.protocolVersion = 20
    connect.authMethodName = "none"
    features(&connect.featureFlags)
    try await client.send(ProtoBaseCommand(connect))
    _ = try await client.receive(.connected)
    return client
  }

  private init(channel: any Channel, inbox: Inbox) {
    self.channel = channel
    self.inbox = inbox
  }

  func close() async throws {
    try? await channel.close().get()
  }

  /// Waits until the broker has closed the connection.
  func closed() async throws {
    try await inbox.closed()
  }

  // MARK: Sending

  func send(_ command: ProtoBaseCommand) async throws {
    var buffer = ByteBuffer()
    try PulsarFrameEncoder.encode(command, into: &buffer)
    try await channel.writeAndFlush(buffer)
  }

  func send(bytes: [UInt8]) async throws {
    try await channel.writeAndFlush(ByteBuffer(bytes: bytes))
  }

  func send(_ command: SendCommand, _ entry: ByteBuffer) async throws {
    var buffer = ByteBuffer()
    PulsarFrameEncoder.encode(command, payloadLength: entry.readableBytes, into: &buffer)
    buffer.writeImmutableBuffer(entry)
    try await channel.writeAndFlush(buffer)
  }

  func flow(_ consumerID: UInt64, _ permits: UInt32) async throws {
    var buffer = ByteBuffer()
    PulsarFrameEncoder.encode(FlowCommand(consumerID: consumerID, messagePermits: permits), into: &buffer)
    try await channel.writeAndFlush(buffer)
  }

  func ack(_ command: AckCommand) async throws {
    var buffer = ByteBuffer()
    PulsarFrameEncoder.encode(command, into: &buffer)
    try await channel.writeAndFlush(buffer)
  }

  /// An entry as a client makes it: checksum, metadata, payload.
  static func entry(
    _ payload: String, producer: String = "p", sequence: UInt64 = 0, corrupt: Bool = false,
    _ more: (inout ProtoMessageMetadata) -> Void = { _ in }
  ) throws -> ByteBuffer {
    var metadata = ProtoMessageMetadata()
    metadata.producerName = producer
    metadata.sequenceID = sequence
    metadata.publishTime = 1
    more(&metadata)
    let bytes: [UInt8] = try metadata.serializedBytes()
    var body = ByteBuffer()
    body.writeInteger(UInt32(bytes.count))
    body.writeBytes(bytes)
    body.writeString(payload)
    var entry = ByteBuffer()
    entry.writeInteger(PulsarProtocol.checksumMagic)
    entry.writeInteger(CRC32C.checksum(body) ^ (corrupt ? 1 : 0))
    entry.writeBuffer(&body)
    return entry
  }

  // MARK: Receiving

  /// The next cold command, which must be of the given type.
  func receive(_ type: ProtoBaseCommand.TypeEnum) async throws -> ProtoBaseCommand {
    let frame = try await inbox.next()
    guard case .other(let command) = frame.command, command.type == type else {
      throw TestSupportError("Expected \(type), got \(frame.command)")
    }
    return command
  }

  /// The next cold command, of any type.
  func nextCommand() async throws -> ProtoBaseCommand {
    let frame = try await inbox.next()
    guard case .other(let command) = frame.command else {
      throw TestSupportError("Expected a cold command, got \(frame.command)")
    }
    return command
  }

  func receipt() async throws -> SendReceiptCommand {
    let frame = try await inbox.next()
    guard case .sendReceipt(let receipt) = frame.command else {
      throw TestSupportError("Expected a receipt, got \(frame.command)")
    }
    return receipt
  }

  func message() async throws -> (command: MessageCommand, entry: ByteBuffer) {
    let frame = try await inbox.next()
    guard case .message(let message) = frame.command, let payload = frame.payload else {
      throw TestSupportError("Expected a message, got \(frame.command)")
    }
    return (message, payload)
  }

  /// The payload of the next message as text.
  func text() async throws -> String {
    String(buffer: try EntryHeader.parse(try await message().entry).payload)
  }

  // MARK: Requests

  @discardableResult
  func producer(
    _ topic: String, id: UInt64 = 1, name: String? = nil, _ more: (inout ProtoCommandProducer) -> Void = { _ in }
  ) async throws -> ProtoCommandProducerSuccess {
    try await sendProducer(topic, id: id, name: name, more)
    return try await receive(.producerSuccess).producerSuccess
  }

  func sendProducer(
    _ topic: String, id: UInt64 = 1, name: String? = nil, _ more: (inout ProtoCommandProducer) -> Void = { _ in }
  ) async throws {
    var command = ProtoCommandProducer()
    command.topic = topic
    command.producerID = id
    command.requestID = 100 + id
    if let name { command.producerName = name }
    more(&command)
    try await send(ProtoBaseCommand(command))
  }

  func sendSubscribe(
    _ topic: String, _ subscription: String, id: UInt64 = 1, _ more: (inout ProtoCommandSubscribe) -> Void = { _ in }
  ) async throws {
    var command = ProtoCommandSubscribe()
    command.topic = topic
    command.subscription = subscription
    command.subType = .exclusive
    command.consumerID = id
    command.requestID = 200 + id
    command.initialPosition = .earliest
    more(&command)
    try await send(ProtoBaseCommand(command))
  }

  func subscribe(
    _ topic: String, _ subscription: String, id: UInt64 = 1, permits: UInt32 = 1000,
    _ more: (inout ProtoCommandSubscribe) -> Void = { _ in }
  ) async throws {
    try await sendSubscribe(topic, subscription, id: id, more)
    _ = try await receive(.success)
    try await flow(id, permits)
  }
}

/// The frames that arrived and were not looked at yet.
private final class Inbox: Sendable {
  private struct State {
    var frames: [PulsarFrame] = []
    var isClosed = false
  }

  private let state = NIOLockedValueBox(State())

  func put(_ frame: PulsarFrame) { state.withLockedValue { $0.frames.append(frame) } }
  func close() { state.withLockedValue { $0.isClosed = true } }

  func next() async throws -> PulsarFrame {
    let deadline = ContinuousClock.now + .seconds(10)
    while ContinuousClock.now < deadline {
      let (frame, isClosed) = state.withLockedValue { state -> (PulsarFrame?, Bool) in
        (state.frames.isEmpty ? nil : state.frames.removeFirst(), state.isClosed)
      }
      if let frame {
        // Pings come whenever they like.
        if case .ping = frame.command { continue }
        return frame
      }
      if isClosed { throw TestSupportError("The broker closed the connection.") }
      try await Task.sleep(for: .milliseconds(1))
    }
    throw TestSupportError("Nothing came within ten seconds.")
  }

  func closed() async throws {
    let deadline = ContinuousClock.now + .seconds(10)
    while ContinuousClock.now < deadline {
      if state.withLockedValue({ $0.isClosed }) { return }
      try await Task.sleep(for: .milliseconds(1))
    }
    throw TestSupportError("The broker did not close the connection.")
  }
}

private final class InboxHandler: ChannelInboundHandler, Sendable {
  typealias InboundIn = PulsarFrame
  private let inbox: Inbox

  init(inbox: Inbox) { self.inbox = inbox }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) { inbox.put(unwrapInboundIn(data)) }
  func channelInactive(context: ChannelHandlerContext) { inbox.close() }
  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

extension CRC32C {
  static func checksum(_ buffer: ByteBuffer) -> UInt32 {
    buffer.withUnsafeReadableBytes { checksum($0) }
  }
}
