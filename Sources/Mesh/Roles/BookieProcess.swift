import Admin
import Bookie
import Ledgers
import Logging
import MetadataStore
import NIOCore
import Transport

/// One bookie as a process of its own: it registers in a metadata store that the region shares, serves the BookKeeper port,
/// and takes its part in keeping ledgers in as many copies as they want.
public final class BookieProcess: Sendable {
  /// The bookie.
  public let bookie: Bookie

  private let metadata: any MetadataStore
  private let ledgers: LedgerClient
  private let autoRecovery: AutoRecovery?
  private let admin: BookieAdminServer?
  private let certificates: CertificateWatch
  private let logger: Logger

  private init(
    bookie: Bookie, metadata: any MetadataStore, ledgers: LedgerClient, autoRecovery: AutoRecovery?,
    admin: BookieAdminServer?, logger: Logger
  ) {
    self.bookie = bookie
    self.metadata = metadata
    self.ledgers = ledgers
    self.autoRecovery = autoRecovery
    self.admin = admin
    certificates = CertificateWatch("the bookie's port", logger: logger) {
      let isNew = try bookie.reloadCertificates()
      return try ledgers.reloadCertificates() || isNew
    }
    self.logger = logger
  }

  /// Starts everything; returns when the bookie serves and is registered.
  public static func start(
    _ configuration: BookieProcessConfiguration, group: any EventLoopGroup, logger: Logger
  ) async throws -> BookieProcess {
    var configuration = configuration
    try configuration.validate()
    let metadata = try await MetadataStoreURL.open(
      configuration.metadataStoreURL, tls: configuration.metadataTLS, logger: logger)
    do {
      let bookie = try await Bookie.start(
        configuration: configuration.bookie, metadata: metadata, group: group, logger: logger)
      var client = LedgerClientConfiguration()
      let registry = LocalBookieRegistry()
      registry.register(bookie)
      client.localBookies = registry
      if let certificate = configuration.bookie.tlsCertificatePath {
        // One bookie is another one's client when it repairs ledgers.
        client.tls = try TLSContext(
          TLSConfiguration(
            certificateChainFile: certificate, privateKeyFile: configuration.bookie.tlsKeyPath,
            trustRootsFile: configuration.bookie.tlsTrustPath, verification: .certificate), role: .client)
      }
      client.placement = configuration.placement.placement
      client.maximumFrameSize = configuration.bookie.maximumFrameSize
      let ledgers = LedgerClient(metadata: metadata, group: group, configuration: client, logger: logger)
      var autoRecovery: AutoRecovery?
      if configuration.autoRecoveryDaemonEnabled {
        autoRecovery = AutoRecovery.start(
          client: ledgers, metadata: metadata, name: configuration.bookie.bookieID,
          configuration: configuration.autoRecovery, logger: logger)
      }
      do {
        let admin = try await startAdmin(configuration, bookie, ledgers, autoRecovery, group, logger)
        return BookieProcess(
          bookie: bookie, metadata: metadata, ledgers: ledgers, autoRecovery: autoRecovery, admin: admin, logger: logger
        )
      } catch {
        await autoRecovery?.shutdown()
        try? await ledgers.shutdown()
        try? await bookie.shutdown()
        throw error
      }
    } catch {
      try? await metadata.close()
      throw error
    }
  }

  private static func startAdmin(
    _ configuration: BookieProcessConfiguration, _ bookie: Bookie, _ ledgers: LedgerClient,
    _ autoRecovery: AutoRecovery?, _ group: any EventLoopGroup, _ logger: Logger
  ) async throws -> BookieAdminServer? {
    guard let port = configuration.httpServerPort else { return nil }
    var server = AdminServerConfiguration()
    server.host = configuration.httpServerHost
    server.port = port
    let settings = [
      "metadataServiceUri": configuration.metadataStoreURL,
      "autoRecoveryDaemonEnabled": "\(configuration.autoRecoveryDaemonEnabled)",
    ]
    do {
      return try await BookieAdminServer.start(
        configuration: server,
        sources: BookieAdminSources(
          bookies: [bookie], ledgers: ledgers, autoRecovery: autoRecovery, settings: settings),
        group: group, logger: logger)
    } catch {
      throw MeshError("the HTTP port \(server.host):\(port) cannot be had: \(error); give another --http-port")
    }
  }

  /// The HTTP port that is listened on; nil: none.
  public var httpPort: Int? { admin?.port }

  /// Stops everything: the bookie leaves the list of available ones and flushes what it has.
  public func shutdown() async {
    certificates.cancel()
    await admin?.shutdown()
    await autoRecovery?.shutdown()
    await logger.step("ledger client") { try await ledgers.shutdown() }
    await logger.step("bookie") { try await bookie.shutdown() }
    await logger.step("metadata") { try await metadata.close() }
  }
}

extension Logger {
  /// Runs one step of a shutdown; a failure is logged, and does not keep the others from being taken.
  func step(_ name: String, _ body: () async throws -> Void) async {
    do {
      try await body()
    } catch {
      warning("\(name) did not stop cleanly: \(error)")
    }
  }
}
