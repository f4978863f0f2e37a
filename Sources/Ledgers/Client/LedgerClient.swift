import Foundation
import Logging
import MetadataStore
import NIOConcurrencyHelpers
import NIOCore

/// Creates, opens and deletes ledgers: the client of a region's bookies.
///
/// One client serves a process. Ledgers on one event loop share one connection per bookie.
public final class LedgerClient: Sendable {
  private struct State {
    var loops: [ObjectIdentifier: LoopBookies] = [:]
    var isShutDown = false
  }

  let configuration: LedgerClientConfiguration
  let logger: Logger
  let directory: BookieDirectory
  let store: LedgerMetadataStore
  let selector: EnsembleSelector
  let marks: UnderReplicationStore
  let group: any EventLoopGroup
  private let repairs: RepairQueue
  let counters = LedgerClientCounters()
  private let readAheadBudget: ReadAheadBudget
  private let state = NIOLockedValueBox(State())

  /// The connections of each loop that was used.
  var loops: [LoopBookies] { state.withLockedValue { Array($0.loops.values) } }

  /// Makes a client; it connects to bookies when the first ledger needs them. Everything about a ledger runs on the loop
  /// that it is created or opened on, which should be one of `group`.
  public init(
    metadata: any MetadataStore, group: any EventLoopGroup,
    configuration: LedgerClientConfiguration = LedgerClientConfiguration(), logger: Logger
  ) {
    self.configuration = configuration
    self.logger = logger
    self.store = LedgerMetadataStore(store: metadata)
    self.directory = BookieDirectory(
      metadata: metadata,
      limits: BookieReputation.Limits(
        memory: configuration.bookieFailureHistoryExpiration, interval: configuration.bookieHealthCheckInterval,
        threshold: configuration.bookieErrorThresholdPerInterval, quarantine: configuration.bookieQuarantineTime),
      logger: logger)
    self.marks = UnderReplicationStore(store: metadata)
    self.repairs = RepairQueue(store: marks, delay: configuration.repairDelay, logger: logger)
    self.readAheadBudget = ReadAheadBudget(limit: configuration.readAheadBytesOfAllLedgers)
    self.group = group
    self.selector = EnsembleSelector(directory: directory, placement: configuration.placement)
  }

  /// Reads the certificates again if their files changed; new connections use the new ones. Blocks.
  /// - Returns: whether they changed.
  public func reloadCertificates() throws -> Bool { try configuration.tls?.reloadIfChanged() ?? false }

  /// Creates a ledger whose handle is confined to `loop`.
  /// Throws ``LedgerError/notEnoughBookies(needed:available:)`` when fewer bookies are registered than the ensemble needs.
  public func createLedger(_ options: LedgerOptions, on loop: any EventLoop) async throws -> WritableLedger {
    try await counters.measure(\.creations) { try await create(options, on: loop) }
  }

  private func create(_ options: LedgerOptions, on loop: any EventLoop) async throws -> WritableLedger {
    try options.validate()
    let bookies = try bookies(on: loop)
    while true {
      let ensemble = try await selector.newEnsemble(options)
      let id = try await store.nextID()
      let metadata = LedgerMetadata(
        options: options, ensemble: ensemble, createdMs: Self.nowMs(),
        creatorToken: Int64.random(in: Int64.min...Int64.max))
      // An id that is taken (a store restored from an old copy) is passed over.
      guard let version = try await store.create(id, metadata) else { continue }
      let ledger = WritableLedger(
        id: id, metadata: .init(metadata: metadata, version: version), bookies: bookies, store: store,
        selector: selector)
      loop.execute { bookies.add(ledger) }
      return ledger
    }
  }

  /// Opens a ledger to read all of it. Unless it is closed already its writer is fenced, its end is found and it is
  /// closed; throws ``LedgerError/dataUnavailable(_:)`` when too few bookies answer to be sure where it ends.
  public func openLedger(_ id: LedgerID, on loop: any EventLoop) async throws -> ReadableLedger {
    try await counters.measure(\.openings) { try await open(id, on: loop) }
  }

  private func open(_ id: LedgerID, on loop: any EventLoop) async throws -> ReadableLedger {
    let bookies = try bookies(on: loop)
    var attempt = 1
    var restarts = 0
    while true {
      let versioned = try await store.read(id)
      if versioned.metadata.state == .closed { return readable(id, versioned.metadata, bookies) }
      do {
        let outcome = try await counters.measure(\.recoveries) {
          try await loop.flatSubmit {
            LedgerRecoveryRun.run(id, from: versioned, bookies: bookies, store: self.store, selector: self.selector)
          }.get()
        }
        if case .closed(let metadata) = outcome {
          logger.info(
            "Ledger recovered.",
            metadata: [
              "ledger": "\(id)", "lastEntry": "\(metadata.lastEntry)", "length": "\(metadata.length)",
            ])
          return readable(id, metadata, bookies)
        }
        restarts += 1
        guard restarts < 100 else {
          throw LedgerError.metadata("the metadata of ledger \(id) keeps changing while it is being recovered.")
        }
        try await Task.sleep(for: .milliseconds(Int.random(in: 1...20)))
      } catch let error as LedgerError where error.mayPass && attempt < configuration.recoveryAttempts {
        logger.warning(
          "Ledger could not be recovered; trying again.", metadata: ["ledger": "\(id)", "reason": "\(error)"])
        try await Task.sleep(for: .milliseconds(100 << min(attempt, 5)))
        attempt += 1
      }
    }
  }

  /// Opens a ledger to read what is known to be acknowledged, leaving its writer alone.
  public func openLedgerWithoutRecovery(_ id: LedgerID, on loop: any EventLoop) async throws -> ReadableLedger {
    let bookies = try bookies(on: loop)
    let metadata = try await store.read(id).metadata
    if metadata.state == .closed { return readable(id, metadata, bookies) }
    let last = try await LastConfirmedRead.run(id, metadata, bookies: bookies)
    guard last >= 0 else {
      return ReadableLedger(id: id, metadata: metadata, lastEntry: -1, length: 0, bookies: bookies, store: store)
    }
    // The entry itself says how long the ledger is up to it.
    let probe = ReadableLedger(
      id: id, metadata: metadata, lastEntry: last, length: 0, bookies: bookies, store: store)
    let entries: [LedgerEntry] = try await loop.flatSubmit {
      let promise = loop.makePromise(of: [LedgerEntry].self)
      probe.read(from: last, through: last, maxBytes: Int.max) { promise.completeWith($0.mapError { $0 as any Error }) }
      return promise.futureResult
    }.get()
    return ReadableLedger(
      id: id, metadata: metadata, lastEntry: last, length: entries.last?.cumulativeLength ?? 0, bookies: bookies,
      store: store)
  }

  /// Forgets a ledger; bookies reclaim its space later. Succeeds if it does not exist.
  public func deleteLedger(_ id: LedgerID) async throws {
    try await counters.measure(\.deletions) { try await store.delete(id) }
  }

  /// The metadata of a ledger as it is now.
  public func ledgerMetadata(_ id: LedgerID) async throws -> LedgerMetadata {
    try await store.read(id).metadata
  }

  /// The bookies that are registered now, also those that are read-only or being emptied.
  public func availableBookies() async throws -> [BookieInfo] {
    try await directory.refresh()
    return directory.registered.values.sorted { $0.id < $1.id }
  }

  /// Ids of the region's bookies: of those that are registered, and of those that are away and have not been decommissioned.
  public func knownBookies() async throws -> Set<String> {
    let registered = try await availableBookies().lazy.filter { !$0.isDraining }.map(\.id)
    let draining = Set(
      try await marks.store.keys(prefix: BookieRegistration.draining).map {
        String($0.dropFirst(BookieRegistration.draining.count))
      })
    let cookies = try await marks.store.keys(prefix: BookieRegistration.cookies)
    return Set(cookies.map { String($0.dropFirst(BookieRegistration.cookies.count)) }).subtracting(draining)
      .union(registered)
  }

  /// Bytes that were read before anybody asked for them, or are being read.
  public var readAheadBytes: Int { readAheadBudget.bytesInUse }

  /// Closes all connections; whatever is outstanding, and everything later, fails. Copies that may be missing for it are
  /// marked before this returns.
  public func shutdown() async throws {
    let loops = state.withLockedValue { state in
      state.isShutDown = true
      return Array(state.loops.values)
    }
    directory.shutdown()
    do {
      for bookies in loops { try await bookies.eventLoop.submit { bookies.shutdown() }.get() }
    } catch {
      await repairs.shutdown()
      throw error
    }
    await repairs.shutdown()
  }

  func bookies(on loop: any EventLoop) throws(LedgerError) -> LoopBookies {
    var isNew = false
    let found: LoopBookies? = state.withLockedValue { state in
      if state.isShutDown { return nil }
      if let known = state.loops[ObjectIdentifier(loop)] { return known }
      let made = LoopBookies(
        eventLoop: loop, directory: directory, configuration: configuration, repairs: repairs,
        readAheadBudget: readAheadBudget, logger: logger)
      isNew = true
      state.loops[ObjectIdentifier(loop)] = made
      return made
    }
    guard let found else { throw .shutDown }
    if isNew { observe(found) }
    return found
  }

  private func observe(_ bookies: LoopBookies) {
    let loop = bookies.eventLoop
    directory.onChange { [weak bookies] in
      guard let bookies else { return }
      loop.execute { bookies.membershipChanged() }
    }
  }

  private func readable(_ id: LedgerID, _ metadata: LedgerMetadata, _ bookies: LoopBookies) -> ReadableLedger {
    ReadableLedger(
      id: id, metadata: metadata, lastEntry: metadata.lastEntry, length: metadata.length, bookies: bookies,
      store: store)
  }

  private static func nowMs() -> Int64 { Int64(Date().timeIntervalSince1970 * 1_000) }
}
