import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import Transport

/// One port on which admin requests are answered.
struct AdminListener: Sendable {
  /// The port that is listened on.
  let port: Int
  private let close: @Sendable () async throws -> Void
  private let task: Task<Void, any Error>

  /// Binds and serves, with TLS if there is a context for it. Throws a sentence that names the port if it cannot be had.
  static func start(
    _ responder: AdminResponder, host: String, port: Int, tls: TLSContext?, group: any EventLoopGroup, logger: Logger
  ) async throws -> AdminListener {
    let channel = HTTP1Channel(
      responder: { request, writer, _ in try await responder.respond(to: request, writer) },
      configuration: HTTP1Channel.Configuration(idleTimeout: .seconds(120)))
    if let tls {
      return try await start(
        TLSServerChannel(base: channel, context: tls), host: host, port: port, group: group, logger: logger)
    }
    return try await start(channel, host: host, port: port, group: group, logger: logger)
  }

  /// Answers what is under way and stops; idle connections are closed.
  func stop() async {
    // Requests under way get a moment; whoever still holds a connection then loses it.
    let deadline = Task {
      try await Task.sleep(for: .seconds(2))
      task.cancel()
    }
    try? await close()
    _ = await task.result
    deadline.cancel()
  }

  private static func start(
    _ channel: some ServerChildChannel, host: String, port: Int, group: any EventLoopGroup, logger: Logger
  ) async throws -> AdminListener {
    let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
    var quiet = logger
    quiet.logLevel = max(logger.logLevel, .warning)
    let server = Server(
      childChannelSetup: channel,
      configuration: ServerConfiguration(address: .hostname(host, port: port), serverName: "meridian"),
      onServerRunning: { continuation.yield($0.localAddress?.port ?? port) }, eventLoopGroup: group, logger: quiet)
    let task = Task {
      defer { continuation.finish() }
      try await server.run()
    }
    for await bound in ports {
      return AdminListener(port: bound, close: { try await server.shutdownGracefully() }, task: task)
    }
    do {
      try await task.value
    } catch {
      throw AdminFailure(500, "The admin port \(host):\(port) cannot be listened on: \(ErrorText.describe(error))")
    }
    throw AdminFailure(500, "The admin server on \(host):\(port) stopped before it listened")
  }
}
