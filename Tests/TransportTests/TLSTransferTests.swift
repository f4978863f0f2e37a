import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import Transport

@Suite struct TLSTransferTests {
  @Test(arguments: [TLSVersion.tlsv12, .tlsv13])
  func bulkArrivesWholeInPiecesOfAnySize(_ version: TLSVersion) async throws {
    try await TLSTestBench.with { bench in
      // A length that no record, chunk or read divides.
      let source = ByteBuffer(bytes: (0..<1_000_003).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) })
      let received = Collector(expecting: source)
      let server = try await bench.server(handler: { received })
      var configuration = bench.clientConfiguration
      configuration.maximumVersion = version
      let client = try await bench.connect(server, configuration)
      let total = 64 << 20
      var sent = 0
      var last: EventLoopFuture<Void>?
      while sent < total {
        let offset = sent % source.readableBytes
        let wish = Int.random(in: 1...(Bool.random() ? 300 : 1 << 20))
        let length = min(wish, total - sent, source.readableBytes - offset)
        guard let piece = source.getSlice(at: offset, length: length) else { break }
        sent += length
        if Bool.random() {
          client.channel.write(piece, promise: nil)
        } else {
          last = client.channel.writeAndFlush(piece)
        }
      }
      client.channel.flush()
      try await last?.get()
      await eventually(within: .seconds(30)) { received.count == total }
      #expect(received.isAsExpected)
      try await client.channel.close().get()
      try await server.channel.close().get()
    }
  }

  @Test func manySmallWritesShareRecordsAndComplete() async throws {
    try await TLSTestBench.with { bench in
      let server = try await bench.server()
      let client = try await bench.connect(server)
      var futures: [EventLoopFuture<Void>] = []
      for index in 0..<20_000 {
        futures.append(client.channel.write(ByteBuffer(string: "message \(index)\n")))
        if index % 1000 == 999 { client.channel.flush() }
      }
      try await EventLoopFuture.andAllSucceed(futures, on: client.channel.eventLoop).get()
      let expected = (0..<20_000).reduce(0) { $0 + "message \($1)\n".utf8.count }
      await eventually { client.collector.count == expected }
      try await client.channel.close().get()
      try await server.channel.close().get()
    }
  }

  @Test func whatIsWrittenBeforeTheHandshakeIsSentAfterIt() async throws {
    try await TLSTestBench.with { bench in
      let received = Collector()
      let server = try await bench.server(handler: { received })
      let context = try TLSContext(bench.clientConfiguration, role: .client)
      let channel = try await EventLoops.clientBootstrap(group: bench.group)
        .channelOption(.autoRead, value: false)
        .channelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandlers([
              TLSHandler(context: context, serverHostname: "localhost"), EarlyWriter(),
            ])
          }
        }
        .connect(host: "127.0.0.1", port: server.port).get()
      await eventually { received.count == "early and last".utf8.count }
      await eventually { received.isInactive }
      #expect(received.errors.isEmpty)
      try? await channel.close().get()
      try await server.channel.close().get()
    }
  }

  @Test func halfClosedConnectionsStillReceive() async throws {
    try await TLSTestBench.with { bench in
      let server = try await bench.server(halfClosure: true)
      let context = try TLSContext(bench.clientConfiguration, role: .client)
      let client = try await bench.connect(server, context: context)
      try await client.channel.setOption(.allowRemoteHalfClosure, value: true).get()
      client.channel.write(ByteBuffer(string: String(repeating: "x", count: 1 << 20)), promise: nil)
      client.channel.flush()
      try await client.channel.close(mode: .output).get()
      await #expect(throws: (any Error).self) {
        try await client.channel.writeAndFlush(ByteBuffer(string: "late")).get()
      }
      await eventually { client.collector.count == 1 << 20 }
      await eventually { client.collector.isInactive || client.collector.isInputClosed }
      try? await client.channel.close().get()
      try await server.channel.close().get()
      #expect(client.collector.errors.isEmpty)
    }
  }

  @Test func writesOfAClosedConnectionFail() async throws {
    try await TLSTestBench.with { bench in
      let server = try await bench.server()
      let client = try await bench.connect(server)
      let unflushed = client.channel.write(ByteBuffer(string: "never sent"))
      try await client.channel.close().get()
      await #expect(throws: TLSError.closed) { try await unflushed.get() }
      await #expect(throws: (any Error).self) {
        try await client.channel.writeAndFlush(ByteBuffer(string: "late")).get()
      }
      try await server.channel.close().get()
    }
  }

  @Test func handlersMayCloseAndWriteFromEveryCallback() async throws {
    try await TLSTestBench.with { bench in
      // The server answers from within the read, and closes at the third message while two are unread.
      let server = try await bench.server(handler: { AnsweringCloser() })
      let client = try await bench.connect(server)
      for _ in 0..<5 { client.channel.write(ByteBuffer(string: "m"), promise: nil) }
      client.channel.flush()
      await eventually { client.collector.isInactive }
      #expect(client.collector.errors.isEmpty)
      // A client that closes in the callback of its own handshake.
      let context = try TLSContext(bench.clientConfiguration, role: .client)
      let closed = try await EventLoops.clientBootstrap(group: bench.group)
        .channelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            let bound = NIOLoopBound(channel, eventLoop: channel.eventLoop)
            try channel.pipeline.syncOperations.addHandler(
              TLSHandler(context: context, serverHostname: "localhost") { _ in
                bound.value.close(promise: nil)
              })
          }
        }
        .connect(host: "127.0.0.1", port: server.port).get()
      try await closed.closeFuture.get()
      try await server.channel.close().get()
    }
  }

  private final class EarlyWriter: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer
    func channelActive(context: ChannelHandlerContext) {
      context.writeAndFlush(NIOAny(ByteBuffer(string: "early")), promise: nil)
      context.writeAndFlush(NIOAny(ByteBuffer(string: " and last")), promise: nil)
      context.close(mode: .output, promise: nil)
    }
  }

  private final class AnsweringCloser: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      context.writeAndFlush(data, promise: nil)
      context.close(promise: nil)
      context.writeAndFlush(data, promise: nil)
    }
  }
}
