import Admin
import Broker
import Foundation
import Ledgers
import Logging
import MetadataStore
import NIOCore

/// The broker of a region as a process of its own: it keeps nothing but certificates, and reaches bookies and metadata over
/// the network. One for each region.
public final class BrokerProcess: Sendable {
  /// The broker.
  public var broker: Broker { role.broker }

  private let metadata: any MetadataStore
  private let ledgers: LedgerClient
  private let seat: BrokerSeat
  private let role: BrokerRole
  private let logger: Logger

  private init(
    metadata: any MetadataStore, ledgers: LedgerClient, seat: BrokerSeat, role: BrokerRole, logger: Logger
  ) {
    self.metadata = metadata
    self.ledgers = ledgers
    self.seat = seat
    self.role = role
    self.logger = logger
  }

  /// Starts everything; returns when clients are served.
  /// - Parameter onLost: called once, with a sentence, when another broker has taken the region over.
  public static func start(
    _ configuration: StandaloneConfiguration, group: any EventLoopGroup, logger: Logger,
    onLost: @escaping @Sendable (String) -> Void
  ) async throws -> BrokerProcess {
    try configuration.validateBroker()
    let url = configuration.metadataStoreUrl ?? ""
    guard url.contains("etcd:") else {
      throw MeshError(
        "a broker needs a metadata store that it shares with bookies; give --metadata-store-url etcd://host:port")
    }
    do {
      try FileManager.default.createDirectory(
        atPath: configuration.dataDirectory, withIntermediateDirectories: true)
    } catch {
      throw MeshError(
        "cannot create the data directory \(configuration.dataDirectory): \(error.localizedDescription)")
    }
    let metadata = try await MetadataStoreURL.open(url, tls: configuration.metadataTLS, logger: logger)
    do {
      let seat = try await BrokerSeat.take(
        broker: "\(configuration.advertisedAddress):\(configuration.brokerServicePort)", metadata: metadata,
        ttl: .seconds(10), logger: logger, onLost: onLost)
      do {
        var client = LedgerClientConfiguration()
        try configuration.bookkeeperClient.apply(to: &client)
        let ledgers = LedgerClient(metadata: metadata, group: group, configuration: client, logger: logger)
        var sources = AdminSources()
        sources.storage = BookieAdminSources(bookies: [], ledgers: ledgers)
        let role = try await BrokerRole.start(
          configuration, metadata: metadata, ledgers: ledgers, sources: sources, group: group, logger: logger)
        return BrokerProcess(metadata: metadata, ledgers: ledgers, seat: seat, role: role, logger: logger)
      } catch {
        await seat.leave()
        throw error
      }
    } catch {
      try? await metadata.close()
      throw error
    }
  }

  /// Stops everything: clients are told, cursors saved, the seat left.
  public func shutdown() async {
    await role.shutdown()
    await logger.step("ledger client") { try await ledgers.shutdown() }
    await seat.leave()
    await logger.step("metadata") { try await metadata.close() }
  }
}
