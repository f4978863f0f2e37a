import BookieWire
import NIOCore
import Transport

/// Asks a bookie for TLS on a new connection; the handlers behind it learn of the connection when they may speak.
final class BookieTLSUpgrade: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = ByteBuffer

  private let tls: TLSContext
  private let host: String
  private var frames: BookieFrameReader

  init(tls: TLSContext, host: String, maximumFrameLength: Int) {
    self.tls = tls
    self.host = host
    frames = BookieFrameReader(maximumFrameLength: maximumFrameLength)
  }

  func channelActive(context: ChannelHandlerContext) {
    context.writeAndFlush(NIOAny(BookieStartTLS.request(transactionID: 1)), promise: nil)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    frames.append(unwrapInboundIn(data))
    do {
      guard let frame = try frames.nextFrame() else { return }
      let code = try BookieStartTLS.code(ofResponse: frame)
      guard code == .ok else { throw BookieWireError.refusesTLS(code) }
      // Nothing that comes in the clear is believed.
      guard frames.isEmpty else { throw BookieWireError.bytesBeforeTLS }
      try context.pipeline.syncOperations.addHandler(
        TLSHandler(context: tls, serverHostname: host), position: .first)
      // What is written from now on waits for the end of the handshake.
      context.fireChannelActive()
      context.pipeline.syncOperations.removeHandler(self, promise: nil)
    } catch {
      context.fireErrorCaught(error)
    }
  }
}
