import Logging
import MetadataStore
import NIOCore
import NIOPosix
import Testing
import TestSupport

@testable import Bookie
@testable import Ledgers

/// How a client reaches the bookies.
enum Reach: String, CaseIterable, Sendable, CustomTestStringConvertible {
  case network, inProcess
  var testDescription: String { rawValue }
}

/// Real bookies over a real metadata store, in a temporary directory.
actor BookieCluster {
  nonisolated let metadata: RocksDBStore
  nonisolated let group: MultiThreadedEventLoopGroup
  nonisolated let registry = LocalBookieRegistry()
  private let directory: TemporaryDirectory
  private var bookies: [String: Bookie] = [:]
  private var clients: [LedgerClient] = []
  private var interposed: [String: InterposedBookie] = [:]
  private var recoveries: [AutoRecovery] = []

  nonisolated var loop: any EventLoop { group.next() }

  static func with<R: Sendable>(
    _ count: Int, _ body: @Sendable (BookieCluster) async throws -> R
  ) async throws -> R {
    let directory = try TemporaryDirectory()
    let metadata = try await RocksDBStore.open(path: directory.file("metadata"))
    let cluster = BookieCluster(directory, metadata)
    do {
      for index in 1...count { try await cluster.start("bookie-\(index)") }
      let result = try await body(cluster)
      try await cluster.stop()
      return result
    } catch {
      try? await cluster.stop()
      throw error
    }
  }

  private init(_ directory: TemporaryDirectory, _ metadata: RocksDBStore) {
    self.directory = directory
    self.metadata = metadata
    self.group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
  }

  func start(_ id: String, _ adjust: @Sendable (inout BookieConfiguration) -> Void = { _ in }) async throws {
    var configuration = BookieConfiguration(bookieID: id, directory: directory.file(id))
    configuration.journalPreallocation = 1024 * 1024
    adjust(&configuration)
    let bookie = try await Bookie.start(
      configuration: configuration, metadata: metadata, group: group, logger: Logger(label: "bookie"))
    bookies[id] = bookie
    let service = InterposedBookie(bookie)
    interposed[id] = service
    registry.register(service)
  }

  /// Where faults can be put between in-process clients and the bookie.
  func faults(of id: String, _ change: @Sendable (inout InterposedBookie.Faults) -> Void) {
    interposed[id]?.set(change)
  }

  /// Read requests that in-process clients sent to the bookie.
  func reads(of id: String) -> Int { interposed[id]?.reads ?? 0 }

  func stop(_ id: String) async throws {
    registry.remove(id)
    try await bookies.removeValue(forKey: id)?.shutdown()
  }

  /// Ends a bookie as a process dies.
  func kill(_ id: String) async throws {
    registry.remove(id)
    try await bookies.removeValue(forKey: id)?.abandon()
  }

  func bookie(_ id: String) -> Bookie? { bookies[id] }

  /// Where a bookie's data is.
  nonisolated func directory(of id: String) -> String { directory.file(id) }

  var bookieIDs: [String] { bookies.keys.sorted() }

  func client(
    _ reach: Reach, metadata other: (any MetadataStore)? = nil,
    _ adjust: (inout LedgerClientConfiguration) -> Void = { _ in }
  ) -> LedgerClient {
    var configuration = LedgerClientConfiguration()
    configuration.localBookies = reach == .inProcess ? registry : nil
    configuration.addEntryTimeout = .seconds(3)
    configuration.readEntryTimeout = .seconds(3)
    adjust(&configuration)
    var logger = Logger(label: "ledgers")
    logger.logLevel = .error
    let client = LedgerClient(
      metadata: other ?? metadata, group: group, configuration: configuration, logger: logger)
    clients.append(client)
    return client
  }

  /// Auto-recovery that loses no time, over in-process connections.
  func autoRecovery(
    _ client: LedgerClient, name: String = "tests", _ adjust: (inout AutoRecoveryConfiguration) -> Void = { _ in }
  ) -> AutoRecovery {
    var configuration = AutoRecoveryConfiguration()
    configuration.pollInterval = .milliseconds(20)
    configuration.lostBookieRecoveryDelay = .milliseconds(100)
    configuration.openLedgerRereplicationGracePeriod = .milliseconds(500)
    configuration.rwRereplicateBackoff = .milliseconds(100)
    configuration.replicationRateByBytes = 0
    configuration.leaseTTL = .seconds(2)
    adjust(&configuration)
    var logger = Logger(label: "auto-recovery")
    logger.logLevel = .critical
    let recovery = AutoRecovery.start(
      client: client, metadata: metadata, name: name, configuration: configuration, logger: logger)
    recoveries.append(recovery)
    return recovery
  }

  private func stop() async throws {
    for recovery in recoveries { await recovery.shutdown() }
    for client in clients { try await client.shutdown() }
    for bookie in bookies.values { try await bookie.shutdown() }
    bookies = [:]
    try await metadata.close()
    try await group.shutdownGracefully()
    directory.remove()
  }
}

/// Appends numbered entries with a bounded number in flight, and remembers what was acknowledged. Confined to the loop.
final class LedgerLoad: @unchecked Sendable {
  struct Outcome: Sendable {
    var acknowledged: Int
    var error: LedgerError?
    var isOrdered: Bool
  }

  private let ledger: WritableLedger
  private let count: Int
  private let window: Int
  private let size: Int
  private let milestone: (at: Int, run: @Sendable () -> Void)?
  private let promise: EventLoopPromise<Outcome>
  private let padding: ByteBuffer
  private var sent = 0
  private var outcome = Outcome(acknowledged: 0, error: nil, isOrdered: true)
  private var inFlight = 0

  static func run(
    _ ledger: WritableLedger, count: Int, window: Int = 500, size: Int = 100,
    at milestone: Int = -1, do action: @escaping @Sendable () -> Void = {}
  ) async throws -> Outcome {
    try await ledger.eventLoop.flatSubmit {
      let load = LedgerLoad(ledger, count, window, size, milestone < 0 ? nil : (milestone, action))
      load.fill()
      return load.promise.futureResult
    }.get()
  }

  /// The payload of entry `entry`: its number, then zeros up to `size` bytes.
  static func matches(_ entry: LedgerEntry, size: Int = 100) -> Bool {
    entry.payload.readableBytes == size
      && entry.payload.getInteger(at: entry.payload.readerIndex, as: Int64.self) == entry.entryID
      && entry.cumulativeLength == (entry.entryID + 1) * Int64(size)
  }

  private init(
    _ ledger: WritableLedger, _ count: Int, _ window: Int, _ size: Int,
    _ milestone: (at: Int, run: @Sendable () -> Void)?
  ) {
    self.ledger = ledger
    self.count = count
    self.window = window
    self.size = size
    self.milestone = milestone
    self.promise = ledger.eventLoop.makePromise()
    self.padding = ByteBuffer(repeating: 0, count: size - 8)
  }

  private func fill() {
    while inFlight < window, sent < count, outcome.error == nil {
      let number = ledger.lastAddPushed + 1
      sent += 1
      inFlight += 1
      ledger.append(ByteBuffer(integer: number), padding) { self.completed(number, $0) }
    }
    if inFlight == 0 { promise.succeed(outcome) }
  }

  private func completed(_ number: EntryID, _ result: Result<EntryID, LedgerError>) {
    inFlight -= 1
    switch result {
    case .success(let entry):
      if entry != number || outcome.error != nil || ledger.lastAddConfirmed < entry { outcome.isOrdered = false }
      outcome.acknowledged += 1
      if outcome.acknowledged == milestone?.at { milestone?.run() }
    case .failure(let error):
      outcome.error = outcome.error ?? error
    }
    fill()
  }
}

extension ReadableLedger {
  /// All entries, in reads of at most `maxBytes`.
  func readAll(maxBytes: Int = 64 * 1024) async throws -> [LedgerEntry] {
    var entries: [LedgerEntry] = []
    while Int64(entries.count) <= lastEntry {
      let from = EntryID(entries.count)
      entries += try await eventLoop.flatSubmit { () -> EventLoopFuture<[LedgerEntry]> in
        let promise = self.eventLoop.makePromise(of: [LedgerEntry].self)
        self.read(from: from, through: self.lastEntry, maxBytes: maxBytes) {
          promise.completeWith($0.mapError { $0 as any Error })
        }
        return promise.futureResult
      }.get()
    }
    return entries
  }
}
