import Admin
import Bookie
import Broker
import Foundation
import GeoReplication
import Ledgers
import Logging
import MetadataStore
import NIOCore
import NIOPosix
import Transport

/// One region in one process: embedded metadata, bookies, a broker, its replicators and the admin API.
///
/// The floors below know nothing of each other's being here; the same types make a region of many processes.
public final class Standalone: Sendable {
  /// What it was started with.
  public let configuration: StandaloneConfiguration
  /// The broker.
  public let broker: Broker
  /// The replicators.
  public let replication: ReplicationService
  /// The admin API.
  public let admin: AdminServer

  private let lock: DataDirectoryLock
  private let metadata: RocksDBStore
  private let policies: PolicyStore
  private let bookies: [Bookie]
  private let ledgers: LedgerClient
  private let autoRecovery: AutoRecovery
  private let certificates: Task<Void, Never>
  private let logger: Logger

  private init(
    configuration: StandaloneConfiguration, broker: Broker, replication: ReplicationService, admin: AdminServer,
    lock: DataDirectoryLock, metadata: RocksDBStore, policies: PolicyStore, bookies: [Bookie], ledgers: LedgerClient,
    autoRecovery: AutoRecovery, certificates: Task<Void, Never>, logger: Logger
  ) {
    self.configuration = configuration
    self.broker = broker
    self.replication = replication
    self.admin = admin
    self.lock = lock
    self.metadata = metadata
    self.policies = policies
    self.bookies = bookies
    self.ledgers = ledgers
    self.autoRecovery = autoRecovery
    self.certificates = certificates
    self.logger = logger
  }

  /// Starts everything, in the order in which the parts need each other; returns when clients are served.
  public static func start(
    _ configuration: StandaloneConfiguration, group: any EventLoopGroup, logger: Logger
  ) async throws -> Standalone {
    try configuration.validate()
    let data = configuration.dataDirectory
    do {
      try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
    } catch {
      throw MeshError("cannot create the data directory \(data): \(error.localizedDescription)")
    }
    let lock = try DataDirectoryLock(directory: data)
    let metadata = try await RocksDBStore.open(path: data + "/metadata")
    let incarnation = try await RegionIncarnation.loadOrCreate(in: metadata)

    let registry = LocalBookieRegistry()
    var bookies: [Bookie] = []
    for index in 1...configuration.numberOfBookies {
      let bookie = try await Bookie.start(
        configuration: BookieConfiguration(
          bookieID: "bookie-\(index)", host: "127.0.0.1", port: 0, directory: "\(data)/bookie-\(index)"),
        metadata: metadata, group: group, logger: logger)
      registry.register(bookie)
      bookies.append(bookie)
    }
    var clientConfiguration = LedgerClientConfiguration()
    configuration.bookkeeperClient.apply(to: &clientConfiguration)
    clientConfiguration.localBookies = registry
    let ledgers = LedgerClient(metadata: metadata, group: group, configuration: clientConfiguration, logger: logger)
    let autoRecovery = AutoRecovery.start(
      client: ledgers, metadata: metadata, name: configuration.clusterName, logger: logger)

    let policies = try await PolicyStore.open(
      metadata: metadata, localCluster: configuration.clusterName, logger: logger)
    try await policies.bootstrap(cluster: clusterData(configuration))

    let tls = try tlsConfiguration(configuration)
    var brokerConfiguration = BrokerConfiguration(clusterName: configuration.clusterName)
    brokerConfiguration.incarnation = incarnation
    brokerConfiguration.bindAddress = configuration.bindAddress
    brokerConfiguration.advertisedAddress = configuration.advertisedAddress
    brokerConfiguration.brokerServicePort = configuration.brokerServicePort
    brokerConfiguration.brokerServicePortTLS = configuration.brokerServicePortTls
    brokerConfiguration.tls = tls
    brokerConfiguration.webServiceURL = "http://\(configuration.advertisedAddress):\(configuration.webServicePort)"
    brokerConfiguration.managedLedgerDefaultEnsembleSize = configuration.managedLedgerDefaultEnsembleSize
    brokerConfiguration.managedLedgerDefaultWriteQuorum = configuration.managedLedgerDefaultWriteQuorum
    brokerConfiguration.managedLedgerDefaultAckQuorum = configuration.managedLedgerDefaultAckQuorum
    brokerConfiguration.brokerDeduplicationEnabled = configuration.brokerDeduplicationEnabled
    brokerConfiguration.replicationRequiresClientCertificate = configuration.replicationRequiresClientCertificate
    brokerConfiguration.replicationStartAt = ReplicationStart(rawValue: configuration.replicationStartAt) ?? .earliest
    let broker = Broker(
      configuration: brokerConfiguration, metadata: metadata, ledgers: ledgers, policies: policies, group: group,
      logger: logger)

    let replication = ReplicationService(
      region: configuration.clusterName, incarnation: incarnation, policies: policies,
      configuration: ReplicationConfiguration(), group: group, logger: logger)
    broker.setReplicatorFactory(replication)
    try await broker.start()
    try await replication.start()

    var adminConfiguration = AdminServerConfiguration()
    adminConfiguration.host = configuration.bindAddress
    adminConfiguration.port = configuration.webServicePort
    adminConfiguration.incarnation = incarnation
    adminConfiguration.brokerID = "\(configuration.advertisedAddress):\(configuration.webServicePort)"
    var sources = AdminSources()
    sources.lag = { await replication.lag() }
    sources.links = { await replication.lag().links }
    sources.storage = BookieAdminSources(bookies: bookies, ledgers: ledgers, autoRecovery: autoRecovery)
    sources.bookieCount = { try await ledgers.knownBookies().count }
    let admin = try await AdminServer.start(
      configuration: adminConfiguration, broker: broker, policies: policies, metadata: metadata, sources: sources,
      group: group, logger: logger)

    let certificates = Task {
      while !Task.isCancelled {
        try? await Task.sleep(for: .seconds(10))
        do {
          if try broker.reloadCertificates() { logger.info("the certificates of the TLS port were reloaded") }
        } catch {
          logger.warning("the new certificates of the TLS port cannot be used, the old ones stay: \(error)")
        }
      }
    }
    return Standalone(
      configuration: configuration, broker: broker, replication: replication, admin: admin, lock: lock,
      metadata: metadata, policies: policies, bookies: bookies, ledgers: ledgers, autoRecovery: autoRecovery,
      certificates: certificates, logger: logger)
  }

  /// Stops everything: clients are told, cursors saved, bookies flushed.
  public func shutdown() async {
    certificates.cancel()
    await admin.shutdown()
    await step("broker") { try await broker.shutdown() }
    await step("replication") { await replication.shutdown() }
    await autoRecovery.shutdown()
    await step("ledger client") { try await ledgers.shutdown() }
    await withTaskGroup(of: Void.self) { group in
      for bookie in bookies { group.addTask { await self.step(bookie.bookieID) { try await bookie.shutdown() } } }
    }
    policies.close()
    await step("metadata") { try await metadata.close() }
    withExtendedLifetime(lock) {}
  }

  private func step(_ name: String, _ body: () async throws -> Void) async {
    do {
      try await body()
    } catch {
      logger.warning("\(name) did not stop cleanly: \(error)")
    }
  }

  private static func clusterData(_ configuration: StandaloneConfiguration) -> ClusterData {
    var cluster = ClusterData()
    let host = configuration.advertisedAddress
    cluster.serviceUrl = "http://\(host):\(configuration.webServicePort)"
    cluster.brokerServiceUrl = "pulsar://\(host):\(configuration.brokerServicePort)"
    cluster.brokerServiceUrlTls = "pulsar+ssl://\(host):\(configuration.brokerServicePortTls)"
    return cluster
  }

  /// The certificates of the TLS port: the given ones, or those of an authority made for this region alone.
  private static func tlsConfiguration(_ configuration: StandaloneConfiguration) throws -> TLSConfiguration {
    var tls = TLSConfiguration()
    tls.verification = .none
    tls.clientAuth = configuration.tlsRequireTrustedClientCertOnConnect ? .required : .optional
    if let certificate = configuration.tlsCertificateFilePath, let key = configuration.tlsKeyFilePath {
      tls.certificateChainFile = certificate
      tls.privateKeyFile = key
      tls.trustRootsFile = configuration.tlsTrustCertsFilePath
      if tls.trustRootsFile == nil, tls.clientAuth == .optional { tls.clientAuth = .none }
      return tls
    }
    let directory = configuration.dataDirectory + "/certs"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    let authority = try CertificateAuthority.loadOrCreate(
      directory: directory, commonName: "Meridian region \(configuration.clusterName)")
    let certificate = "\(directory)/broker.crt"
    let key = "\(directory)/broker.key"
    if !FileManager.default.fileExists(atPath: certificate) || !FileManager.default.fileExists(atPath: key) {
      try authority.issueFiles(
        name: "broker", directory: directory, commonName: configuration.clusterName,
        dnsNames: Array(
          Set(["localhost", configuration.advertisedAddress].filter { !$0.allSatisfy { $0.isNumber || $0 == "." } })),
        ipAddresses: ["127.0.0.1"])
    }
    tls.certificateChainFile = certificate
    tls.privateKeyFile = key
    tls.trustRootsFile = configuration.tlsTrustCertsFilePath ?? "\(directory)/ca.crt"
    return tls
  }
}
