import Bookie
import Broker
import Ledgers
import Logging
import MetadataStore
import NIOConcurrencyHelpers
import NIOPosix
import PulsarClient
import TestSupport

/// A region in this process whose broker can be replaced while the data and the port stay.
final class ClientRegion: Sendable {
  let port: Int
  private let broker: NIOLockedValueBox<Broker>
  private let policies: PolicyStore
  private let store: RocksDBStore
  private let bookies: [Bookie]
  private let ledgers: LedgerClient
  private let group: MultiThreadedEventLoopGroup
  private let deduplicates: Bool

  var serviceURL: String { "pulsar://127.0.0.1:\(port)" }

  /// Runs `body` with a region in a fresh directory and a client of it, and ends both.
  static func with(
    deduplicates: Bool = false, configure: (inout ClientConfiguration) -> Void = { _ in },
    _ body: (ClientRegion, PulsarClient) async throws -> Void
  ) async throws {
    try await TemporaryDirectory.with { directory in
      let region = try await ClientRegion(in: directory, deduplicates: deduplicates)
      var configuration = ClientConfiguration()
      configuration.backoff = .init(initial: .milliseconds(20), maximum: .milliseconds(200))
      configure(&configuration)
      let client = try PulsarClient(
        serviceURL: region.serviceURL, configuration: configuration, group: region.group)
      do {
        try await body(region, client)
      } catch {
        await client.close()
        try? await region.stop()
        throw error
      }
      await client.close()
      try await region.stop()
    }
  }

  private init(in directory: TemporaryDirectory, deduplicates: Bool) async throws {
    self.deduplicates = deduplicates
    group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
    store = try await RocksDBStore.open(path: directory.file("metadata"), logger: Self.logger)
    var bookies: [Bookie] = []
    for index in 1...3 {
      bookies.append(
        try await Bookie.start(
          configuration: BookieConfiguration(bookieID: "b\(index)", directory: directory.file("b\(index)")),
          metadata: store, group: group, logger: Self.logger))
    }
    self.bookies = bookies
    ledgers = LedgerClient(metadata: store, group: group, logger: Self.logger)
    policies = try await PolicyStore.open(metadata: store, localCluster: "eu", logger: Self.logger)
    try await policies.bootstrap(cluster: ClusterData())
    port = try await freePort()
    broker = NIOLockedValueBox(
      Self.makeBroker(port, deduplicates, store: store, ledgers: ledgers, policies: policies, group: group))
    try await current.start()
  }

  var current: Broker { broker.withLockedValue { $0 } }

  /// Stops the broker and starts another one on the same data and port.
  func restartBroker() async throws {
    try await current.shutdown()
    broker.withLockedValue {
      $0 = Self.makeBroker(port, deduplicates, store: store, ledgers: ledgers, policies: policies, group: group)
    }
    try await current.start()
  }

  private func stop() async throws {
    try await current.shutdown()
    policies.close()
    try await ledgers.shutdown()
    for bookie in bookies { try await bookie.shutdown() }
    try await store.close()
    try await group.shutdownGracefully()
  }

  private static var logger: Logger { Logger(label: "region", factory: { _ in SwiftLogNoOpLogHandler() }) }

  private static func makeBroker(
    _ port: Int, _ deduplicates: Bool, store: RocksDBStore, ledgers: LedgerClient, policies: PolicyStore,
    group: MultiThreadedEventLoopGroup
  ) -> Broker {
    var configuration = BrokerConfiguration(clusterName: "eu")
    configuration.brokerServicePort = port
    configuration.brokerDeduplicationEnabled = deduplicates
    return Broker(
      configuration: configuration, metadata: store, ledgers: ledgers, policies: policies, group: group, logger: logger)
  }
}
