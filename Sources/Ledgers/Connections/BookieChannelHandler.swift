import BookieWire
import NIOCore

/// The bytes of one TCP connection to a bookie, as responses, handed on in batches: all of one read together.
final class BookieChannelHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  private let connection: BookieConnection
  private let epoch: UInt64
  private var frames: BookieFrameReader
  private var responses: [BookieResponse] = []

  init(connection: BookieConnection, epoch: UInt64, maximumFrameLength: Int) {
    self.connection = connection
    self.epoch = epoch
    self.frames = BookieFrameReader(maximumFrameLength: maximumFrameLength)
  }

  func channelActive(context: ChannelHandlerContext) {
    var greeting = BookieFrameWriter(allocator: context.channel.allocator)
    let emit = { (bytes: ByteBuffer) in context.write(NIOAny(bytes), promise: nil) }
    greeting.append(BookieRequest.auth(.requestIDs), emit: emit)
    greeting.finish(emit: emit)
    context.flush()
    context.fireChannelActive()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    frames.append(unwrapInboundIn(data))
    do {
      while let frame = try frames.nextFrame() {
        responses.append(try BookieResponse(decoding: frame))
      }
    } catch {
      context.fireErrorCaught(error)
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    if !responses.isEmpty {
      let batch = responses
      responses.removeAll(keepingCapacity: true)
      connection.received(batch, epoch: epoch)
    }
    context.fireChannelReadComplete()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    connection.noteError(error, epoch: epoch)
    context.close(promise: nil)
  }

  func channelInactive(context: ChannelHandlerContext) {
    connection.closed(epoch: epoch)
    context.fireChannelInactive()
  }
}
