/// A ledger as a bookie has it.
public struct BookieLedger: Sendable, Equatable {
  /// The ledger.
  public var ledgerID: Int64
  /// The highest entry that is stored; -1 if none.
  public var lastEntry: Int64
  /// Whether only recovery may write to it.
  public var isFenced: Bool
  /// Whether entries of it may be lost, so that nothing negative is said about it.
  public var isInLimbo: Bool
}

/// What a bookie keeps in files.
public enum BookieFileKind: String, Sendable, CaseIterable {
  /// What was acknowledged, in the order in which it came.
  case journal
  /// Entries, sorted by ledger.
  case entryLog = "entrylog"
  /// Where each entry is.
  case index

  var suffix: String {
    switch self {
    case .journal: ".journal"
    case .entryLog: ".log"
    case .index: ""
    }
  }
}

/// What an operator may ask of a bookie, and tell it.
extension Bookie {
  /// Reads the certificates again if their files changed; new connections use the new ones. Blocks.
  /// - Returns: whether they changed.
  public func reloadCertificates() throws -> Bool { try server.tls?.reloadIfChanged() ?? false }

  /// Counters and sizes as of now.
  public func statistics() -> BookieStatistics {
    storage.statistics()
  }

  /// Flushes the write cache and moves the replay marks. Returns when that is done, or has failed and is being repeated.
  public func checkpoint() async {
    await storage.checkpoint()
  }

  /// The ledgers that are stored here.
  public var ledgerIDs: [Int64] { storage.ledgerIDs }

  /// One of the ledgers that are stored here; nil if it is not, or was deleted.
  public func ledger(_ ledgerID: Int64) -> BookieLedger? {
    storage.state.withLockedValue { state in
      guard let ledger = state.table[ledgerID], !ledger.isDeleted else { return nil }
      return BookieLedger(
        ledgerID: ledgerID, lastEntry: ledger.lastEntry, isFenced: ledger.fence != .none, isInLimbo: ledger.isInLimbo)
    }
  }

  /// The entries of a ledger that are stored here, in order: what an auditor compares with what should be. Reads the index.
  public func entries(of ledgerID: Int64) async throws -> [ClosedRange<Int64>] {
    try await blocking { [storage] in try storage.entries(of: ledgerID) }
  }

  /// What is accepted now.
  public var mode: BookieStatistics.Mode { BookieStatistics.Mode(storage.state.withLockedValue { $0.disks.mode }) }

  /// Whether an operator made the bookie read-only; if not, the disks decide.
  public var isForcedReadOnly: Bool { storage.state.withLockedValue { $0.disks.isForced } }

  /// Makes the bookie read-only, or lets the disks decide again. It holds until the bookie stops. The cluster is told before
  /// this returns.
  public func setReadOnly(_ isReadOnly: Bool) async {
    storage.setReadOnly(isReadOnly)
    await watch.look()
  }

  /// The space of each journal and ledger directory. Looks at the disks.
  public func diskUsage() async throws -> [String: BookieStatistics.Disk] {
    try await blocking { [storage] in
      storage.checkDisks()
      return storage.state.withLockedValue { $0.statistics.disks }
    }
  }

  /// The files of a kind, by directory, in the order of their names. Reads the directories.
  public func files(_ kind: BookieFileKind) async throws -> [String: [String]] {
    let directories: [String]
    switch kind {
    case .journal: directories = configuration.journalDirectories
    case .entryLog: directories = configuration.ledgerDirectories
    case .index: directories = configuration.ledgerDirectories.prefix(1).map { $0 + "/index" }
    }
    let suffix = kind.suffix
    return try await blocking { [files = configuration.environment.files] in
      var found: [String: [String]] = [:]
      for directory in directories where files.exists(directory) {
        found[directory] = try files.list(directory).filter { $0.hasSuffix(suffix) }
      }
      return found
    }
  }

  /// Looks for deleted ledgers now, and removes those that were missing in the search before as well.
  /// - Parameter confirmed: where the last search found too many to be believed (`BookieStatistics.refusedLedgers`) their
  ///   number, or more: those of them that are still missing are removed.
  /// - Returns: how many were removed.
  @discardableResult
  public func collectGarbage(confirmed: Int? = nil) async throws -> Int {
    try await collector.round(confirmed: confirmed)
  }

  /// Looks now for closed ledgers that are stored here although metadata names other bookies for all of their entries, and
  /// removes what is here of them.
  /// - Parameter confirmed: where the last search found too many to be believed
  ///   (`BookieStatistics.refusedOverReplicatedLedgers`) their number, or more: those of them are removed of which that is
  ///   still so.
  /// - Returns: how many were removed.
  @discardableResult
  public func collectOverReplicatedLedgers(confirmed: Int? = nil) async throws -> Int {
    try await collector.overReplicatedRound(confirmed: confirmed)
  }

  /// Compacts now. Returns when it is done, or the bookie stops.
  public func compact(_ kind: CompactionKind) async {
    guard let compactor = storage.compactor else { return }
    await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
      if !compactor.mailbox.push(.trigger(kind) { done.resume() }) { done.resume() }
    }
  }

  /// Keeps compactions of a kind from beginning, or lets them begin again. One that runs is not stopped.
  public func suspendCompaction(_ kind: CompactionKind, _ isSuspended: Bool) {
    storage.compactor?.mailbox.push(.suspend(kind, isSuspended))
  }

  /// The kinds of compaction that are suspended.
  public var suspendedCompactions: Set<CompactionKind> { storage.state.withLockedValue { $0.suspendedCompactions } }

  /// The compaction that runs now.
  public var runningCompaction: CompactionKind? { storage.state.withLockedValue { $0.compaction } }

  /// Verifies every record now. Returns when it is done, or the bookie stops.
  public func scrub() async {
    guard let scrubber = storage.scrubber else { return }
    await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
      if !scrubber.mailbox.push(.trigger { done.resume() }) { done.resume() }
    }
  }

  /// The entries that are known to be damaged or missing, and were not restored yet.
  public var damagedEntries: [DamagedEntries] { storage.damage.all }

  /// The ledgers of which entries may be lost with a damaged part of the journal.
  public var ledgersInLimbo: [Int64] { storage.limboIDs }

  /// A ledger in limbo was compared with its other replicas, and what was missing is stored here again: negative answers about
  /// it are true from now on.
  public func leaveLimbo(_ ledgerID: Int64) {
    storage.state.withLockedValue { $0.table.leaveLimbo(ledgerID) }
  }

  /// Gives up what may be lost, whatever was repaired: negative answers are given as true from now on, and what the lost part of
  /// the journal held, and no other bookie has, is lost. Returns when it is durable, and the cluster knows it.
  public func leaveLimbo() async throws {
    try await watch.leaveLimbo()
  }

  /// Where the replay of each journal would begin: the last record before it, by journal directory.
  public var lastLogMarks: [String: UInt64] {
    let marks = storage.state.withLockedValue { $0.tracker.marks }
    return Dictionary(
      zip(configuration.journalDirectories, marks.map(\.sequence)), uniquingKeysWith: { first, _ in first })
  }
}

extension BookieStorage {
  /// The entries of a ledger in the index and the write cache.
  func entries(of ledgerID: Int64) throws(BookieError) -> [ClosedRange<Int64>] {
    let cached = state.withLockedValue { $0.cache.entryIDs(of: ledgerID) }
    var ids: Set<Int64> = Set(cached)
    try index.forEachRun(ledgerID: ledgerID) { run throws(BookieError) in
      for item in run.items { ids.insert(item.entryID) }
      return true
    }
    var ranges: [ClosedRange<Int64>] = []
    for id in ids.sorted() {
      if let last = ranges.last, last.upperBound + 1 == id {
        ranges[ranges.count - 1] = last.lowerBound...id
      } else {
        ranges.append(id...id)
      }
    }
    return ranges
  }
}
