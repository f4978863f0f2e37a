import BookieWire
import Logging
import NIOCore
import Transport

/// One client's socket: frames in, requests to the session; answers out, one flush per delivery.
///
/// Confined to the channel's loop, except for `deliver`.
final class BookieConnectionHandler: ChannelDuplexHandler, ReplyTarget, @unchecked Sendable {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = Never
  typealias OutboundOut = ByteBuffer

  let wantsEncodedReceipts = true
  private let eventLoop: any EventLoop
  private let logger: Logger
  private var session: BookieSession
  private var reader: BookieFrameReader
  /// A write of its own costs more than copying an entry of this size.
  private var writer = BookieFrameWriter(gatherLimit: 16 * 1024)
  private var context: ChannelHandlerContext?
  private var receivedBytes = 0
  /// Reads that are not answered yet.
  private var reads = 0
  private let maximumReads: Int
  private var isReadPending = false
  /// What START_TLS is answered with; nil: it is refused.
  private let tls: TLSContext?
  private var isEncrypted = false

  init(
    eventLoop: any EventLoop, storage: BookieStorage, maximumFrameSize: Int, tls: TLSContext?, logger: Logger
  ) {
    self.eventLoop = eventLoop
    self.tls = tls
    self.logger = logger
    maximumReads = storage.configuration.maximumReadsPerConnection
    session = BookieSession(storage: storage)
    reader = BookieFrameReader(maximumFrameLength: maximumFrameSize)
  }

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    self.context = nil
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let bytes = unwrapInboundIn(data)
    receivedBytes += bytes.readableBytes
    reader.append(bytes)
    var hasAnswers = false
    do {
      while let frame = try reader.nextFrame() {
        if BookieStartTLS.isVersion3(frame) {
          try startTLS(frame, context)
          continue
        }
        let response: BookieResponse?
        do throws(BookieWireError) {
          let request = try BookieRequest(decoding: frame)
          if !isEncrypted, tls?.configuration.clientAuth == .required, let refusal = request.failure(.unauthorized) {
            response = refusal
          } else {
            reads += Self.weight(request)
            response = session.receive(request, from: self, capacity: min(receivedBytes, 256 * 1024))
          }
        } catch .unsupportedVersion(_, let answer?) {
          response = answer
        }
        guard let response else { continue }
        write(response, context)
        hasAnswers = true
      }
    } catch {
      logger.warning("A client is disconnected.", metadata: ["client": "\(remote(context))", "error": "\(error)"])
      context.close(promise: nil)
      return
    }
    if hasAnswers { finish(context) }
  }

  /// The answer goes out in the clear, everything after it, in both directions, is TLS.
  private func startTLS(_ frame: ByteBuffer, _ context: ChannelHandlerContext) throws {
    let id = try BookieStartTLS.transactionID(ofRequest: frame)
    finish(context)
    guard let tls, !isEncrypted else {
      let refusal = BookieStartTLS.response(.badRequest, transactionID: id)
      return context.writeAndFlush(wrapOutboundOut(refusal), promise: nil)
    }
    guard reader.isEmpty else { throw BookieWireError.bytesBeforeTLS }
    context.writeAndFlush(wrapOutboundOut(BookieStartTLS.response(.ok, transactionID: id)), promise: nil)
    isEncrypted = true
    try context.pipeline.syncOperations.addHandler(TLSHandler(context: tls, serverHostname: nil), position: .first)
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    receivedBytes = 0
    session.flush(to: self)
    context.fireChannelReadComplete()
  }

  func channelInactive(context: ChannelHandlerContext) {
    session.flush(to: self)
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    logger.log(
      level: error is TLSError ? .warning : .debug, "A client's connection failed.",
      metadata: ["client": "\(remote(context))", "error": "\(error)"])
    context.close(promise: nil)
  }

  // MARK: Back-pressure

  func read(context: ChannelHandlerContext) {
    if mayRead(context) {
      context.read()
    } else {
      isReadPending = true
    }
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    readAgain(context)
    context.fireChannelWritabilityChanged()
  }

  private func readAgain(_ context: ChannelHandlerContext) {
    guard isReadPending, mayRead(context) else { return }
    isReadPending = false
    context.read()
  }

  private func mayRead(_ context: ChannelHandlerContext) -> Bool {
    session.waiting == 0 && reads < maximumReads && context.channel.isWritable
  }

  /// What a read counts against the limit: a batch is as much work, and memory, as many.
  private static func weight(_ request: BookieRequest) -> Int {
    switch request {
    case .read: 1
    case .batchRead: 32
    case .add, .auth: 0
    }
  }

  private static func weight(_ response: BookieResponse) -> Int {
    switch response {
    case .read: 1
    case .batchRead: 32
    case .add, .auth: 0
    }
  }

  // MARK: Answers

  func deliver(_ replies: [BookieReply]) {
    eventLoop.execute { self.send(replies) }
  }

  private func send(_ replies: [BookieReply]) {
    guard let context else { return }
    for reply in replies {
      switch reply {
      case .encoded(let frames): context.write(wrapOutboundOut(frames), promise: nil)
      case .responses(let responses):
        for response in responses {
          reads = max(0, reads - Self.weight(response))
          write(response, context)
        }
      case .resume: session.resume()
      }
    }
    finish(context)
    readAgain(context)
  }

  private func write(_ response: BookieResponse, _ context: ChannelHandlerContext) {
    writer.append(response) { context.write(wrapOutboundOut($0), promise: nil) }
  }

  private func finish(_ context: ChannelHandlerContext) {
    writer.finish { context.write(wrapOutboundOut($0), promise: nil) }
    context.flush()
  }

  private func remote(_ context: ChannelHandlerContext) -> String {
    context.channel.remoteAddress.map { "\($0)" } ?? "unknown"
  }
}
