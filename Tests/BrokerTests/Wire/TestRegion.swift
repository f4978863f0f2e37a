import Bookie
import Ledgers
import Logging
import MetadataStore
import NIOPosix
import TestSupport

@testable import Broker

/// A region in this process: metadata in RocksDB, three bookies with journals on disk, one broker.
final class TestRegion: Sendable {
  let broker: Broker
  let policies: PolicyStore
  /// Of a region that takes other regions' streams.
  let certificates: LinkCertificates?
  /// What the broker keeps its records in, which a test can break.
  let metadata: FaultyMetadata
  private let store: RocksDBStore
  private let bookies: [Bookie]
  let ledgers: LedgerClient
  private let group: MultiThreadedEventLoopGroup

  static func start(
    in directory: TemporaryDirectory, cluster: String = "eu", links: Bool = false,
    replicators: (any TopicReplicatorFactory)? = nil,
    _ configure: (inout BrokerConfiguration) -> Void = { _ in }
  ) async throws -> TestRegion {
    var logger = Logger(label: "region", factory: { _ in SwiftLogNoOpLogHandler() })
    logger.logLevel = .critical
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
    let store = try await RocksDBStore.open(path: directory.file("metadata"), logger: logger)
    var bookies: [Bookie] = []
    for index in 1...3 {
      bookies.append(
        try await Bookie.start(
          configuration: BookieConfiguration(bookieID: "b\(index)", directory: directory.file("b\(index)")),
          metadata: store, group: group, logger: logger))
    }
    let ledgers = LedgerClient(metadata: store, group: group, logger: logger)
    let policies = try await PolicyStore.open(metadata: store, localCluster: cluster, logger: logger)
    try await policies.bootstrap(cluster: ClusterData())
    var configuration = BrokerConfiguration(clusterName: cluster)
    configuration.brokerServicePort = 0
    let metadata = FaultyMetadata(store)
    let certificates = links ? try LinkCertificates(in: directory) : nil
    if let certificates {
      try certificates.serve(&configuration)
    }
    configure(&configuration)
    let broker = Broker(
      configuration: configuration, metadata: metadata, ledgers: ledgers, policies: policies, group: group,
      logger: logger)
    if let replicators { broker.setReplicatorFactory(replicators) }
    try await broker.start()
    return TestRegion(
      broker: broker, policies: policies, certificates: certificates, metadata: metadata, store: store,
      bookies: bookies, ledgers: ledgers,
      group: group)
  }

  private init(
    broker: Broker, policies: PolicyStore, certificates: LinkCertificates?, metadata: FaultyMetadata,
    store: RocksDBStore, bookies: [Bookie],
    ledgers: LedgerClient, group: MultiThreadedEventLoopGroup
  ) {
    self.broker = broker
    self.policies = policies
    self.certificates = certificates
    self.metadata = metadata
    self.store = store
    self.bookies = bookies
    self.ledgers = ledgers
    self.group = group
  }

  func stop() async throws {
    try await broker.shutdown()
    policies.close()
    try await ledgers.shutdown()
    for bookie in bookies { try await bookie.shutdown() }
    try await store.close()
    try await group.shutdownGracefully()
  }

  /// Runs `body` with a region in a fresh directory, and ends it.
  static func with(
    links: Bool = false, replicators: (any TopicReplicatorFactory)? = nil,
    _ configure: (inout BrokerConfiguration) -> Void = { _ in }, _ body: (TestRegion) async throws -> Void
  ) async throws {
    try await TemporaryDirectory.with { directory in
      let region = try await start(in: directory, links: links, replicators: replicators, configure)
      do {
        try await body(region)
      } catch {
        try? await region.stop()
        throw error
      }
      try await region.stop()
    }
  }

  func connect(_ features: (inout WireClient.Features) -> Void = { _ in }) async throws -> WireClient {
    try await WireClient.connect(port: broker.pulsarPort ?? 0, features)
  }

  /// A connection over TLS of somebody whose certificate names `name`.
  func link(
    as name: String?, _ features: (inout WireClient.Features) -> Void = { _ in }
  ) async throws -> WireClient {
    guard let certificates, let port = broker.pulsarTLSPort else {
      throw TestSupportError("The region takes no links.")
    }
    return try await WireClient.connect(port: port, tls: try certificates.client(name), features)
  }
}
