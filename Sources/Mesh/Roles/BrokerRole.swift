import Admin
import Broker
import Foundation
import GeoReplication
import Ledgers
import Logging
import MetadataStore
import NIOCore
import Transport

/// The half of a region that keeps nothing: the client of its ledgers, the broker, its replicators and the admin API, over
/// whatever metadata store and bookies there are.
final class BrokerRole: Sendable {
  let broker: Broker
  let replication: ReplicationService
  let admin: AdminServer

  private let policies: PolicyStore
  private let certificates: [CertificateWatch]
  private let logger: Logger

  private init(
    broker: Broker, replication: ReplicationService, admin: AdminServer, policies: PolicyStore,
    certificates: [CertificateWatch], logger: Logger
  ) {
    self.broker = broker
    self.replication = replication
    self.admin = admin
    self.policies = policies
    self.certificates = certificates
    self.logger = logger
  }

  /// Starts everything, in the order in which the parts need each other; returns when clients are served.
  /// - Parameters:
  ///   - ledgers: reaches the bookies; its owner shuts it down, after this.
  ///   - sources: what the admin API shows besides the broker.
  static func start(
    _ configuration: StandaloneConfiguration, metadata: any MetadataStore, ledgers: LedgerClient,
    sources: AdminSources, group: any EventLoopGroup, logger: Logger
  ) async throws -> BrokerRole {
    let incarnation = try await RegionIncarnation.loadOrCreate(in: metadata)
    let policies = try await PolicyStore.open(
      metadata: metadata, localCluster: configuration.clusterName, logger: logger)
    try await policies.bootstrap(cluster: clusterData(configuration))

    let broker = Broker(
      configuration: try brokerConfiguration(configuration, incarnation), metadata: metadata, ledgers: ledgers,
      policies: policies, group: group, logger: logger)
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
    var sources = sources
    sources.lag = { await replication.lag() }
    sources.links = { await replication.lag().links }
    sources.bookieCount = { try await ledgers.knownBookies().count }
    let admin = try await AdminServer.start(
      configuration: adminConfiguration, broker: broker, policies: policies, metadata: metadata, sources: sources,
      group: group, logger: logger)
    let watch = [
      CertificateWatch("the TLS port", logger: logger) { try broker.reloadCertificates() },
      CertificateWatch("connections to bookies", logger: logger) { try ledgers.reloadCertificates() },
    ]
    return BrokerRole(
      broker: broker, replication: replication, admin: admin, policies: policies,
      certificates: watch, logger: logger)
  }

  /// Stops everything: clients are told, cursors saved.
  func shutdown() async {
    for watch in certificates { watch.cancel() }
    await admin.shutdown()
    await logger.step("broker") { try await broker.shutdown() }
    await replication.shutdown()
    policies.close()
  }

  private static func brokerConfiguration(
    _ configuration: StandaloneConfiguration, _ incarnation: UInt64
  ) throws -> BrokerConfiguration {
    var broker = BrokerConfiguration(clusterName: configuration.clusterName)
    broker.incarnation = incarnation
    broker.bindAddress = configuration.bindAddress
    broker.advertisedAddress = configuration.advertisedAddress
    broker.brokerServicePort = configuration.brokerServicePort
    broker.brokerServicePortTLS = configuration.brokerServicePortTls
    broker.tls = try tlsConfiguration(configuration)
    broker.webServiceURL = "http://\(configuration.advertisedAddress):\(configuration.webServicePort)"
    broker.managedLedgerDefaultEnsembleSize = configuration.managedLedgerDefaultEnsembleSize
    broker.managedLedgerDefaultWriteQuorum = configuration.managedLedgerDefaultWriteQuorum
    broker.managedLedgerDefaultAckQuorum = configuration.managedLedgerDefaultAckQuorum
    broker.brokerDeduplicationEnabled = configuration.brokerDeduplicationEnabled
    broker.replicationRequiresClientCertificate = configuration.replicationRequiresClientCertificate
    broker.replicationStartAt = ReplicationStart(rawValue: configuration.replicationStartAt) ?? .earliest
    return broker
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
