import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Transport

/// Listens for clients of the bookie protocol.
final class BookieServer: Sendable {
  private let channel: any Channel
  private let clients: Clients
  /// What START_TLS leads to; nil: it is refused.
  let tls: TLSContext?

  init(
    configuration: BookieConfiguration, storage: BookieStorage, tls: TLSContext?, group: any EventLoopGroup,
    logger: Logger
  ) async throws {
    let clients = Clients()
    self.clients = clients
    self.tls = tls
    channel = try await ServerBootstrap(group: group)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .serverChannelOption(.backlog, value: 256)
      .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
      .childChannelOption(
        .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 1024, initial: 16384, maximum: 262_144)
      )
      .childChannelOption(.maxMessagesPerRead, value: 4)
      .childChannelOption(.writeBufferWaterMark, value: .init(low: 384 * 1024, high: 1024 * 1024))
      .childChannelInitializer { channel in
        clients.add(channel)
        return channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(
            BookieConnectionHandler(
              eventLoop: channel.eventLoop, storage: storage, maximumFrameSize: configuration.maximumFrameSize,
              tls: tls, logger: logger))
        }
      }
      .bind(host: configuration.host, port: configuration.port).get()
  }

  /// The port that was bound.
  var port: Int { channel.localAddress?.port ?? 0 }

  /// Stops listening and closes every connection.
  func close() async {
    try? await channel.close().get()
    await clients.close()
  }

  private final class Clients: Sendable {
    private let channels = NIOLockedValueBox<[ObjectIdentifier: any Channel]>([:])

    func add(_ channel: any Channel) {
      channels.withLockedValue { $0[ObjectIdentifier(channel)] = channel }
      channel.closeFuture.whenComplete { _ in
        self.channels.withLockedValue { $0[ObjectIdentifier(channel)] = nil }
      }
    }

    func close() async {
      for channel in channels.withLockedValue({ Array($0.values) }) { try? await channel.close().get() }
    }
  }
}
