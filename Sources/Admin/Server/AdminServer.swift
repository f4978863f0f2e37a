import Broker
import Foundation
import Hummingbird
import HummingbirdCore
import Logging
import MetadataStore
import NIOConcurrencyHelpers
import NIOCore
import Transport

/// The admin REST API (`/admin/v2`, `/lookup/v2`), metrics and Meridian's own reports, on a plain and optionally a TLS port.
public final class AdminServer: Sendable {
  private struct Listener: Sendable {
    var stop: @Sendable () async throws -> Void
    var task: Task<Void, any Error>
    var port: Int
  }

  private let listeners: [Listener]
  private let tlsContext: TLSContext?
  private let logger: Logger

  /// The port it listens on.
  public let port: Int
  /// The TLS port it listens on; nil: none.
  public let tlsPort: Int?

  private init(listeners: [Listener], tlsContext: TLSContext?, logger: Logger) {
    self.listeners = listeners
    self.tlsContext = tlsContext
    self.logger = logger
    port = listeners.first?.port ?? 0
    tlsPort = listeners.count > 1 ? listeners[1].port : nil
  }

  /// Binds and serves.
  /// - Throws: what binding fails with (a port in use), or what reading the certificates fails with; nothing is left running.
  public static func start(
    configuration: AdminServerConfiguration, broker: any BrokerAdministration, policies: PolicyStore,
    metadata: any MetadataStore, sources: AdminSources = AdminSources(), group: any EventLoopGroup, logger: Logger
  ) async throws -> AdminServer {
    let brokerID = NIOLockedValueBox(configuration.brokerID ?? "\(configuration.host):\(configuration.port)")
    let services = AdminServices(
      broker: broker, policies: policies, metadata: metadata, sources: sources, configuration: configuration,
      startedAtMs: Int64(Date().timeIntervalSince1970 * 1000), brokerID: { brokerID.withLockedValue { $0 } })
    let responder = AdminResponder(
      routes: AdminRoutes.table(services), maximumBodySize: configuration.maximumBodySize, logger: logger)
    var listeners: [Listener] = []
    var tlsContext: TLSContext?
    do {
      listeners.append(
        try await listen(
          responder, host: configuration.host, port: configuration.port, tls: nil, group: group, logger: logger))
      if configuration.brokerID == nil {
        let port = listeners[0].port
        brokerID.withLockedValue { $0 = "\(configuration.host):\(port)" }
      }
      if let tls = configuration.tls, let tlsPort = configuration.tlsPort {
        let context = try TLSContext(tls, role: .server)
        tlsContext = context
        listeners.append(
          try await listen(
            responder, host: configuration.host, port: tlsPort, tls: context, group: group, logger: logger))
      }
    } catch {
      for listener in listeners { await stop(listener) }
      throw error
    }
    return AdminServer(listeners: listeners, tlsContext: tlsContext, logger: logger)
  }

  /// Answers what is under way and stops; idle connections are closed.
  public func shutdown() async {
    for listener in listeners { await Self.stop(listener) }
  }

  /// Reads the certificates again if their files changed; new connections use the new ones. Returns whether they did.
  public func reloadCertificates() throws -> Bool {
    try tlsContext?.reloadIfChanged() ?? false
  }

  private static func stop(_ listener: Listener) async {
    // Requests under way get a moment; whoever still holds a connection then loses it.
    let deadline = Task {
      try await Task.sleep(for: .seconds(2))
      listener.task.cancel()
    }
    try? await listener.stop()
    _ = await listener.task.result
    deadline.cancel()
  }

  private static func listen(
    _ responder: AdminResponder, host: String, port: Int, tls: TLSContext?, group: any EventLoopGroup, logger: Logger
  ) async throws -> Listener {
    let channel = HTTP1Channel(
      responder: { request, writer, _ in try await responder.respond(to: request, writer) },
      configuration: HTTP1Channel.Configuration(idleTimeout: .seconds(120)))
    if let tls {
      return try await listen(
        TLSServerChannel(base: channel, context: tls), host: host, port: port, group: group, logger: logger)
    }
    return try await listen(channel, host: host, port: port, group: group, logger: logger)
  }

  private static func listen(
    _ channel: some ServerChildChannel, host: String, port: Int, group: any EventLoopGroup, logger: Logger
  ) async throws -> Listener {
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
      return Listener(stop: { try await server.shutdownGracefully() }, task: task, port: bound)
    }
    do {
      try await task.value
    } catch {
      throw AdminFailure(500, "The admin port \(host):\(port) cannot be listened on: \(ErrorText.describe(error))")
    }
    throw AdminFailure(500, "The admin server on \(host):\(port) stopped before it listened")
  }
}
