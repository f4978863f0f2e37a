import Logging
import NIOConcurrencyHelpers
import NIOCore

/// The one worker that changes the index: it moves entries from the write cache to the entry logs, writes checkpoints, deletes
/// ledgers, and puts what compaction copied in its place. Everything but `submit` and `close` belongs to its thread.
final class Flusher: StorageWorker, @unchecked Sendable {
  enum Command {
    case wake
    case checkpoint(@Sendable () -> Void)
    case delete([Int64], @Sendable () -> Void)
    /// Forgets the entries of ledgers that other bookies hold.
    case vacate([Int64], @Sendable (Int) -> Void)
    /// Replaces locations by copies that are on disk.
    case move(CompactionMoves, @Sendable (Bool) -> Void)
    /// Forgets the logs in which nothing is alive; called with those whose files may be removed.
    case sweep(LogCheck, @Sendable ([UInt32]) -> Void)
    /// Notes how far verification is.
    case note(ScrubRecord)
    case close(checkpoint: Bool)
  }

  let mailbox = Mailbox<Command>()
  let storage: BookieStorage
  let appender: EntryLogAppender
  private let interval: TimeAmount
  private var due: NIODeadline
  private var retry: NIODeadline?
  var removals = Removals()
  /// Why the last flush that failed did.
  private(set) var lastFailure: BookieError?

  init(storage: BookieStorage) {
    self.storage = storage
    appender = EntryLogAppender(logs: storage.logs, sizeLimit: storage.configuration.entryLogSizeLimit)
    interval = TimeAmount(storage.configuration.flushInterval)
    due = storage.environment.now() + interval
  }

  func submit(_ command: Command) {
    guard !mailbox.push(command) else { return }
    switch command {
    case .checkpoint(let done), .delete(_, let done): done()
    case .vacate(_, let done): done(0)
    case .sweep(_, let done): done([])
    case .move(_, let done): done(false)
    case .wake, .note, .close: break
    }
  }

  /// Tells it to end. Without a checkpoint the next start replays the journals.
  func close(checkpoint: Bool) {
    mailbox.push(.close(checkpoint: checkpoint))
    mailbox.close()
  }

  func turn() -> WorkerTurn {
    guard let commands = mailbox.take() else { return .ended }
    var isClosing = false
    var finished: [@Sendable () -> Void] = []
    // Commands may keep coming: what is due must not wait for a pause between them.
    var mustFlush = storage.environment.now() >= min(due, retry ?? due)
    for command in commands {
      switch command {
      case .wake: mustFlush = mustFlush || retry == nil
      case .checkpoint(let done):
        mustFlush = true
        finished.append(done)
      case .delete(let ledgers, let done):
        remove(ledgers)
        finished.append(done)
      case .vacate(let ledgers, let done):
        let isWritten = storage.state.withLockedValue { state in
          state.job == nil && !ledgers.contains { state.cache.contains(ledgerID: $0) }
        }
        if !isWritten { retry = flush() }
        done(vacate(ledgers))
      case .move(let moves, let done): done(move(moves))
      case .sweep(let check, let done): done(sweep(check))
      case .note(let record): note(record)
      case .close(let checkpoint):
        isClosing = true
        mustFlush = checkpoint
      }
    }
    if mustFlush {
      retry = flush()
      due = storage.environment.now() + interval
      // While this half was flushed the other one may have filled up.
      while retry == nil, storage.state.withLockedValue({ $0.cache.isActiveFull }) { retry = flush() }
    }
    if let retry = removals.retry, retry <= storage.environment.now() { finishRemovals() }
    finished.forEach { $0() }
    if isClosing {
      if mustFlush { finishLogs() }
      return .ended
    }
    if mustFlush || !commands.isEmpty { return .again }
    return .wait(until: [due, retry, removals.retry].compactMap { $0 }.min())
  }

  /// Flushes what there is. Returns when to try again after a failure.
  func flush(synced: [JournalMark]? = nil) -> NIODeadline? {
    let job = storage.state.withLockedValue { state -> BookieStorage.FlushJob? in
      if state.job == nil { _ = storage.beginFlush(&state, synced: synced) }
      return state.job
    }
    guard let job else { return nil }
    let start = storage.environment.now()
    do {
      if let fault = storage.configuration.faults.beforeFlush { try fault() }
      let last = try write(job)
      if let marks = storage.finishFlush(lastEntries: last) {
        try CheckpointFile.write(marks, configuration: storage.configuration)
        if let marks = storage.state.withLockedValue({ $0.tracker.persisted() }) {
          for (journal, mark) in zip(storage.journals, marks) { try journal.release(before: mark) }
        }
      }
      let spent = (storage.environment.now() - start).nanoseconds
      storage.state.withLockedValue { $0.statistics.flushLatency.record(nanoseconds: spent) }
      return nil
    } catch {
      return failed(error)
    }
  }

  private func failed(_ error: BookieError) -> NIODeadline {
    lastFailure = error
    if case .index = error {
      // Whether the index took the change is not known for certain: nothing that it may name is taken back.
      appender.abandon()
    } else {
      appender.rollBack(isWhole: error.isOutOfSpace)
    }
    let now = storage.environment.now()
    let failure = storage.state.withLockedValue { state in
      state.statistics.failedFlushes += 1
      // Whichever directory it was: the index and the marks are in the first one, logs in any.
      if error.isOutOfSpace {
        for directory in storage.configuration.ledgerDirectories {
          BookieStorage.ranOut(directory, &state, storage.logs)
        }
      }
      return state.tracker.failed(now: now, isOutOfSpace: error.isOutOfSpace)
    }
    switch failure {
    case .retry(let at):
      storage.logger.error(
        error.isOutOfSpace
          ? "The write cache cannot be flushed for want of space; nothing is lost, and it is tried again."
          : "The write cache cannot be flushed; trying again.", metadata: ["error": "\(error)"])
      return at
    case .stop:
      let reason = LocationIndex.explained(error, storage.configuration)
      storage.onFailure("The write cache cannot be flushed, again and again: \(reason) Check the disk and restart.")
      return now + .seconds(1)
    }
  }

  /// Writes a half and the changed ledgers. Returns the last entry of each ledger in it.
  private func write(_ job: BookieStorage.FlushJob) throws(BookieError) -> [(ledgerID: Int64, entryID: Int64)] {
    let batch = LocationIndex.Batch()
    var pass = FlushPass(storage: storage, appender: appender, batch: batch)
    var ledgers: [Int64: LedgerFenceTable.Ledger] = [:]
    for item in job.dirty {
      // It may have been deleted since the swap, and must stay so.
      guard let known = storage.state.withLockedValue({ $0.table[item.id] }), !known.isDeleted else { continue }
      var ledger = item.ledger
      // Its entries may have been forgotten since the swap.
      ledger.lastFlushed = known.lastFlushed
      ledgers[item.id] = ledger
    }
    for id in job.half.sortedLedgers {
      let known = storage.state.withLockedValue { $0.table[id] }
      guard var ledger = known, !ledger.isDeleted else { continue }
      let items = job.half.items(of: id)
      try pass.append(items, of: id, from: job.half, flushedThrough: ledger.lastFlushed)
      guard let end = items.last?.entryID else { continue }
      ledger.lastFlushed = max(ledger.lastFlushed, end)
      ledgers[id] = ledger
      pass.last.append((id, end))
    }
    let before = storage.environment.now()
    if !pass.added.isEmpty { try appender.sync() }
    let synced = storage.environment.now()
    if let limbo = job.limbo { storage.index.put(limbo, batch) }
    storage.index.put(job.marks, batch)
    for (id, ledger) in ledgers { storage.index.put(ledger, id: id, batch) }
    let changed = storage.usage.changed(added: pass.added, garbage: pass.garbage)
    for (log, ledgers) in changed { storage.index.put(usage: ledgers, logID: log, batch) }
    try storage.index.write(batch)
    let written = storage.environment.now()
    appender.commit()
    for (log, ledgers) in changed { storage.usage.set(log, ledgers) }
    for (id, entries) in pass.replaced { storage.damage.remove(id, entries) }
    let bytes = Int64(job.half.byteCount)
    storage.state.withLockedValue { state in
      state.statistics.flushedBytes += bytes
      state.statistics.flushEntryLogLatency.record(nanoseconds: (synced - before).nanoseconds)
      state.statistics.flushIndexLatency.record(nanoseconds: (written - synced).nanoseconds)
    }
    return pass.last
  }

  private func finishLogs() {
    do {
      try appender.finish()
    } catch {
      storage.logger.warning("The last entry log has no trailer.", metadata: ["error": "\(error)"])
    }
  }
}
