import BookieWire
import DequeModule
import Logging
import NIOConcurrencyHelpers
import NIOCore

/// What a bookie stores: ledger table and write cache in memory, journal and entry logs on disk.
///
/// One lock guards the table and the cache; it is taken once per batch and never held over a disk operation. What is handed
/// to the journal under it is there in the same order as in the cache, so that the journal's mark at a swap of the halves
/// tells what the flushed half covers.
final class BookieStorage: Sendable {
  /// A half on its way to the entry log, with the ledgers that changed before the swap.
  struct FlushJob {
    var half: WriteCacheHalf
    var dirty: [(id: Int64, ledger: LedgerFenceTable.Ledger)]
  }

  /// Adds that found the cache full.
  struct WaitingAdds {
    var batch: AddBatch
    var target: any ReplyTarget
  }

  struct State {
    var table = LedgerFenceTable()
    var cache: WriteCache
    var tracker: CheckpointTracker
    var job: FlushJob?
    var waiting: Deque<WaitingAdds> = []
    var waitingBytes = 0
    var statistics = BookieStatistics()
    var isInLimbo = false
    var isClosed = false
  }

  let configuration: BookieConfiguration
  let state: NIOLockedValueBox<State>
  let index: LocationIndex
  let logs: EntryLogs
  let readCache: ReadCache
  let journal: Journal
  let logger: Logger
  private let flusher: NIOLockedValueBox<Flusher?> = NIOLockedValueBox(nil)
  private let readers: NIOLockedValueBox<ReaderPool?> = NIOLockedValueBox(nil)

  init(
    configuration: BookieConfiguration, state: State, index: LocationIndex, logs: EntryLogs, journal: Journal,
    logger: Logger
  ) {
    self.configuration = configuration
    self.state = NIOLockedValueBox(state)
    self.index = index
    self.logs = logs
    self.journal = journal
    self.logger = logger
    readCache = ReadCache(capacity: configuration.readCacheSize)
  }

  /// Starts the threads; adds and reads may come from now on.
  func start(flusher: Flusher) throws(BookieError) {
    try journal.start()
    flusher.start()
    self.flusher.withLockedValue { $0 = flusher }
    readers.withLockedValue { $0 = ReaderPool(storage: self) }
  }

  // MARK: Adds

  /// Accepts a batch; the receipts follow after its sync.
  ///
  /// - Returns: false if the batch has to wait for room in the write cache. The connection should read no more until it is
  ///   told to resume.
  func add(_ batch: AddBatch, from target: any ReplyTarget) -> Bool {
    var batch = batch
    var refused: BookieReply?
    let (accepted, mustFlush) = state.withLockedValue { state -> (Bool, Bool) in
      guard !state.isClosed else { return (true, false) }
      if !state.waiting.isEmpty || state.cache.isFull {
        guard state.waitingBytes + batch.byteCount <= configuration.maximumWaitingBytes else {
          state.statistics.rejectedAdds += Int64(batch.adds.count)
          refused = batch.refusal(.tooManyRequests)
          return (true, true)
        }
        state.statistics.throttledAdds += 1
        state.waitingBytes += batch.byteCount
        state.waiting.append(WaitingAdds(batch: batch, target: target))
        return (false, true)
      }
      refused = accept(&batch, target, &state)
      return (true, state.cache.isActiveFull && beginFlush(&state))
    }
    if let refused { target.deliver([refused]) }
    if mustFlush { flusher.withLockedValue { $0 }?.wake() }
    return accepted
  }

  /// Checks each add against the table, inserts what passes and hands it to the journal. Returns the refusals.
  private func accept(_ batch: inout AddBatch, _ target: any ReplyTarget, _ state: inout State) -> BookieReply? {
    let isEncoded = target.wantsEncodedReceipts
    var receipts = AddReceipts(isEncoded: isEncoded, capacity: batch.adds.count)
    var refusals = AddReceipts(isEncoded: isEncoded, capacity: 0)
    var entries: [(ledgerID: Int64, entryID: Int64, location: EntrySegment.Location)] = []
    entries.reserveCapacity(batch.adds.count)
    for index in batch.adds.indices {
      let add = batch.adds[index]
      let code: BookieReturnCode
      switch state.table.add(add.ledgerID, entryID: add.entryID, key: add.key, isRecovery: add.isRecovery) {
      case .accept(let isNew):
        if isNew { batch.append(ledgerID: add.ledgerID, key: add.key) }
        entries.append((add.ledgerID, add.entryID, add.location))
        state.statistics.addedBytes += Int64(add.location.length)
        receipts.append(
          AddResponse(requestID: add.requestID, code: .ok, ledgerID: add.ledgerID, entryID: add.entryID))
        continue
      case .fenced: code = .fenced
      case .unauthorized: code = .unauthorized
      }
      batch.void(index)
      refusals.append(
        AddResponse(requestID: add.requestID, code: code, ledgerID: add.ledgerID, entryID: add.entryID))
    }
    state.statistics.adds += Int64(entries.count)
    state.statistics.rejectedAdds += Int64(refusals.count)
    if !entries.isEmpty {
      state.cache.insert(batch.segment, entries)
      journal.append(
        JournalAppend(
          segment: batch.segment, entries: entries.count, at: batch.at, completion: .receipts(target, receipts.reply)))
    }
    return refusals.count == 0 ? nil : refusals.reply
  }

  // MARK: Reads

  /// Answers a read or a batch read: at once if it can be answered from memory, from a thread otherwise. A fencing one is
  /// answered only when the fence is durable, whatever the answer is.
  func read(_ request: BookieRequest, from target: any ReplyTarget) {
    let fence: (ledgerID: Int64, key: LedgerMasterKey?)?
    let isUrgent: Bool
    switch request {
    case .read(let read):
      fence = read.flags.contains(.fencing) ? (read.ledgerID, read.masterKey) : nil
      isUrgent = fence != nil || read.flags.contains(.highPriority)
    case .batchRead(let read):
      fence = read.flags.contains(.fencing) ? (read.ledgerID, read.masterKey) : nil
      isUrgent = fence != nil || read.flags.contains(.highPriority)
    case .add, .auth: return
    }
    guard let fence else { return readNow(request, target, isUrgent) }
    guard let key = fence.key, fence.ledgerID >= 0 else {
      return refuse(request, fence.key == nil ? .unauthorized : .badRequest, target)
    }
    let done: @Sendable () -> Void = { [self] in
      state.withLockedValue { $0.table.fenceSynced(fence.ledgerID) }
      // The disk is read elsewhere: this runs on the journal's thread.
      submit(request, target, isUrgent: true)
    }
    let decision = state.withLockedValue { state in
      let decision = state.table.fence(fence.ledgerID, key: key)
      switch decision {
      case .journal:
        var segment = EntrySegment(capacity: 64)
        segment.append(.fence, ledgerID: fence.ledgerID, key: key)
        state.statistics.fences += 1
        journal.append(JournalAppend(segment: segment, entries: 0, at: .now(), completion: .call(done)))
      case .wait:
        journal.append(JournalAppend(segment: nil, entries: 0, at: .now(), completion: .call(done)))
      case .durable, .unauthorized: break
      }
      return decision
    }
    switch decision {
    case .durable: readNow(request, target, isUrgent)
    case .unauthorized: refuse(request, .unauthorized, target)
    case .journal, .wait: break
    }
  }

  private func readNow(_ request: BookieRequest, _ target: any ReplyTarget, _ isUrgent: Bool) {
    if let response = answer(request, mayBlock: false) {
      target.deliver([.responses([response])])
    } else {
      submit(request, target, isUrgent: isUrgent)
    }
  }

  private func submit(_ request: BookieRequest, _ target: any ReplyTarget, isUrgent: Bool) {
    guard let readers = readers.withLockedValue({ $0 }) else { return }
    if !readers.submit(request, target, isUrgent: isUrgent) { refuse(request, .tooManyRequests, target) }
  }

  private func refuse(_ request: BookieRequest, _ code: BookieReturnCode, _ target: any ReplyTarget) {
    if let response = request.failure(code) { target.deliver([.responses([response])]) }
  }

  // MARK: Flushing

  /// Swaps the halves if the earlier flush is done. Called under the lock.
  func beginFlush(_ state: inout State, synced: JournalMark? = nil) -> Bool {
    let synced = synced ?? journal.syncedMark
    let isClean = state.cache.active.isEmpty && !state.table.hasDirty && synced.sequence == state.tracker.mark.sequence
    guard !isClean, state.job == nil, state.cache.swap() else { return false }
    state.tracker.begin(synced: synced)
    state.job = FlushJob(half: state.cache.flushing ?? WriteCacheHalf(), dirty: state.table.takeDirty())
    return true
  }

  /// The flushed half can be read from the entry logs: adds that wait are let in. Returns the mark to write, if it moves.
  func finishFlush(lastEntries: [(ledgerID: Int64, entryID: Int64)]) -> JournalMark? {
    var replies: [(any ReplyTarget, [BookieReply])] = []
    let mark = state.withLockedValue { state -> JournalMark? in
      for item in lastEntries { state.table.flushed(item.ledgerID, through: item.entryID) }
      state.cache.flushed()
      state.job = nil
      state.statistics.flushes += 1
      let mark = state.tracker.flushed()
      while !state.cache.isFull, var next = state.waiting.popFirst() {
        state.waitingBytes -= next.batch.byteCount
        var reply: [BookieReply] = [.resume]
        if let refused = accept(&next.batch, next.target, &state) { reply.insert(refused, at: 0) }
        replies.append((next.target, reply))
        // The next half fills up while the mark of this flush is still being written; it is flushed after that.
      }
      return mark
    }
    for (target, reply) in replies { target.deliver(reply) }
    return mark
  }

  // MARK: Life

  /// Deletes ledgers that metadata no longer has. Returns when it is done.
  func delete(_ ledgers: [Int64]) async {
    guard let flusher = flusher.withLockedValue({ $0 }) else { return }
    await withCheckedContinuation { done in flusher.delete(ledgers) { done.resume() } }
  }

  /// Writes a checkpoint now. Returns when it is done or has failed.
  func checkpoint() async {
    guard let flusher = flusher.withLockedValue({ $0 }) else { return }
    await withCheckedContinuation { done in flusher.checkpoint { done.resume() } }
  }

  /// The ledgers stored here.
  var ledgerIDs: [Int64] { state.withLockedValue { $0.table.ids } }

  /// Ends the threads. Blocks.
  /// - Parameter checkpoint: whether everything is flushed first; if not, the next start replays the journal.
  func close(checkpoint: Bool) {
    state.withLockedValue { $0.isClosed = true }
    journal.close()
    flusher.withLockedValue { $0 }?.close(checkpoint: checkpoint)
    readers.withLockedValue { $0 }?.close()
    index.close()
  }

  func statistics() -> BookieStatistics {
    let journalStatistics = journal.statistics
    var statistics = state.withLockedValue { state in
      var statistics = state.statistics
      statistics.writeCacheBytes = state.cache.byteCount
      statistics.writeCacheEntries = state.cache.entryCount
      statistics.waitingBytes = state.waitingBytes
      statistics.ledgers = state.table.count
      statistics.isInLimbo = state.isInLimbo
      return statistics
    }
    statistics.addLatency = journalStatistics.addLatency
    statistics.journalSyncs = journalStatistics.syncs
    statistics.journalBytes = journalStatistics.bytes
    statistics.journalSyncLatency = journalStatistics.syncLatency
    statistics.journalQueueLength = journal.queueLength
    statistics.readQueueLength = readers.withLockedValue { $0 }?.queueLength ?? 0
    statistics.readCacheBytes = readCache.byteCount
    statistics.entryLogs = logs.count
    return statistics
  }
}
