import Foundation
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import Transport

/// Certificates in a directory, a TLS server that echoes, and clients.
struct TLSTestBench {
  let directory: TemporaryDirectory
  let authority: CertificateAuthority
  var group: any EventLoopGroup { MultiThreadedEventLoopGroup.singleton }

  static func with<R>(_ body: (TLSTestBench) async throws -> R) async throws -> R {
    try await TemporaryDirectory.with { directory in
      let authority = try CertificateAuthority.loadOrCreate(directory: directory.path)
      let bench = TLSTestBench(directory: directory, authority: authority)
      try authority.issueFiles(
        name: "server", directory: directory.path, commonName: "server", dnsNames: ["localhost", "*.mesh.test"],
        ipAddresses: ["127.0.0.1", "::1"])
      try authority.issueFiles(
        name: "client", directory: directory.path, commonName: "client-7", dnsNames: ["client.test"])
      return try await body(bench)
    }
  }

  var serverConfiguration: TLSConfiguration {
    TLSConfiguration(
      certificateChainFile: directory.file("server.crt"), privateKeyFile: directory.file("server.key"),
      trustRootsFile: directory.file("ca.crt"))
  }

  var clientConfiguration: TLSConfiguration { TLSConfiguration(trustRootsFile: directory.file("ca.crt")) }

  /// As `clientConfiguration`, presenting the certificate `name`.
  func clientConfiguration(presenting name: String) -> TLSConfiguration {
    var configuration = clientConfiguration
    configuration.certificateChainFile = directory.file("\(name).crt")
    configuration.privateKeyFile = directory.file("\(name).key")
    return configuration
  }

  func server(
    _ configuration: TLSConfiguration? = nil, handshakeTimeout: TimeAmount = .seconds(10),
    halfClosure: Bool = false,
    handler: @escaping @Sendable () -> any ChannelHandler & Sendable = { EchoHandler() }
  ) async throws -> TestServer {
    let context = try TLSContext(configuration ?? serverConfiguration, role: .server)
    let handshakes = NIOLockedValueBox<[Result<TLSPeer, TLSError>]>([])
    let channel = try await EventLoops.serverBootstrap(group: group)
      .childChannelOption(.allowRemoteHalfClosure, value: halfClosure)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandlers([
            TLSHandler(context: context, serverHostname: nil, handshakeTimeout: handshakeTimeout) { result in
              handshakes.withLockedValue { $0.append(result) }
            },
            handler(),
          ])
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    return TestServer(channel: channel, context: context, handshakes: handshakes)
  }

  /// Connects and returns when the handshake has succeeded, or throws its error.
  func connect(
    _ server: TestServer, _ configuration: TLSConfiguration? = nil, hostname: String? = "localhost",
    context: TLSContext? = nil
  ) async throws -> TestClient {
    let context = try context ?? TLSContext(configuration ?? clientConfiguration, role: .client)
    let collector = Collector()
    let handshake = group.any().makePromise(of: TLSPeer.self)
    let channel = try await EventLoops.clientBootstrap(group: group)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandlers([
            TLSHandler(context: context, serverHostname: hostname) { result in
              handshake.completeWith(result.mapError { $0 as any Error })
            },
            collector,
          ])
        }
      }
      .connect(host: "127.0.0.1", port: server.port).get()
    return TestClient(channel: channel, peer: try await handshake.futureResult.get(), collector: collector)
  }
}

struct TestServer: Sendable {
  let channel: any Channel
  let context: TLSContext
  let handshakes: NIOLockedValueBox<[Result<TLSPeer, TLSError>]>
  var port: Int { channel.localAddress?.port ?? 0 }

  func lastHandshake() async -> Result<TLSPeer, TLSError>? {
    await eventually { handshakes.withLockedValue { !$0.isEmpty } }
    return handshakes.withLockedValue { $0.last }
  }
}

struct TestClient: Sendable {
  let channel: any Channel
  let peer: TLSPeer
  let collector: Collector

  /// Sends `text` and waits for its echo.
  func echo(_ text: String) async throws {
    let before = collector.count
    try await channel.writeAndFlush(ByteBuffer(string: text)).get()
    await eventually { collector.count == before + text.utf8.count }
  }
}

/// Counts what arrives, compares it with what should, and keeps the errors.
final class Collector: ChannelInboundHandler, Sendable {
  typealias InboundIn = ByteBuffer

  private struct State {
    var count = 0
    var isAsExpected = true
    var errors: [any Error] = []
    var isInputClosed = false
    var isInactive = false
  }
  private let state = NIOLockedValueBox(State())
  private let expected: ByteBuffer?

  /// - Parameter expected: what is to arrive, repeated for ever.
  init(expecting expected: ByteBuffer? = nil) {
    self.expected = expected
  }

  var count: Int { state.withLockedValue { $0.count } }
  var isAsExpected: Bool { state.withLockedValue { $0.isAsExpected } }
  var errors: [any Error] { state.withLockedValue { $0.errors } }
  var isInputClosed: Bool { state.withLockedValue { $0.isInputClosed } }
  var isInactive: Bool { state.withLockedValue { $0.isInactive } }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    var buffer = unwrapInboundIn(data)
    state.withLockedValue { state in
      while buffer.readableBytes > 0 {
        let offset = state.count % (expected?.readableBytes ?? .max)
        let length = min(buffer.readableBytes, (expected?.readableBytes ?? .max) - offset)
        let piece = buffer.readSlice(length: length)
        if let expected, piece != expected.getSlice(at: offset, length: length) { state.isAsExpected = false }
        state.count += length
      }
    }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case .some(.inputClosed) = event as? ChannelEvent { state.withLockedValue { $0.isInputClosed = true } }
    context.fireUserInboundEventTriggered(event)
  }

  func channelInactive(context: ChannelHandlerContext) {
    state.withLockedValue { $0.isInactive = true }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    state.withLockedValue { $0.errors.append(error) }
  }
}

/// Writes back what it reads, flushing once per read.
final class EchoHandler: ChannelInboundHandler, Sendable {
  typealias InboundIn = ByteBuffer

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    context.write(data, promise: nil)
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    context.flush()
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard case .some(.inputClosed) = event as? ChannelEvent else { return }
    context.flush()
    context.close(mode: .output, promise: nil)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}
