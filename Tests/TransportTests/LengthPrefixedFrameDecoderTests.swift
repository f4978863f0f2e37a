import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import Transport

@Suite struct LengthPrefixedFrameDecoderTests {
  @Test func framesAreCutWhereverTheReadsEnd() {
    var stream = ByteBuffer()
    let frames = [0, 1, 5, 100].map { ByteBuffer(repeating: UInt8($0), count: $0) }
    for frame in frames {
      stream.writeInteger(UInt32(frame.readableBytes))
      stream.writeImmutableBuffer(frame)
    }
    for step in [1, 3, 7, 200] {
      var decoder = LengthPrefixedFrameDecoder(maximumFrameLength: 100)
      var source = stream
      var buffer = ByteBuffer()
      var found: [ByteBuffer] = []
      while let piece = source.readSlice(length: min(step, source.readableBytes)), piece.readableBytes > 0 {
        buffer.writeImmutableBuffer(piece)
        while case .frame(let frame) = decoder.nextFrame(&buffer) { found.append(frame) }
      }
      #expect(found == frames)
    }
  }

  @Test func tooLongIsRefusedOnceAndNothingFollows() {
    var decoder = LengthPrefixedFrameDecoder(maximumFrameLength: 10)
    var buffer = ByteBuffer(bytes: [0, 0, 0, 11] + Array(repeating: 0, count: 40))
    #expect(decoder.nextFrame(&buffer) == .tooLong(.tooLong(length: 11, limit: 10)))
    buffer.writeBytes([0, 0, 0, 1, 1])
    #expect(decoder.nextFrame(&buffer) == .incomplete)
    #expect(buffer.readableBytes == 0)
    var negative = LengthPrefixedFrameDecoder(maximumFrameLength: 10)
    var bytes = ByteBuffer(bytes: [0xFF, 0xFF, 0xFF, 0xFF])
    #expect(negative.nextFrame(&bytes) == .tooLong(.tooLong(length: 0xFFFF_FFFF, limit: 10)))
  }

  @Test func tooLongClosesTheChannelAfterTheErrorIsFired() async throws {
    let collector = Collector()
    let server = try await EventLoops.serverBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandlers([
            ByteToMessageHandler(LengthPrefixedFrameDecoder(maximumFrameLength: 4)), collector,
          ])
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    let client = try await EventLoops.clientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .connect(host: "127.0.0.1", port: server.localAddress?.port ?? 0).get()
    try await client.writeAndFlush(ByteBuffer(bytes: [0, 0, 0, 2, 7, 7, 0, 0, 0, 5, 1, 1, 1, 1, 1])).get()
    try await client.closeFuture.get()
    await eventually { collector.isInactive }
    #expect(collector.count == 2)
    #expect(collector.errors.first as? FrameError == .tooLong(length: 5, limit: 4))
    try await server.close().get()
  }
}
