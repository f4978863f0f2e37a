import BookieWire
import Logging
import MetadataStore
import NIOConcurrencyHelpers
import NIOCore
import Transport

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A storage server for ledgers: it acknowledges an entry when it is synced to its journal, and keeps it until metadata no
/// longer has the ledger.
///
/// It speaks BookKeeper's v2 protocol over TCP, and ``BookieService`` to clients in the same process; both end in the same
/// journal. Its disk work has threads of its own; event loops only parse, check and copy.
public final class Bookie: BookieService, Sendable {
  let configuration: BookieConfiguration
  let storage: BookieStorage
  let collector: GarbageCollector
  let watch: BookieWatch
  let server: BookieServer
  private let registration: Registration
  private let locals = InProcessConnections()
  private let collection: Task<Void, Never>
  private let isStopped = NIOLockedValueBox(false)

  /// The bookie's id, as ledger metadata has it.
  public var bookieID: String { configuration.bookieID }

  /// The host that is listened on and advertised.
  public var host: String { configuration.host }

  /// The TCP port that is listened on.
  public var port: Int { server.port }

  /// Whether it serves: not shut down yet.
  public var isRunning: Bool { !isStopped.withLockedValue { $0 } }

  /// Starts a bookie: checks its identity, replays its journal, listens, and registers under `/bookies/available/<id>`.
  ///
  /// - Throws: ``BookieError`` in clear words if the directories are not this bookie's or are damaged; errors of the metadata
  ///   store and of binding the port as they are.
  public static func start(
    configuration: BookieConfiguration, metadata: any MetadataStore, group: any EventLoopGroup, logger: Logger
  ) async throws -> Bookie {
    var logger = logger
    logger[metadataKey: "bookie"] = "\(configuration.bookieID)"
    let log = logger
    let onFailure: @Sendable (String) -> Void =
      configuration.failureAction
      ?? { sentence in
        log.critical("\(sentence)")
        exit(1)
      }
    try await Identity(configuration).verify(metadata: metadata)
    let storage = try await blocking {
      try BookieStorage.open(configuration: configuration, logger: log, onFailure: onFailure)
    }
    do {
      if storage.hasUnboundedLimbo {
        // Ledgers that are made from now on have higher numbers: nothing of them can have been lost.
        storage.boundLimbo(through: try await metadata.nextSequence("ledger-id"))
      }
      let tls = try await blocking { try configuration.tls.map { try TLSContext($0, role: .server) } }
      let server = try await BookieServer(
        configuration: configuration, storage: storage, tls: tls, group: group, logger: log)
      do {
        let registration = try await Registration(
          configuration: configuration, port: server.port, isReadOnly: !storage.isWritable, metadata: metadata,
          logger: log)
        return Bookie(configuration, storage, server, registration, metadata, log)
      } catch {
        await server.close()
        throw error
      }
    } catch {
      try? await blocking { storage.close(checkpoint: true) }
      throw error
    }
  }

  private init(
    _ configuration: BookieConfiguration, _ storage: BookieStorage, _ server: BookieServer,
    _ registration: Registration, _ metadata: any MetadataStore, _ logger: Logger
  ) {
    self.configuration = configuration
    self.storage = storage
    self.server = server
    self.registration = registration
    let collector = GarbageCollector(storage: storage, metadata: metadata, logger: logger)
    self.collector = collector
    collection = Task { await collector.run(every: configuration.garbageCollectionInterval) }
    watch = BookieWatch(storage: storage, metadata: metadata, registration: registration, logger: logger)
    watch.start()
    logger.info("Bookie serves.", metadata: ["host": "\(configuration.host)", "port": "\(server.port)"])
  }

  /// Opens a connection for a client in this process. Must be called on `eventLoop`, to which everything is confined.
  public func connect(
    on eventLoop: any EventLoop, onResponses: @escaping ([BookieResponse]) -> Void, onClose: @escaping () -> Void
  ) -> any LocalBookieConnection {
    eventLoop.assertInEventLoop()
    let connection = InProcessConnection(
      storage: storage, eventLoop: eventLoop, onResponses: onResponses, onClose: onClose)
    locals.add(connection)
    return connection
  }

  /// Leaves the list of available bookies, closes every connection, flushes everything, and releases the directories.
  /// Calling it again does nothing.
  public func shutdown() async throws {
    try await stop(checkpoint: true)
  }

  /// Ends like a process that dies: what is in memory is not flushed, and the next start replays the journal.
  package func abandon() async throws {
    try await stop(checkpoint: false)
  }

  private func stop(checkpoint: Bool) async throws {
    let isFirst = isStopped.withLockedValue { stopped in
      defer { stopped = true }
      return !stopped
    }
    guard isFirst else { return }
    collection.cancel()
    await watch.end()
    await registration.end()
    await server.close()
    locals.shutDown()
    await collection.value
    try await blocking { [storage] in storage.close(checkpoint: checkpoint) }
  }
}
