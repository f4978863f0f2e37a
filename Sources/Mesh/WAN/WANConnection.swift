import Logging
import NIOCore
import NIOPosix

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// One connection that a ``WANProxy`` carries: two sockets and a flow each way. Confined to the proxy's loop.
final class WANConnection: @unchecked Sendable {
  private enum State {
    case waiting
    case connecting
    case open(server: any Channel, forward: WANFlow, backward: WANFlow)
    case closed
  }

  private let client: any Channel
  private let target: SocketAddress
  private let forward: WANPath
  private let backward: WANPath
  private let logger: Logger
  private var state = State.waiting
  private var resetsWhenHealed = false
  var onClose: (() -> Void)?

  init(client: any Channel, target: SocketAddress, forward: WANPath, backward: WANPath, logger: Logger) {
    self.client = client
    self.target = target
    self.forward = forward
    self.backward = backward
    self.logger = logger
    client.closeFuture.whenComplete { [weak self] _ in self?.sideClosed() }
  }

  /// One side is gone. The other learns of it when the path carries anything again.
  private func sideClosed() {
    if forward.shape.isCut || backward.shape.isCut {
      resetsWhenHealed = true
    } else {
      reset()
    }
  }

  /// The path carries bytes again.
  func pathHealed() {
    if resetsWhenHealed { reset() } else { connectIfWaiting() }
  }

  func connectIfWaiting() {
    guard case .waiting = state else { return }
    state = .connecting
    // A handshake costs a round trip before anything can be sent.
    let roundTrip = forward.shape.delay + backward.shape.delay
    client.eventLoop.scheduleTask(in: roundTrip) { [self] in
      guard case .connecting = state else { return }
      ClientBootstrap(group: client.eventLoop)
        .channelOption(.tcpOption(.tcp_nodelay), value: 1)
        .channelOption(.autoRead, value: false)
        .channelOption(.allowRemoteHalfClosure, value: true)
        .channelOption(.writeBufferWaterMark, value: .init(low: 4 << 20, high: 16 << 20))
        .connect(to: target)
        .whenComplete { result in
          switch result {
          case .success(let server): self.opened(server)
          case .failure(let error):
            self.logger.debug("WAN proxy: \(self.target) does not answer: \(error)")
            self.reset()
          }
        }
    }
  }

  /// Ends both sides at once with a TCP reset.
  func reset() {
    let server: (any Channel)?
    switch state {
    case .closed: return
    case .open(let channel, let toServer, let toClient):
      toServer.close()
      toClient.close()
      server = channel
    case .waiting, .connecting: server = nil
    }
    state = .closed
    for channel in [client, server].compactMap({ $0 }) where channel.isActive {
      guard let options = channel as? any SocketOptionProvider else {
        channel.close(promise: nil)
        continue
      }
      options.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenComplete { _ in channel.close(promise: nil) }
    }
    onClose?()
    onClose = nil
  }

  private func opened(_ server: any Channel) {
    guard case .connecting = state else {
      server.close(promise: nil)
      return
    }
    let toServer = WANFlow(path: forward, source: client, sink: server)
    let toClient = WANFlow(path: backward, source: server, sink: client)
    state = .open(server: server, forward: toServer, backward: toClient)
    server.closeFuture.whenComplete { [weak self] _ in self?.sideClosed() }
    do {
      try client.pipeline.syncOperations.addHandler(WANFlowHandler(reads: toServer, writes: toClient))
      try server.pipeline.syncOperations.addHandler(WANFlowHandler(reads: toClient, writes: toServer))
    } catch {
      reset()
      return
    }
    for channel in [client, server] {
      channel.setOption(.autoRead, value: true).whenSuccess { channel.read() }
    }
  }
}

/// Feeds a socket's bytes into its flow.
private final class WANFlowHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  private let reads: WANFlow
  private let writes: WANFlow

  init(reads: WANFlow, writes: WANFlow) {
    self.reads = reads
    self.writes = writes
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    reads.received(unwrapInboundIn(data))
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case .inputClosed? = event as? ChannelEvent { reads.receivedEnd() }
    context.fireUserInboundEventTriggered(event)
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    writes.sinkWritabilityChanged()
    context.fireChannelWritabilityChanged()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    context.close(promise: nil)
  }
}
