import Logging
import NIOCore

/// A WAN path of a given shape in front of one address, for measurements: what connects to its port reaches the target
/// along the path, both ways.
public final class EmulatedLink: Sendable {
  /// Where to connect, on 127.0.0.1.
  public let port: Int
  private let proxy: WANProxy

  /// Starts it.
  ///
  /// - Parameters:
  ///   - target: what is reached.
  ///   - shape: of either direction.
  ///   - eventLoop: where it lives.
  public static func start(
    target: SocketAddress, shape: WANShape, on eventLoop: any EventLoop, logger: Logger
  ) async throws -> EmulatedLink {
    let proxy = WANProxy(
      forward: WANPath(from: "here", to: "there", shape: shape, eventLoop: eventLoop),
      backward: WANPath(from: "there", to: "here", shape: shape, eventLoop: eventLoop), target: target, logger: logger)
    return EmulatedLink(port: try await proxy.start(host: "127.0.0.1", port: 0), proxy: proxy)
  }

  private init(port: Int, proxy: WANProxy) {
    self.port = port
    self.proxy = proxy
  }

  /// Ends it, and resets what goes through it.
  public func stop() async {
    try? await proxy.stop()
  }
}
