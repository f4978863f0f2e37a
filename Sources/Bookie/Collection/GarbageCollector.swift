import Logging
import MetadataStore
import NIOCore

/// Looks for ledgers that metadata no longer has, one by one, and has them deleted; rarely also for those that metadata has
/// elsewhere.
actor GarbageCollector {
  let storage: BookieStorage
  let metadata: any MetadataStore
  let logger: Logger
  private var selection: GarbageSelection
  /// Of the search for ledgers that metadata has elsewhere.
  var massGuard: MassGuard
  private var isRunning = false

  init(storage: BookieStorage, metadata: any MetadataStore, logger: Logger) {
    self.storage = storage
    self.metadata = metadata
    self.logger = logger
    let share = storage.configuration.garbageCollectionMassDeleteShare
    let minimum = storage.configuration.garbageCollectionMassDeleteMinimum
    selection = GarbageSelection(share: share, minimum: minimum)
    massGuard = MassGuard(share: share, minimum: minimum)
  }

  /// Whether a search may begin: one at a time.
  func begin() -> Bool {
    guard !isRunning else { return false }
    isRunning = true
    return true
  }

  /// A search has ended.
  func end() {
    isRunning = false
  }

  /// One round. A ledger is asked for only after it was seen here, so that one that is being created is not taken for deleted.
  /// - Parameter confirmed: the number of ledgers that an operator saw refused, and wants to be deleted all the same.
  /// - Returns: the number of ledgers that were deleted; none while another round runs.
  @discardableResult
  func round(confirmed: Int? = nil) async throws -> Int {
    guard begin() else { return 0 }
    defer { end() }
    let start = storage.environment.now()
    let local = storage.ledgerIDs
    let metadata = metadata
    let missing = Set(try await filter(local) { try await metadata.get("/ledgers/\($0)") == nil })
    let spent = (storage.environment.now() - start).nanoseconds
    storage.state.withLockedValue { state in
      state.statistics.collectionLatency.record(nanoseconds: spent)
      state.statistics.refusedLedgers = 0
    }
    switch selection.round(local: local.count, missing: missing, confirmed: confirmed) {
    case .delete(let ledgers):
      guard !ledgers.isEmpty else { return 0 }
      await storage.delete(ledgers)
      logger.info("Deleted ledgers were removed.", metadata: ["count": "\(ledgers.count)"])
      return ledgers.count
    case .refuse(let missing, let total):
      storage.state.withLockedValue { state in
        state.statistics.refusedMassDeletes += 1
        state.statistics.refusedLedgers = missing
      }
      logger.error(
        "Most ledgers are missing from metadata; none is deleted. Check the metadata store, or confirm their number.",
        metadata: [
          "found": "\(missing)", "ledgers": "\(total)",
          "confirmation": "meridian bookie gc --bookie \(storage.configuration.bookieID) --confirm \(missing)",
        ])
      return 0
    }
  }

  /// Those of the ledgers for which `body`, which asks the metadata store, says yes; some are asked for at a time.
  func filter(
    _ ledgers: [Int64], _ body: @escaping @Sendable (Int64) async throws -> Bool
  ) async throws -> [Int64] {
    try await withThrowingTaskGroup(of: Int64?.self) { group in
      var found: [Int64] = []
      var next = ledgers.makeIterator()
      func ask(_ id: Int64) {
        group.addTask { try await body(id) ? id : nil }
      }
      for _ in 0..<16 { if let id = next.next() { ask(id) } }
      while let answer = try await group.next() {
        if let id = answer { found.append(id) }
        try Task.checkCancellation()
        if let id = next.next() { ask(id) }
      }
      return found
    }
  }

  /// Rounds until the task is cancelled.
  func run(every interval: Duration) async {
    let rare = storage.configuration.overReplicatedLedgerInterval
    var last = ContinuousClock.now
    while !Task.isCancelled {
      do {
        try await Task.sleep(for: interval)
        try await round()
        guard rare > .zero, ContinuousClock.now - last >= rare else { continue }
        try await overReplicatedRound()
        last = .now
      } catch is CancellationError {
        return
      } catch {
        logger.warning("The search for deleted ledgers failed; trying again later.", metadata: ["error": "\(error)"])
      }
    }
  }
}
