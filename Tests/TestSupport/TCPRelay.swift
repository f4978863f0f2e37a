import NIOCore
import NIOPosix

/// Carries TCP connections to a port of 127.0.0.1, and breaks them when a test says so.
public final class TCPRelay: @unchecked Sendable {
  private let eventLoop: any EventLoop = MultiThreadedEventLoopGroup.singleton.next()
  private var target: Int
  private let delay: TimeAmount?
  private var listener: (any Channel)?
  private var channels: [ObjectIdentifier: any Channel] = [:]
  private var isSilent = false
  private var isRefusing = false

  /// The port to connect to.
  public private(set) var port = 0

  private init(target: Int, delay: TimeAmount?) {
    self.target = target
    self.delay = delay
  }

  /// A relay to `target`; every byte is under way for `delay`, in each direction.
  public static func start(to target: Int, delay: TimeAmount? = nil) async throws -> TCPRelay {
    let relay = TCPRelay(target: target, delay: delay)
    let listener = try await ServerBootstrap(group: relay.eventLoop)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture { try relay.accepted(channel) }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    relay.port = listener.localAddress?.port ?? 0
    relay.listener = listener
    return relay
  }

  /// Breaks every connection; new ones are carried.
  public func reset() async throws {
    try await eventLoop.submit { for channel in self.channels.values { channel.close(promise: nil) } }.get()
  }

  /// Whether bytes stop where they are, in both directions, with every connection left open.
  public func setSilent(_ isSilent: Bool) async throws {
    try await eventLoop.submit {
      self.isSilent = isSilent
      for channel in self.channels.values { _ = channel.setOption(.autoRead, value: !isSilent) }
      if !isSilent { for channel in self.channels.values { channel.read() } }
    }.get()
  }

  /// Whether new connections are closed at once.
  public func setRefusing(_ isRefusing: Bool) async throws {
    try await eventLoop.submit { self.isRefusing = isRefusing }.get()
  }

  /// Where new connections lead.
  public func setTarget(_ target: Int) async throws {
    try await eventLoop.submit { self.target = target }.get()
  }

  /// Ends everything.
  public func stop() async throws {
    try? await listener?.close().get()
    try await reset()
  }

  private func accepted(_ inner: any Channel) throws {
    if isRefusing {
      inner.close(promise: nil)
      return
    }
    let pipe = RelayHandler(delay: delay)
    try inner.pipeline.syncOperations.addHandler(pipe)
    keep(inner)
    ClientBootstrap(group: eventLoop)
      .channelInitializer { outer in
        outer.eventLoop.makeCompletedFuture {
          let back = RelayHandler(delay: self.delay)
          try outer.pipeline.syncOperations.addHandler(back)
          back.connect(to: inner)
          self.keep(outer)
        }
      }
      .connect(host: "127.0.0.1", port: target)
      .whenComplete { result in
        switch result {
        case .success(let outer): pipe.connect(to: outer)
        case .failure: inner.close(promise: nil)
        }
      }
  }

  private func keep(_ channel: any Channel) {
    let id = ObjectIdentifier(channel)
    channels[id] = channel
    if isSilent { _ = channel.setOption(.autoRead, value: false) }
    channel.closeFuture.whenComplete { _ in self.channels[id] = nil }
  }
}

private final class RelayHandler: ChannelInboundHandler, @unchecked Sendable {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let delay: TimeAmount?
  private var other: (any Channel)?
  private var waiting: [ByteBuffer] = []

  init(delay: TimeAmount?) {
    self.delay = delay
  }

  /// `other` is connected; both are on one loop.
  func connect(to other: any Channel) {
    self.other = other
    for buffer in waiting { other.writeAndFlush(buffer, promise: nil) }
    waiting = []
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let buffer = unwrapInboundIn(data)
    guard let other else {
      waiting.append(buffer)
      return
    }
    if let delay {
      // Tasks of one delay run in the order in which they were scheduled.
      context.eventLoop.scheduleTask(in: delay) { _ = other.writeAndFlush(buffer) }
    } else {
      other.writeAndFlush(buffer, promise: nil)
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    other?.close(promise: nil)
    context.fireChannelInactive()
  }
}
