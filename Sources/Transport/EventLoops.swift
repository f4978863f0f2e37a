import NIOCore
import NIOPosix

/// How event loops, servers and clients are set up everywhere in the house.
public enum EventLoops {
  /// The number of event loops for a machine with the given cores: all of them up to 4, then three quarters, so that
  /// the threads that wait for disks find a core too.
  public static func recommendedCount(cores: Int = System.coreCount) -> Int {
    cores <= 4 ? max(1, cores) : max(4, cores * 3 / 4)
  }

  /// A group of `count` loops, or of the recommended number.
  public static func makeGroup(count: Int? = nil) -> MultiThreadedEventLoopGroup {
    MultiThreadedEventLoopGroup(numberOfThreads: max(1, count ?? recommendedCount()))
  }

  /// A TCP server: address reuse, a backlog of `backlog` connections, no delay of small segments, up to 16 reads per
  /// wake-up, and write-buffer marks wide enough to keep a fast link busy.
  public static func serverBootstrap(group: any EventLoopGroup, backlog: Int32 = 1024) -> ServerBootstrap {
    ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: backlog)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      .childChannelOption(.socketOption(.so_keepalive), value: 1)
      .childChannelOption(.maxMessagesPerRead, value: 16)
      .childChannelOption(.recvAllocator, value: receiveAllocator)
      .childChannelOption(.writeBufferWaterMark, value: writeMarks)
  }

  /// A TCP client: no delay of small segments, the given time to connect, and the same buffers as a server.
  public static func clientBootstrap(
    group: any EventLoopGroup, connectTimeout: TimeAmount = .seconds(10)
  ) -> ClientBootstrap {
    ClientBootstrap(group: group)
      .connectTimeout(connectTimeout)
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelOption(.socketOption(.so_keepalive), value: 1)
      .channelOption(.maxMessagesPerRead, value: 16)
      .channelOption(.recvAllocator, value: receiveAllocator)
      .channelOption(.writeBufferWaterMark, value: writeMarks)
  }

  private static var receiveAllocator: AdaptiveRecvByteBufferAllocator {
    AdaptiveRecvByteBufferAllocator(minimum: 512, initial: 4096, maximum: 256 << 10)
  }

  private static var writeMarks: ChannelOptions.Types.WriteBufferWaterMark {
    ChannelOptions.Types.WriteBufferWaterMark(low: 256 << 10, high: 1 << 20)
  }
}
