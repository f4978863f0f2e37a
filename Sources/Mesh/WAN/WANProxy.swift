import Logging
import NIOCore
import NIOPosix

/// A TCP listener that carries connections of one region to another along an emulated WAN path.
///
/// Everything of one proxy lives on one event loop. A connection that is accepted while the path is cut waits in
/// silence and is carried on when it heals, as the handshake of a real one would be repeated.
final class WANProxy: @unchecked Sendable {
  private let forward: WANPath
  private let backward: WANPath
  private let target: SocketAddress
  private let eventLoop: any EventLoop
  private let logger: Logger
  private var listener: (any Channel)?
  private var connections: [ObjectIdentifier: WANConnection] = [:]

  /// - Parameters:
  ///   - forward: from the side that connects.
  ///   - backward: towards the side that connects.
  init(forward: WANPath, backward: WANPath, target: SocketAddress, logger: Logger) {
    self.forward = forward
    self.backward = backward
    self.target = target
    self.eventLoop = forward.eventLoop
    self.logger = logger
  }

  /// Starts to listen, and returns the port.
  func start(host: String, port: Int) async throws -> Int {
    let channel = try await ServerBootstrap(group: eventLoop)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .serverChannelOption(.backlog, value: 256)
      .childChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      .childChannelOption(.autoRead, value: false)
      .childChannelOption(.allowRemoteHalfClosure, value: true)
      .childChannelOption(.writeBufferWaterMark, value: .init(low: 4 << 20, high: 16 << 20))
      .childChannelInitializer { [weak self] channel in
        self?.accepted(channel)
        return channel.eventLoop.makeSucceededVoidFuture()
      }
      .bind(host: host, port: port).get()
    try await eventLoop.submit { self.listener = channel }.get()
    return channel.localAddress?.port ?? port
  }

  /// Resets every connection that the proxy carries; new ones are accepted.
  func resetConnections() {
    eventLoop.assertInEventLoop()
    for connection in connections.values { connection.reset() }
  }

  func stop() async throws {
    let listener = try await eventLoop.submit {
      let listener = self.listener
      self.listener = nil
      self.resetConnections()
      return listener
    }.get()
    try? await listener?.close()
  }

  /// Tells the connections that were accepted during a cut to go on.
  func pathHealed() {
    eventLoop.assertInEventLoop()
    guard !forward.shape.isCut, !backward.shape.isCut else { return }
    for connection in connections.values { connection.pathHealed() }
  }

  private func accepted(_ channel: any Channel) {
    eventLoop.assertInEventLoop()
    let connection = WANConnection(
      client: channel, target: target, forward: forward, backward: backward, logger: logger)
    let id = ObjectIdentifier(connection)
    connections[id] = connection
    connection.onClose = { [weak self] in self?.connections[id] = nil }
    if !forward.shape.isCut, !backward.shape.isCut { connection.connectIfWaiting() }
  }
}
