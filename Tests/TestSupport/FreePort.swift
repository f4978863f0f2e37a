import NIOCore
import NIOPosix

/// A TCP port of 127.0.0.1 that was free a moment ago. Prefer to bind port 0 where the code under test can report it.
public func freePort() async throws -> Int {
  let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
    .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
    .bind(host: "127.0.0.1", port: 0).get()
  let port = channel.localAddress?.port
  try await channel.close().get()
  guard let port else { throw TestSupportError("The system gave no port.") }
  return port
}
