import Logging
import MetadataStore
import NIOCore

/// Decides which ledgers may be deleted. A ledger must be missing from metadata in two rounds in a row, and a round that would
/// delete too much deletes nothing: a short or wrong answer of the metadata store must never cost data.
struct GarbageSelection {
  /// What to do with the ledgers that a round found missing.
  enum Decision: Equatable {
    case delete([Int64])
    case refuse(missing: Int, of: Int)
  }

  private let share: Double
  private let minimum: Int
  private var suspects: Set<Int64> = []

  init(share: Double, minimum: Int) {
    self.share = share
    self.minimum = minimum
  }

  /// A round looked each of `local` ledgers up, and `missing` were not there.
  mutating func round(local: Int, missing: Set<Int64>) -> Decision {
    if missing.count >= minimum && Double(missing.count) > share * Double(local) {
      suspects = []
      return .refuse(missing: missing.count, of: local)
    }
    defer { suspects = missing }
    return .delete(suspects.intersection(missing).sorted())
  }
}

/// Looks for ledgers that metadata no longer has, one by one, and has them deleted.
actor GarbageCollector {
  private let storage: BookieStorage
  private let metadata: any MetadataStore
  private let logger: Logger
  private var selection: GarbageSelection
  private var isRunning = false

  init(storage: BookieStorage, metadata: any MetadataStore, logger: Logger) {
    self.storage = storage
    self.metadata = metadata
    self.logger = logger
    selection = GarbageSelection(
      share: storage.configuration.garbageCollectionMassDeleteShare,
      minimum: storage.configuration.garbageCollectionMassDeleteMinimum)
  }

  /// One round. A ledger is asked for only after it was seen here, so that one that is being created is not taken for deleted.
  /// - Returns: the number of ledgers that were deleted; none while another round runs.
  @discardableResult
  func round() async throws -> Int {
    guard !isRunning else { return 0 }
    isRunning = true
    defer { isRunning = false }
    let start = storage.environment.now()
    let local = storage.ledgerIDs
    let missing = try await missing(of: local)
    let spent = (storage.environment.now() - start).nanoseconds
    storage.state.withLockedValue { $0.statistics.collectionLatency.record(nanoseconds: spent) }
    switch selection.round(local: local.count, missing: missing) {
    case .delete(let ledgers):
      guard !ledgers.isEmpty else { return 0 }
      await storage.delete(ledgers)
      logger.info("Deleted ledgers were removed.", metadata: ["count": "\(ledgers.count)"])
      return ledgers.count
    case .refuse(let missing, let total):
      storage.state.withLockedValue { $0.statistics.refusedMassDeletes += 1 }
      logger.error(
        "Most ledgers are missing from metadata; none is deleted. Check the metadata store.",
        metadata: ["missing": "\(missing)", "ledgers": "\(total)"])
      return 0
    }
  }

  /// The ledgers that metadata does not have, each asked for by its number, some at a time.
  private func missing(of ledgers: [Int64]) async throws -> Set<Int64> {
    let metadata = metadata
    return try await withThrowingTaskGroup(of: Int64?.self) { group in
      var missing: Set<Int64> = []
      var next = ledgers.makeIterator()
      func ask(_ id: Int64) {
        group.addTask { try await metadata.get("/ledgers/\(id)") == nil ? id : nil }
      }
      for _ in 0..<16 { if let id = next.next() { ask(id) } }
      while let answer = try await group.next() {
        if let id = answer { missing.insert(id) }
        try Task.checkCancellation()
        if let id = next.next() { ask(id) }
      }
      return missing
    }
  }

  /// Rounds until the task is cancelled.
  func run(every interval: Duration) async {
    while !Task.isCancelled {
      do {
        try await Task.sleep(for: interval)
        try await round()
      } catch is CancellationError {
        return
      } catch {
        logger.warning("The search for deleted ledgers failed; trying again later.", metadata: ["error": "\(error)"])
      }
    }
  }
}
