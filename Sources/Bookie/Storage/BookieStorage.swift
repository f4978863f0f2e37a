import BookieWire
import Logging
import NIOConcurrencyHelpers
import NIOCore

/// What a bookie stores: ledger table and write cache in memory, journals and entry logs on disk.
///
/// One lock guards the table and the cache; it is taken once per batch and never held over a disk operation. What is handed
/// to a journal under it is there in the same order as in the cache, so that the journals' marks at a swap of the halves
/// tell what the flushed half covers.
final class BookieStorage: Sendable {
  /// A half on its way to the entry log, with the ledgers that changed before the swap.
  struct FlushJob {
    var half: WriteCacheHalf
    var dirty: [(id: Int64, ledger: LedgerFenceTable.Ledger)]
    var limbo: UnknownLedgers?
    /// The journals' marks once it is flushed.
    var marks: [JournalMark]
  }

  struct State {
    var table = LedgerFenceTable()
    var cache: WriteCache
    var tracker: CheckpointTracker
    var disks: DiskWatch
    var job: FlushJob?
    var waiting: WaitingAdds
    var urgentWaiting: WaitingAdds
    var statistics = BookieStatistics()
    var compaction: CompactionKind?
    var suspendedCompactions: Set<CompactionKind> = []
    var isClosed = false
  }

  let configuration: BookieConfiguration
  let environment: StorageEnvironment
  let state: NIOLockedValueBox<State>
  let index: LocationIndex
  let logs: EntryLogs
  let usage: LogUsage
  let readCache: ReadCache
  let flights = ReadFlights()
  let pacedReads: PacedReads
  let journals: [Journal]
  let workers: StorageWorkers
  let damage = DamageList()
  let logger: Logger
  let onFailure: @Sendable (String) -> Void
  private let parts = NIOLockedValueBox<Parts?>(nil)
  /// What a journal calls that has room again.
  private let onRoom = NIOLockedValueBox<(@Sendable () -> Void)?>(nil)

  /// What begins with `start`.
  struct Parts {
    var flusher: Flusher
    var readers: ReaderPool
    var compactor: Compactor
    var scrubber: Scrubber
    var expiry: AddExpiry
  }

  init(
    configuration: BookieConfiguration, state: State, index: LocationIndex, logs: EntryLogs, usage: LogUsage,
    marks: [JournalMark], logger: Logger, onFailure: @escaping @Sendable (String) -> Void
  ) {
    self.configuration = configuration
    self.index = index
    self.logs = logs
    self.usage = usage
    self.logger = logger
    self.onFailure = onFailure
    environment = configuration.environment
    let state = NIOLockedValueBox(state)
    self.state = state
    let logs = logs
    let onFullDisk: @Sendable (String) -> Void = { directory in
      state.withLockedValue { Self.ranOut(directory, &$0, logs) }
    }
    let onRoom = onRoom
    journals = zip(configuration.journalDirectories, marks).map { directory, mark in
      Journal(
        configuration: configuration, directory: directory, after: mark, spare: nil, logger: logger,
        onFailure: onFailure, onFullDisk: onFullDisk, onRoom: { onRoom.withLockedValue { $0 }?() })
    }
    pacedReads = PacedReads(share: configuration.readShareBesideAdds)
    readCache = ReadCache(capacity: configuration.readCacheSize)
    workers = StorageWorkers(hasThreads: environment.hasThreads)
  }

  /// Begins; adds and reads may come from now on.
  func start(flusher: Flusher) throws(BookieError) {
    for (index, journal) in journals.enumerated() { try journal.start("journal-\(index)", workers) }
    workers.start("bookie-flush", flusher, priority: .background)
    // What was replayed is flushed while it is served.
    if state.withLockedValue({ $0.job != nil || $0.cache.isActiveFull }) { flusher.submit(.wake) }
    let readers = ReaderPool(storage: self)
    readers.start(workers)
    let compactor = Compactor(storage: self)
    let scrubber = Scrubber(storage: self)
    let expiry = AddExpiry(storage: self)
    parts.withLockedValue {
      $0 = Parts(flusher: flusher, readers: readers, compactor: compactor, scrubber: scrubber, expiry: expiry)
    }
    onRoom.withLockedValue { $0 = { [weak self] in self?.journalHasRoom() } }
    workers.start("bookie-expiry", expiry)
    workers.start("bookie-compact", compactor, priority: .background)
    workers.start("bookie-scrub", scrubber, priority: .background)
  }

  var flusher: Flusher? { parts.withLockedValue { $0?.flusher } }
  var compactor: Compactor? { parts.withLockedValue { $0?.compactor } }
  var scrubber: Scrubber? { parts.withLockedValue { $0?.scrubber } }
  var expiry: AddExpiry? { parts.withLockedValue { $0?.expiry } }
  var readers: ReaderPool? { parts.withLockedValue { $0?.readers } }

  /// Lets everything that has something to do do it, where there are no threads. Returns when to call it again at the latest;
  /// nil if nothing waits for the time.
  func step() -> NIODeadline? { workers.step(now: environment.now()) }

  /// Index of the journal that a ledger's entries and fences go to.
  func journal(of ledgerID: Int64) -> Int {
    Int(UInt64(bitPattern: ledgerID) % UInt64(journals.count))
  }

  /// Everything up to here is on the device.
  var syncedMarks: [JournalMark] { journals.map(\.syncedMark) }

  // MARK: Life

  /// Deletes ledgers that metadata no longer has. Returns when it is done.
  func delete(_ ledgers: [Int64]) async {
    guard let flusher else { return }
    await withCheckedContinuation { done in flusher.submit(.delete(ledgers) { done.resume() }) }
  }

  /// Forgets the entries of ledgers that other bookies hold. Returns of how many, when it is done.
  func vacate(_ ledgers: [Int64]) async -> Int {
    guard let flusher else { return 0 }
    return await withCheckedContinuation { done in flusher.submit(.vacate(ledgers) { done.resume(returning: $0) }) }
  }

  /// Writes a checkpoint now. Returns when it is done or has failed.
  func checkpoint() async {
    guard let flusher else { return }
    await withCheckedContinuation { done in flusher.submit(.checkpoint { done.resume() }) }
  }

  /// The ledgers stored here. Adds go on meanwhile: what is made or deleted now may be there or not.
  var ledgerIDs: [Int64] {
    (0..<LedgerFenceTable.partCount).flatMap { part in state.withLockedValue { $0.table.ids(inPart: part) } }
  }

  /// The ledgers of which a part may be lost, in order.
  var limboIDs: [Int64] {
    (0..<LedgerFenceTable.partCount).flatMap { part in state.withLockedValue { $0.table.limboIDs(inPart: part) } }
      .sorted()
  }

  /// Everything that was lost is here again.
  func leaveLimbo() {
    for part in 0..<LedgerFenceTable.partCount { state.withLockedValue { $0.table.leaveLimbo(part: part) } }
    // Those that were made meanwhile, and the unknown ones.
    state.withLockedValue { $0.table.leaveLimbo() }
  }

  /// Ends the threads. Blocks.
  /// - Parameter checkpoint: whether everything is flushed first; if not, the next start replays the journals.
  func close(checkpoint: Bool) {
    state.withLockedValue { $0.isClosed = true }
    compactor?.mailbox.push(.close)
    compactor?.mailbox.close()
    scrubber?.mailbox.push(.close)
    scrubber?.mailbox.close()
    expiry?.mailbox.close()
    workers.join("bookie-compact")
    workers.join("bookie-scrub")
    workers.join("bookie-expiry")
    for journal in journals {
      journal.state.withLockedValue { $0.endsWithMarker = checkpoint }
      journal.mailbox.close()
    }
    for index in journals.indices { workers.join("journal-\(index)") }
    if let flusher {
      flusher.close(checkpoint: checkpoint)
      workers.join("bookie-flush")
    }
    readers?.close(workers)
    index.close()
    // The parts hold on to the storage.
    parts.withLockedValue { $0 = nil }
  }
}
