import NIOCore
import NIOHTTP1
import NIOPosix
import Transport

/// One HTTP/1.1 connection of an `AdminClient`: one request at a time.
struct AdminConnection: Sendable {
  struct Request: Sendable {
    var method: String
    var target: String
    var headers: [(String, String)]
    var body: [UInt8]?
  }

  struct Answer: Sendable {
    var status: Int
    var headers: [(String, String)]
    var body: [UInt8]
    var isReusable: Bool
  }

  let channel: any Channel

  static func connect(
    to url: AdminURL, tls: TLSContext?, group: any EventLoopGroup, timeout: TimeAmount, maximumAnswer: Int
  ) async throws -> AdminConnection {
    let handshakes = tls.map { _ in group.any().makePromise(of: Void.self) }
    do {
      let channel = try await EventLoops.clientBootstrap(group: group, connectTimeout: timeout)
        .channelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            let pipeline = channel.pipeline.syncOperations
            if let tls {
              try pipeline.addHandler(
                TLSHandler(context: tls, serverHostname: url.host) { result in
                  handshakes?.completeWith(result.map { _ in }.mapError { $0 as any Error })
                })
            }
            try pipeline.addHTTPClientHandlers()
            try pipeline.addHandler(ExchangeHandler(maximumAnswer: maximumAnswer))
          }
        }.connect(host: url.host, port: url.port).get()
      if let handshakes {
        channel.closeFuture.whenComplete { _ in handshakes.fail(ChannelError.eof) }
        try await handshakes.futureResult.get()
      }
      return AdminConnection(channel: channel)
    } catch {
      handshakes?.fail(error)
      throw error
    }
  }

  /// Sends a request and waits for the whole answer.
  func send(_ request: Request) async throws -> Answer {
    let promise = channel.eventLoop.makePromise(of: Answer.self)
    channel.writeAndFlush(ExchangeHandler.Exchange(request: request, promise: promise)).cascadeFailure(to: promise)
    return try await promise.futureResult.get()
  }

  func close() {
    channel.close(promise: nil)
  }
}

/// Writes a request, collects its answer. Confined to the channel's event loop, as every handler.
private final class ExchangeHandler: ChannelDuplexHandler {
  typealias InboundIn = HTTPClientResponsePart
  typealias OutboundIn = Exchange
  typealias OutboundOut = HTTPClientRequestPart

  struct Exchange: Sendable {
    var request: AdminConnection.Request
    var promise: EventLoopPromise<AdminConnection.Answer>
  }

  private let maximumAnswer: Int
  private var current: EventLoopPromise<AdminConnection.Answer>?
  private var head: HTTPResponseHead?
  private var body: [UInt8] = []

  init(maximumAnswer: Int) {
    self.maximumAnswer = maximumAnswer
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    let exchange = unwrapOutboundIn(data)
    guard current == nil, context.channel.isActive else {
      promise?.fail(ChannelError.ioOnClosedChannel)
      return
    }
    current = exchange.promise
    head = nil
    body = []
    let request = exchange.request
    let head = HTTPRequestHead(
      version: .http1_1, method: HTTPMethod(rawValue: request.method), uri: request.target,
      headers: HTTPHeaders(request.headers))
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    if let bytes = request.body {
      context.write(wrapOutboundOut(.body(.byteBuffer(context.channel.allocator.buffer(bytes: bytes)))), promise: nil)
    }
    context.write(wrapOutboundOut(.end(nil)), promise: promise)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head):
      self.head = head
    case .body(let bytes):
      guard body.count + bytes.readableBytes <= maximumAnswer else {
        fail(AdminFailure(0, "the answer is larger than \(maximumAnswer) bytes"))
        context.close(promise: nil)
        return
      }
      body.append(contentsOf: bytes.readableBytesView)
    case .end:
      guard let head, let current else { return }
      // A final answer follows an informational one.
      if (100..<200).contains(head.status.code) { return }
      self.current = nil
      current.succeed(
        AdminConnection.Answer(
          status: Int(head.status.code), headers: head.headers.map { ($0.name, $0.value) }, body: body,
          isReusable: head.isKeepAlive))
      body = []
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    fail(AdminFailure(0, "the connection was closed before the answer came"))
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    fail(error)
    context.close(promise: nil)
  }

  private func fail(_ error: any Error) {
    current?.fail(error)
    current = nil
  }
}
