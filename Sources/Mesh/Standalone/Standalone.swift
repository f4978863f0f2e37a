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

/// One region in one process: embedded metadata, bookies, a broker, its replicators and the admin API.
///
/// The floors below know nothing of each other's being here; the same types make a region of many processes.
public final class Standalone: Sendable {
  /// What it was started with.
  public let configuration: StandaloneConfiguration
  /// The broker.
  public var broker: Broker { role.broker }
  /// The replicators.
  public var replication: ReplicationService { role.replication }
  /// The admin API.
  public var admin: AdminServer { role.admin }

  private let lock: DataDirectoryLock
  private let metadata: RocksDBStore
  private let bookies: [Bookie]
  private let ledgers: LedgerClient
  private let autoRecovery: AutoRecovery
  private let role: BrokerRole
  private let logger: Logger

  private init(
    configuration: StandaloneConfiguration, lock: DataDirectoryLock, metadata: RocksDBStore, bookies: [Bookie],
    ledgers: LedgerClient, autoRecovery: AutoRecovery, role: BrokerRole, logger: Logger
  ) {
    self.configuration = configuration
    self.lock = lock
    self.metadata = metadata
    self.bookies = bookies
    self.ledgers = ledgers
    self.autoRecovery = autoRecovery
    self.role = role
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
    try configuration.bookkeeperClient.apply(to: &clientConfiguration)
    clientConfiguration.localBookies = registry
    let ledgers = LedgerClient(metadata: metadata, group: group, configuration: clientConfiguration, logger: logger)
    let autoRecovery = AutoRecovery.start(
      client: ledgers, metadata: metadata, name: configuration.clusterName, logger: logger)

    var sources = AdminSources()
    sources.storage = BookieAdminSources(bookies: bookies, ledgers: ledgers, autoRecovery: autoRecovery)
    let role = try await BrokerRole.start(
      configuration, metadata: metadata, ledgers: ledgers, sources: sources, group: group, logger: logger)
    return Standalone(
      configuration: configuration, lock: lock, metadata: metadata, bookies: bookies, ledgers: ledgers,
      autoRecovery: autoRecovery, role: role, logger: logger)
  }

  /// Stops everything: clients are told, cursors saved, bookies flushed.
  public func shutdown() async {
    await role.shutdown()
    await autoRecovery.shutdown()
    await logger.step("ledger client") { try await ledgers.shutdown() }
    await withTaskGroup(of: Void.self) { group in
      for bookie in bookies {
        group.addTask { await self.logger.step(bookie.bookieID) { try await bookie.shutdown() } }
      }
    }
    await logger.step("metadata") { try await metadata.close() }
    withExtendedLifetime(lock) {}
  }
}
