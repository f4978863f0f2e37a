import Logging
import NIOCore
import Transport

/// The admin API of a process that has bookies and no broker: BookKeeper's paths below `/api/v1`, `/heartbeat`, `/metrics`.
///
/// A process that has a broker too serves the same paths from its ``AdminServer`` (see ``AdminSources/storage``).
public final class BookieAdminServer: Sendable {
  private let listeners: [AdminListener]
  private let tlsContext: TLSContext?

  /// The port it listens on.
  public let port: Int
  /// The TLS port it listens on; nil: none.
  public let tlsPort: Int?

  private init(listeners: [AdminListener], tlsContext: TLSContext?) {
    self.listeners = listeners
    self.tlsContext = tlsContext
    port = listeners.first?.port ?? 0
    tlsPort = listeners.count > 1 ? listeners[1].port : nil
  }

  /// Binds and serves; of the configuration what is about brokers has no effect.
  /// - Parameter metrics: more figures for `/metrics`.
  /// - Throws: what binding fails with (a port in use), or what reading the certificates fails with; nothing is left running.
  public static func start(
    configuration: AdminServerConfiguration, sources: BookieAdminSources,
    metrics: [@Sendable () async -> [MetricSample]] = [], group: any EventLoopGroup, logger: Logger
  ) async throws -> BookieAdminServer {
    var routes = RouteBuilder()
    BookieAdminRoutes(services: BookieAdminServices(sources: sources, logger: logger)).register(&routes)
    let storage = StorageMetrics(sources)
    let scrape: RouteBuilder.Handler = { _ in
      var samples = await storage.samples()
      for source in metrics { samples += await source() }
      return .text(PrometheusText.render(samples), contentType: PrometheusText.contentType)
    }
    routes.get("/metrics", scrape)
    let responder = AdminResponder(
      routes: routes.table, maximumBodySize: configuration.maximumBodySize, logger: logger)
    var listeners: [AdminListener] = []
    var tlsContext: TLSContext?
    do {
      listeners.append(
        try await AdminListener.start(
          responder, host: configuration.host, port: configuration.port, tls: nil, group: group, logger: logger))
      if let tls = configuration.tls, let tlsPort = configuration.tlsPort {
        let context = try TLSContext(tls, role: .server)
        tlsContext = context
        listeners.append(
          try await AdminListener.start(
            responder, host: configuration.host, port: tlsPort, tls: context, group: group, logger: logger))
      }
    } catch {
      for listener in listeners { await listener.stop() }
      throw error
    }
    return BookieAdminServer(listeners: listeners, tlsContext: tlsContext)
  }

  /// Answers what is under way and stops; idle connections are closed.
  public func shutdown() async {
    for listener in listeners { await listener.stop() }
  }

  /// Reads the certificates again if their files changed; new connections use the new ones. Returns whether they did.
  public func reloadCertificates() throws -> Bool {
    try tlsContext?.reloadIfChanged() ?? false
  }
}
