import Bookie
import Broker
import GeoReplication
import Ledgers
import Logging
import MetadataStore
import NIOConcurrencyHelpers
import NIOPosix
import TestSupport
import Transport

/// A region in this process: metadata in RocksDB, three bookies, and a broker with its replication service, which can be
/// stopped and started again on what it stored.
final class GeoRegion: Sendable {
  struct Serving: Sendable {
    var broker: Broker
    var replication: ReplicationService
    var policies: PolicyStore
    var ledgers: LedgerClient
  }

  let name: String
  let port: Int
  let tlsPort: Int
  let incarnation: UInt64
  private let tls: TLSConfiguration
  private let linkTLS: TLSConfiguration
  private let store: RocksDBStore
  private let bookies: [Bookie]
  private let group: MultiThreadedEventLoopGroup
  private let configure: @Sendable (inout ReplicationConfiguration) -> Void
  private let configureBroker: @Sendable (inout BrokerConfiguration) -> Void
  private let serving = NIOLockedValueBox<Serving?>(nil)
  private let logger: Logger

  init(
    _ name: String, in directory: TemporaryDirectory, authority: CertificateAuthority,
    configureBroker: @escaping @Sendable (inout BrokerConfiguration) -> Void = { _ in },
    _ configure: @escaping @Sendable (inout ReplicationConfiguration) -> Void = { _ in }
  ) async throws {
    self.name = name
    self.configure = configure
    self.configureBroker = configureBroker
    self.logger = TestFiles.logger(name)
    let logger = self.logger
    port = try await freePort()
    tlsPort = try await freePort()
    let path = directory.file(name)
    try TestFiles.makeDirectory(path)
    let root = path + "/ca.crt"
    try TestFiles.write(authority.certificatePEM, to: root)
    let server = try authority.issueFiles(
      name: "broker", directory: path, commonName: name, dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"])
    tls = TLSConfiguration(
      certificateChainFile: server.certificateFile, privateKeyFile: server.privateKeyFile, trustRootsFile: root,
      clientAuth: .required)
    linkTLS = TLSConfiguration(
      certificateChainFile: server.certificateFile, privateKeyFile: server.privateKeyFile, trustRootsFile: root)
    group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
    store = try await RocksDBStore.open(path: path + "/metadata", logger: logger)
    var bookies: [Bookie] = []
    for index in 1...3 {
      bookies.append(
        try await Bookie.start(
          configuration: BookieConfiguration(bookieID: "b\(index)", directory: path + "/b\(index)"),
          metadata: store, group: group, logger: logger))
    }
    self.bookies = bookies
    incarnation = try await RegionIncarnation.loadOrCreate(in: store)
  }

  var broker: Broker { current.broker }
  var replication: ReplicationService { current.replication }
  var policies: PolicyStore { current.policies }

  private var current: Serving {
    guard let now = serving.withLockedValue({ $0 }) else { preconditionFailure("the broker does not run") }
    return now
  }

  /// Starts the broker and its replication.
  func start() async throws {
    let policies = try await PolicyStore.open(metadata: store, localCluster: name, logger: logger)
    try await policies.bootstrap(cluster: ClusterData())
    let ledgers = LedgerClient(metadata: store, group: group, logger: logger)
    var configuration = BrokerConfiguration(clusterName: name)
    configuration.incarnation = incarnation
    configuration.brokerServicePort = port
    configuration.brokerServicePortTLS = tlsPort
    configuration.tls = tls
    configureBroker(&configuration)
    var replicationConfiguration = ReplicationConfiguration()
    replicationConfiguration.tls = linkTLS
    replicationConfiguration.heartbeatInterval = .milliseconds(200)
    replicationConfiguration.heartbeatTimeout = .seconds(2)
    replicationConfiguration.connectionTimeout = .seconds(2)
    configure(&replicationConfiguration)
    let replication = ReplicationService(
      region: name, incarnation: incarnation, policies: policies, configuration: replicationConfiguration,
      group: group, logger: logger)
    let broker = Broker(
      configuration: configuration, metadata: store, ledgers: ledgers, policies: policies, group: group,
      logger: logger)
    broker.setReplicatorFactory(replication)
    try await replication.start()
    try await broker.start()
    serving.withLockedValue {
      $0 = Serving(broker: broker, replication: replication, policies: policies, ledgers: ledgers)
    }
  }

  /// Stops the broker and its replication; what is stored stays.
  func stop() async throws {
    guard let now = serving.withLockedValue({ $0 }) else { return }
    serving.withLockedValue { $0 = nil }
    try await now.broker.shutdown()
    await now.replication.shutdown()
    now.policies.close()
    try await now.ledgers.shutdown()
  }

  /// Ends everything.
  func end() async throws {
    try await stop()
    for bookie in bookies { try await bookie.shutdown() }
    try await store.close()
    try await group.shutdownGracefully()
  }

  /// Says where another region is; `relay` is what connections are made to instead.
  func know(_ other: GeoRegion, through relay: Int? = nil, listening port: Int? = nil) async throws {
    var record = ClusterData()
    record.brokerServiceUrl = "pulsar://127.0.0.1:\(other.port)"
    record.brokerServiceUrlTls = "pulsar+ssl://127.0.0.1:\(port ?? other.tlsPort)"
    record.brokerClientTlsEnabled = true
    if let relay {
      record.proxyServiceUrl = "pulsar+ssl://127.0.0.1:\(relay)"
      record.proxyProtocol = "SNI"
    }
    if policies.cachedCluster(other.name) == nil {
      try await policies.createCluster(other.name, record)
    } else {
      try await policies.updateCluster(other.name) { $0 = record }
    }
  }
}
