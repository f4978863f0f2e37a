import Foundation
import Logging
import Mesh
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Transport

/// How much one TLS stream carries along an emulated WAN path: the limit of any link over it.
enum TLSStreamProbe {
  /// Bytes a second that arrive at the far end.
  static func bytesPerSecond(shape: WANShape, for time: TimeAmount) async throws -> Double {
    let directory = NSTemporaryDirectory() + "/meridian-tls-probe-\(getpid())"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let authority = try CertificateAuthority(commonName: "measurement", days: 1)
    let files = try authority.issueFiles(
      name: "server", directory: directory, commonName: "server", ipAddresses: ["127.0.0.1"], days: 1)
    let trust = "\(directory)/ca.crt"
    try authority.certificatePEM.write(toFile: trust, atomically: true, encoding: .utf8)
    let server = try TLSContext(
      TLSConfiguration(certificateChainFile: files.certificateFile, privateKeyFile: files.privateKeyFile), role: .server
    )
    let client = try TLSContext(TLSConfiguration(trustRootsFile: trust), role: .client)

    let group = MultiThreadedEventLoopGroup.singleton
    let arrived = NIOLockedValueBox(0)
    let listener = try await EventLoops.serverBootstrap(group: group)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(TLSHandler(context: server, serverHostname: nil))
          try channel.pipeline.syncOperations.addHandler(ByteSink(arrived))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    defer { listener.close(promise: nil) }
    guard let target = listener.localAddress else { throw CommandFailure("the TLS stream cannot be measured") }
    let link = try await EmulatedLink.start(
      target: target, shape: shape, on: group.next(), logger: Logger(label: "perf"))
    let handshake = group.next().makePromise(of: Void.self)
    let channel: any Channel
    do {
      channel = try await EventLoops.clientBootstrap(group: group)
        .channelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            let tls = TLSHandler(context: client, serverHostname: "127.0.0.1") { result in
              handshake.completeWith(result.map { _ in }.mapError { $0 as any Error })
            }
            try channel.pipeline.syncOperations.addHandler(tls)
            try channel.pipeline.syncOperations.addHandler(ByteSource())
          }
        }
        .connect(host: "127.0.0.1", port: link.port).get()
    } catch {
      handshake.fail(error)
      throw CommandFailure("the TLS stream cannot be measured: \(error)")
    }
    do {
      try await handshake.futureResult.get()
    } catch {
      throw CommandFailure("the TLS stream cannot be measured: \(error)")
    }
    // The path has to fill, and TCP to find its window, before the rate means anything.
    try await Task.sleep(for: .nanoseconds(shape.delay.nanoseconds * 4 + 500_000_000))
    let before = arrived.withLockedValue { $0 }
    let start = ContinuousClock.now
    try await Task.sleep(for: .nanoseconds(time.nanoseconds))
    let after = arrived.withLockedValue { $0 }
    let seconds = (ContinuousClock.now - start).inSeconds
    channel.close(promise: nil)
    try? await channel.closeFuture.get()
    await link.stop()
    return Double(after - before) / seconds
  }

  private final class ByteSink: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let arrived: NIOLockedValueBox<Int>

    init(_ arrived: NIOLockedValueBox<Int>) {
      self.arrived = arrived
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      let count = unwrapInboundIn(data).readableBytes
      arrived.withLockedValue { $0 += count }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
      context.close(promise: nil)
    }
  }

  /// Keeps a fixed amount of bytes on their way to the socket, also before the handshake is done.
  private final class ByteSource: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    private let chunk = PayloadSource.payload(bytes: 128 << 10)

    func channelActive(context: ChannelHandlerContext) {
      let channel = context.channel
      for _ in 0..<32 { write(channel) }
      context.fireChannelActive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
      context.close(promise: nil)
    }

    private func write(_ channel: any Channel) {
      channel.writeAndFlush(chunk).whenSuccess { self.write(channel) }
    }
  }
}
