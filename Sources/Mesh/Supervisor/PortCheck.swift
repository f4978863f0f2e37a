import NIOCore
import NIOPosix

/// Whether a port can be listened on.
enum PortCheck {
  static func isFree(_ port: Int, group: any EventLoopGroup) async throws -> Bool {
    let bootstrap = ServerBootstrap(group: group).serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
    guard let channel = try? await bootstrap.bind(host: "127.0.0.1", port: port).get() else { return false }
    try? await channel.close()
    return true
  }
}
