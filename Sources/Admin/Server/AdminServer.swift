import Broker
import Foundation
import Logging
import MetadataStore
import NIOConcurrencyHelpers
import NIOCore
import Transport

/// The admin REST API (`/admin/v2`, `/lookup/v2`), metrics and Meridian's own reports, on a plain and optionally a TLS port.
public final class AdminServer: Sendable {
  private let listeners: [AdminListener]
  private let tlsContext: TLSContext?
  private let logger: Logger

  /// The port it listens on.
  public let port: Int
  /// The TLS port it listens on; nil: none.
  public let tlsPort: Int?

  private init(listeners: [AdminListener], tlsContext: TLSContext?, logger: Logger) {
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
      routes: AdminRoutes.table(services, logger: logger), maximumBodySize: configuration.maximumBodySize,
      logger: logger)
    var listeners: [AdminListener] = []
    var tlsContext: TLSContext?
    do {
      listeners.append(
        try await AdminListener.start(
          responder, host: configuration.host, port: configuration.port, tls: nil, group: group, logger: logger))
      if configuration.brokerID == nil {
        let port = listeners[0].port
        brokerID.withLockedValue { $0 = "\(configuration.host):\(port)" }
      }
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
    return AdminServer(listeners: listeners, tlsContext: tlsContext, logger: logger)
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
