import Logging
import NIOConcurrencyHelpers
import NIOCore

/// The one thread that moves entries from the write cache to the entry logs, writes checkpoints, and deletes ledgers.
final class Flusher: Sendable {
  private enum Command {
    case wake
    case checkpoint(@Sendable () -> Void)
    case delete([Int64], @Sendable () -> Void)
    case close(checkpoint: Bool)
  }

  private let storage: BookieStorage
  private let mailbox = Mailbox<Command>()
  private let onFailure: @Sendable (String) -> Void
  private let thread: NIOLockedValueBox<WorkerThread?> = NIOLockedValueBox(nil)
  /// Bytes of each ledger in each log. Touched only by the thread (and before it starts).
  private let usage: NIOLockedValueBox<[UInt32: [Int64: Int64]]>

  init(
    storage: BookieStorage, usage: [UInt32: [Int64: Int64]], onFailure: @escaping @Sendable (String) -> Void
  ) {
    self.storage = storage
    self.onFailure = onFailure
    self.usage = NIOLockedValueBox(usage)
  }

  /// Bytes of each ledger in each log. Ask only while the thread does not run.
  var currentUsage: [UInt32: [Int64: Int64]] { usage.withLockedValue { $0 } }

  func start() {
    let worker = WorkerThread(name: "bookie-flush") { [self] in run() }
    thread.withLockedValue { $0 = worker }
  }

  /// The write cache has a half to flush.
  func wake() { mailbox.push(.wake) }

  func checkpoint(_ done: @escaping @Sendable () -> Void) {
    if !mailbox.push(.checkpoint(done)) { done() }
  }

  func delete(_ ledgers: [Int64], _ done: @escaping @Sendable () -> Void) {
    if !mailbox.push(.delete(ledgers, done)) { done() }
  }

  /// Ends the thread. Blocks.
  func close(checkpoint: Bool) {
    mailbox.push(.close(checkpoint: checkpoint))
    mailbox.close()
    thread.withLockedValue { $0 }?.join()
  }

  private func run() {
    let interval = TimeAmount(storage.configuration.flushInterval)
    var due = NIODeadline.now() + interval
    var retry: NIODeadline?
    while let commands = mailbox.take(until: min(due, retry ?? due)) {
      var isClosing = false
      var finished: [@Sendable () -> Void] = []
      // Commands may keep coming: what is due must not wait for a pause between them.
      var mustFlush = NIODeadline.now() >= min(due, retry ?? due)
      for command in commands {
        switch command {
        case .wake: mustFlush = mustFlush || retry == nil
        case .checkpoint(let done):
          mustFlush = true
          finished.append(done)
        case .delete(let ledgers, let done):
          remove(ledgers)
          finished.append(done)
        case .close(let checkpoint):
          isClosing = true
          mustFlush = checkpoint
        }
      }
      if mustFlush {
        retry = flush()
        due = .now() + interval
        // While this half was flushed the other one may have filled up.
        while retry == nil, storage.state.withLockedValue({ $0.cache.isActiveFull }) { retry = flush() }
      }
      finished.forEach { $0() }
      if isClosing {
        if mustFlush { finishLogs() }
        return
      }
    }
  }

  /// Flushes what there is. Returns when to try again after a failure.
  func flush(synced: JournalMark? = nil) -> NIODeadline? {
    let job = storage.state.withLockedValue { state -> BookieStorage.FlushJob? in
      if state.job == nil { _ = storage.beginFlush(&state, synced: synced) }
      return state.job
    }
    guard let job else { return nil }
    do {
      if let fault = storage.configuration.faults.beforeFlush { try fault() }
      let last = try write(job)
      if let mark = storage.finishFlush(lastEntries: last) {
        try CheckpointFile.write(mark, configuration: storage.configuration)
        if let mark = storage.state.withLockedValue({ $0.tracker.persisted() }) {
          try storage.journal.release(before: mark)
        }
      }
      return nil
    } catch {
      storage.logs.abandon()
      let failure = storage.state.withLockedValue { state in
        state.statistics.failedFlushes += 1
        return state.tracker.failed(now: .now())
      }
      switch failure {
      case .retry(let at):
        storage.logger.error("The write cache cannot be flushed; trying again.", metadata: ["error": "\(error)"])
        return at
      case .stop:
        onFailure("The write cache cannot be flushed, again and again: \(error) Check the disk and restart.")
        return .now() + .seconds(1)
      }
    }
  }

  /// Writes a half and the changed ledgers. Returns the last entry of each ledger in it.
  private func write(_ job: BookieStorage.FlushJob) throws(BookieError) -> [(ledgerID: Int64, entryID: Int64)] {
    let batch = LocationIndex.Batch()
    var last: [(ledgerID: Int64, entryID: Int64)] = []
    var ledgers: [Int64: LedgerFenceTable.Ledger] = [:]
    for item in job.dirty { ledgers[item.id] = item.ledger }
    var added: [UInt32: [Int64: Int64]] = [:]
    for id in job.half.sortedLedgers {
      let known = storage.state.withLockedValue { $0.table[id] }
      guard var ledger = known, !ledger.isDeleted else { continue }
      let items = job.half.items(of: id)
      try append(items, of: id, from: job.half, flushedThrough: ledger.lastFlushed, batch, &added)
      guard let end = items.last?.entryID else { continue }
      ledger.lastFlushed = max(ledger.lastFlushed, end)
      ledgers[id] = ledger
      last.append((id, end))
    }
    if !added.isEmpty { try storage.logs.writer().sync() }
    let limbo = storage.state.withLockedValue { $0.isInLimbo }
    if limbo { storage.index.putLimbo(batch) }
    for (id, ledger) in ledgers { storage.index.put(ledger, id: id, batch) }
    var merged = usage.withLockedValue { $0 }
    for (log, ledgers) in added {
      merged[log, default: [:]].merge(ledgers, uniquingKeysWith: +)
      storage.index.put(usage: merged[log] ?? [:], logID: log, batch)
    }
    try storage.index.write(batch)
    usage.withLockedValue { $0 = merged }
    return last
  }

  /// Appends the entries of one ledger to the log, in runs.
  private func append(
    _ items: [WriteCacheHalf.Item], of id: Int64, from half: WriteCacheHalf, flushedThrough: Int64,
    _ batch: LocationIndex.Batch, _ added: inout [UInt32: [Int64: Int64]]
  ) throws(BookieError) {
    let again = items.prefix { $0.entryID <= flushedThrough }.map(\.entryID)
    if !again.isEmpty {
      try storage.index.displace(again, ledgerID: id, batch)
      storage.readCache.remove(ledgerID: id)
    }
    func close(_ run: LocationRun) {
      storage.index.put(run, ledgerID: id, batch)
      added[run.logID, default: [:]][id, default: 0] += Int64(run.byteCount)
    }
    var run: LocationRun?
    for item in items {
      let writer = try storage.logs.writer()
      let isAgain = item.entryID <= flushedThrough
      if let open = run, open.isFull || open.logID != writer.logID || isAgain {
        close(open)
        run = nil
      }
      let entry = half.entry(item)
      var current = run ?? LocationRun(logID: writer.logID, offset: writer.offset)
      try writer.append(entry, ledgerID: id)
      current.append(LocationRun.Item(entryID: item.entryID, size: entry.readableBytes))
      if isAgain {
        // Alone in its run: it may lie between entries of older runs, which no run may span.
        close(current)
      } else {
        run = current
      }
    }
    if let run { close(run) }
  }

  /// Forgets ledgers, and removes the logs in which nothing else is.
  private func remove(_ ledgers: [Int64]) {
    let gone = storage.state.withLockedValue { state -> [(Int64, LedgerFenceTable.Ledger)] in
      ledgers.compactMap { id in
        state.table.delete(id)
        state.cache.remove(ledgerID: id)
        return state.table[id].map { (id, $0) }
      }
    }
    let batch = LocationIndex.Batch()
    for (id, ledger) in gone {
      storage.index.removeLocations(ledgerID: id, batch)
      storage.index.put(ledger, id: id, batch)
      storage.readCache.remove(ledgerID: id)
      storage.logs.forget(ledgerID: id)
    }
    let ids = Set(gone.map(\.0))
    let current = storage.logs.currentID
    let empty = usage.withLockedValue { usage -> [UInt32] in
      var empty: [UInt32] = []
      for (log, ledgers) in usage {
        let rest = ledgers.filter { !ids.contains($0.key) }
        if rest.isEmpty && log != current {
          usage[log] = nil
          storage.index.removeUsage(logID: log, batch)
          empty.append(log)
        } else if rest.count != ledgers.count {
          usage[log] = rest
          storage.index.put(usage: rest, logID: log, batch)
        }
      }
      // A log that the index does not know was written by a flush that failed; its entries are elsewhere.
      if !usage.isEmpty {
        empty += storage.logs.ids.filter { usage[$0] == nil && $0 != current && !empty.contains($0) }
      }
      return empty
    }
    do {
      try storage.index.write(batch)
      for log in empty { try storage.logs.remove(log) }
    } catch {
      storage.logger.error("Deleted ledgers could not be removed; trying again later.", metadata: ["error": "\(error)"])
    }
    storage.state.withLockedValue { state in
      state.statistics.deletedLedgers += Int64(gone.count)
      state.statistics.deletedEntryLogs += Int64(empty.count)
    }
  }

  private func finishLogs() {
    do {
      try storage.logs.finish()
    } catch {
      storage.logger.warning("The last entry log has no trailer.", metadata: ["error": "\(error)"])
    }
  }
}
