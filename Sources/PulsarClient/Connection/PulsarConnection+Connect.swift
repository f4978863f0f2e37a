import Logging
import NIOCore
import NIOPosix
import PulsarWire
import Transport

extension PulsarConnection {
  /// Connects to a broker and introduces the client; the connection is ready for requests.
  ///
  /// - Parameters:
  ///   - address: the broker; TLS verifies this name also when a proxy is connected to.
  ///   - options: how.
  ///   - eventLoop: where the connection lives.
  /// - Returns: the connection, or a failure with a ``PulsarClientError``.
  public static func connect(
    to address: ServiceAddress, options: ConnectionOptions, on eventLoop: any EventLoop, logger: Logger
  ) -> EventLoopFuture<PulsarConnection> {
    let promise = eventLoop.makePromise(of: PulsarConnection.self)
    let tls: TLSContext?
    if address.isTLS {
      do {
        tls = try options.tls ?? TLSContext(TLSConfiguration(), role: .client)
      } catch {
        promise.fail(PulsarClientError.connection(ErrorText.describe(error)))
        return promise.futureResult
      }
    } else {
      tls = nil
    }
    let physical = options.proxy ?? address
    EventLoops.clientBootstrap(group: eventLoop, connectTimeout: options.connectionTimeout)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let pipeline = channel.pipeline.syncOperations
          let handshake = ConnectHandler(address: address, options: options, logger: logger, promise: promise)
          if let tls {
            try pipeline.addHandler(
              TLSHandler(context: tls, serverHostname: address.host, handshakeTimeout: options.connectionTimeout) {
                result in handshake.handshakeCompleted(result)
              })
          }
          try pipeline.addHandler(handshake)
        }
      }
      .connect(host: physical.host, port: physical.port)
      .whenFailure { error in
        promise.fail(PulsarClientError.connection("cannot connect to \(physical): \(ErrorText.describe(error))"))
      }
    return promise.futureResult
  }
}

/// Brings a new channel to the point where it is a ``PulsarConnection``, then feeds it.
private final class ConnectHandler: ChannelInboundHandler, @unchecked Sendable {
  typealias InboundIn = ByteBuffer

  private let address: ServiceAddress
  private let options: ConnectionOptions
  private let logger: Logger
  private var promise: EventLoopPromise<PulsarConnection>?
  private var connection: PulsarConnection?
  private var timer: Scheduled<Void>?
  private var tlsError: TLSError?
  private let frames = NIOSingleStepByteToMessageProcessor(PulsarFrameDecoder())

  init(
    address: ServiceAddress, options: ConnectionOptions, logger: Logger, promise: EventLoopPromise<PulsarConnection>
  ) {
    self.address = address
    self.options = options
    self.logger = logger
    self.promise = promise
  }

  func handshakeCompleted(_ result: Result<TLSPeer, TLSError>) {
    if case .failure(let error) = result {
      tlsError = error
      fail(failure(error))
    }
  }

  /// A refused certificate stays refused; a handshake that broke off may work the next time.
  private func failure(_ error: TLSError) -> PulsarClientError {
    let sentence = "TLS with \(address) failed: \(ErrorText.describe(error))"
    switch error {
    case .configuration, .notTLS, .versionMismatch, .certificateRejected, .hostnameMismatch, .missingPeerCertificate,
      .refusedByPeer:
      return .tls(sentence)
    case .handshakeTimeout, .closedDuringHandshake, .closed, .protocolViolation: return .connection(sentence)
    }
  }

  func channelActive(context: ChannelHandlerContext) {
    let timeout = options.connectionTimeout + options.connectionTimeout
    timer = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) { [weak self] in
      guard let self, self.promise != nil else { return }
      self.fail(
        "\(self.address) accepted the connection but did not answer CONNECT within \(timeout.nanoseconds / 1_000_000_000) s"
      )
      context.close(promise: nil)
    }
    var connect = ProtoCommandConnect()
    connect.clientVersion = options.clientVersion
    connect.protocolVersion = PulsarProtocol.version
    connect.authMethodName = options.authentication?.method ?? "none"
    if let data = options.authentication?.data { connect.authData = .init(data) }
    connect.featureFlags = options.featureFlags
    if options.proxy != nil { connect.proxyToBrokerURL = "\(address.host):\(address.port)" }
    var buffer = context.channel.allocator.buffer(capacity: 256)
    do {
      try PulsarFrameEncoder.encode(ProtoBaseCommand(connect), into: &buffer)
      context.writeAndFlush(NIOAny(buffer), promise: nil)
    } catch {
      fail("CONNECT could not be encoded: \(error)")
      context.close(promise: nil)
    }
    context.fireChannelActive()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    do {
      try frames.process(buffer: unwrapInboundIn(data)) { frame in self.received(frame, context) }
    } catch {
      fail("\(address) sent what is no frame of the protocol: \(error)")
      connection?.close(.corrupt("\(address) sent what is no frame of the protocol: \(error)"))
      context.close(promise: nil)
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    connection?.readComplete()
    context.fireChannelReadComplete()
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    connection?.writabilityChanged()
    context.fireChannelWritabilityChanged()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if let connection {
      connection.failed(error)
    } else {
      if let error = tlsError ?? error as? TLSError {
        fail(failure(error))
      } else {
        fail("the connection to \(address) failed: \(ErrorText.describe(error))")
      }
      context.close(promise: nil)
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    timer?.cancel()
    fail("\(address) closed the connection before it answered CONNECT")
    connection?.closed()
    context.fireChannelInactive()
  }

  private func received(_ frame: PulsarFrame, _ context: ChannelHandlerContext) {
    if let connection {
      connection.received(frame)
      return
    }
    guard case .other(let command) = frame.command else {
      fail("\(address) did not begin with CONNECTED")
      context.close(promise: nil)
      return
    }
    switch command.type {
    case .connected:
      timer?.cancel()
      let connection = PulsarConnection(
        channel: context.channel, address: address, server: command.connected,
        keepAliveInterval: options.keepAliveInterval, logger: logger)
      self.connection = connection
      let promise = self.promise
      self.promise = nil
      promise?.succeed(connection)
    case .error:
      let promise = self.promise
      self.promise = nil
      promise?.fail(PulsarClientError.broker(command.error.error, command.error.message))
      context.close(promise: nil)
    default:
      fail("\(address) answered CONNECT with \(command.type)")
      context.close(promise: nil)
    }
  }

  private func fail(_ sentence: String) {
    fail(.connection(sentence))
  }

  private func fail(_ error: PulsarClientError) {
    let promise = self.promise
    self.promise = nil
    promise?.fail(error)
  }
}
