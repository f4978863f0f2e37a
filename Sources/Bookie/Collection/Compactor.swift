import Logging
import NIOCore

/// Copies what is alive out of entry logs that are mostly garbage, and has them removed. Everything but the mailbox belongs to
/// its thread.
///
/// A log is read by the index, run after run, and every record is verified. The copies are synced and read back before the
/// flusher puts them into the index, and the log is removed only when no location names it any more (`LogCheck`), which is
/// looked up for several logs at a time. A log with a record that cannot be read is left alone: that record is reported, and
/// what was copied stays copied; the next round tries it again.
final class Compactor: StorageWorker, @unchecked Sendable {
  enum Command {
    case trigger(CompactionKind, @Sendable () -> Void)
    case suspend(CompactionKind, Bool)
    /// Entries were deleted: some logs may be empty now.
    case removed
    case moved(Bool)
    /// These files may be removed.
    case swept([UInt32])
    case close
  }

  /// The log that is being emptied.
  private struct Source {
    var log: UInt32
    var size: Int64
    var ledgers: ArraySlice<Int64>
    /// The entry from which on the first ledger is still to be looked through.
    var next: Int64? = 0
    var moves: CompactionMoves
    var bytes = 0
    var isDamaged = false

    init(log: UInt32, size: Int64, ledgers: [Int64]) {
      self.log = log
      self.size = size
      self.ledgers = ledgers[...]
      moves = CompactionMoves(source: log)
    }
  }

  private struct Job {
    var kind: CompactionKind
    var logs: ArraySlice<UInt32>
    /// Bytes of all logs when it began.
    var totalBytes: Int64
    var begin: NIODeadline
    var source: Source?
    /// Logs of which everything was moved, with the bytes of their files.
    var emptied: [UInt32: Int64] = [:]

    /// A look through the whole index is worth it for a share of all logs, or at the end.
    var isCheckDue: Bool {
      !emptied.isEmpty && (logs.isEmpty || emptied.values.reduce(0, +) >= totalBytes / 16)
    }
  }

  /// Bytes copied before the index is changed.
  private static let batchBytes = 32 * 1024 * 1024
  /// After a look through the index, time in which none begins because of deletions, in times that it took.
  private static let checkRest: Int64 = 4

  let mailbox = Mailbox<Command>()
  private let storage: BookieStorage
  private let appender: EntryLogAppender
  private var schedule: CompactionSchedule
  private var pacer: Pacer
  private var job: Job?
  private var isWaiting = false
  private var callbacks: [CompactionKind: [@Sendable () -> Void]] = [:]
  /// The logs that this round, or the last one, had to leave.
  private var quarantine: Set<UInt32> = []
  private var check: (value: LogCheck, begin: NIODeadline)?
  /// Whether logs may have become empty. What was copied before the process ended, but not named, is found at the start.
  private var isCheckWanted = true
  private var nextCheck = NIODeadline.distantPast
  private var removable: ArraySlice<UInt32> = []

  init(storage: BookieStorage) {
    self.storage = storage
    let configuration = storage.configuration
    appender = EntryLogAppender(logs: storage.logs, sizeLimit: configuration.entryLogSizeLimit)
    schedule = CompactionSchedule(
      minor: CompactionSchedule.Settings(
        threshold: configuration.minorCompactionThreshold, interval: TimeAmount(configuration.minorCompactionInterval)),
      major: CompactionSchedule.Settings(
        threshold: configuration.majorCompactionThreshold, interval: TimeAmount(configuration.majorCompactionInterval)),
      isForced: configuration.forceCompactionWhenFull, now: storage.environment.now())
    pacer = Pacer(bytesPerSecond: configuration.compactionRateByBytes)
  }

  func turn() -> WorkerTurn {
    guard let commands = mailbox.take() else { return end() }
    for command in commands {
      switch command {
      case .trigger(let kind, let done):
        schedule.trigger(kind)
        callbacks[kind, default: []].append(done)
      case .suspend(let kind, let isSuspended):
        schedule.suspend(kind, isSuspended)
        storage.state.withLockedValue { [suspended = schedule.suspended] in $0.suspendedCompactions = suspended }
      case .removed: isCheckWanted = true
      case .moved(let isDone): moved(isDone)
      case .swept(let logs): swept(logs)
      case .close: return end()
      }
    }
    if !commands.isEmpty { return .again }
    if isWaiting { return .wait(until: nil) }
    let now = storage.environment.now()
    if let log = removable.popFirst() {
      remove(log)
      return .again
    }
    if check != nil {
      advanceCheck()
      return .again
    }
    if let pause = pacer.pause(now: now) { return .wait(until: pause) }
    if job == nil, isCheckWanted, nextCheck <= now {
      beginCheck(now)
      return .again
    }
    if job != nil {
      advance()
      return .again
    }
    switch schedule.next(now: now, level: storage.state.withLockedValue { $0.disks.highestLedgerLevel }) {
    case .run(let kind):
      begin(kind)
      return .again
    case .wait(let until):
      // The disks, which have a say in it, tell nobody when they change.
      let next = until.map { max($0, now + .milliseconds(10)) } ?? now + .seconds(60)
      return .wait(until: isCheckWanted ? min(next, nextCheck) : next)
    }
  }

  private func end() -> WorkerTurn {
    // A copy that the index does not name is garbage, which the next start finds.
    if isWaiting || job != nil { appender.abandon() } else { try? appender.finish() }
    callbacks.values.joined().forEach { $0() }
    callbacks = [:]
    return .ended
  }

  private func begin(_ kind: CompactionKind) {
    let live = storage.usage.liveBytes
    var logs: [UInt32: (live: Int64, size: Int64)] = [:]
    // What kept them may have passed: a full disk, damage that was repaired.
    quarantine = []
    for log in storage.logs.completeIDs {
      if let bytes = live[log] { logs[log] = (bytes, Int64(storage.logs.size(log))) }
    }
    let candidates = CompactionSchedule.candidates(logs, threshold: schedule.threshold(kind))
    let total = logs.values.reduce(0) { $0 + $1.size }
    job = Job(kind: kind, logs: candidates[...], totalBytes: total, begin: storage.environment.now())
    storage.state.withLockedValue { $0.compaction = kind }
    if !candidates.isEmpty {
      storage.logger.info("Compaction begins.", metadata: ["kind": "\(kind)", "logs": "\(candidates.count)"])
    }
  }

  /// One step of the job: a run, a change of the index, the next log, or the end.
  private func advance() {
    guard var job else { return }
    guard var source = job.source else {
      if job.isCheckDue { return beginCheck(storage.environment.now()) }
      guard let log = job.logs.popFirst() else { return finish(job.kind) }
      if let ledgers = storage.usage[log] {
        job.source = Source(log: log, size: Int64(storage.logs.size(log)), ledgers: ledgers.ids)
      }
      self.job = job
      return
    }
    do throws(BookieError) {
      if source.bytes < Self.batchBytes, let ledgerID = source.ledgers.first {
        if let run = try nextRun(ledgerID, source) {
          try copy(run, ledgerID, &source)
        } else {
          source.ledgers.removeFirst()
          source.next = 0
        }
        job.source = source
        self.job = job
      } else if !source.moves.isEmpty {
        try commit(source.moves)
      } else {
        ended(source)
      }
    } catch {
      giveUp(source.log, error)
    }
  }

  private func nextRun(_ ledgerID: Int64, _ source: Source) throws(BookieError) -> LocationRun? {
    let isThere = storage.state.withLockedValue { $0.table[ledgerID].map { !$0.isDeleted } ?? false }
    guard isThere, let next = source.next else { return nil }
    var found: LocationRun?
    try storage.index.forEachRun(ledgerID: ledgerID, from: next) { run throws(BookieError) in
      guard run.logID == source.log else { return true }
      found = run
      return false
    }
    return found
  }

  /// Copies one run; what of it cannot be read stays where it is.
  private func copy(_ run: LocationRun, _ ledgerID: Int64, _ source: inout Source) throws(BookieError) {
    let reading = try RunReading(run, ledgerID: ledgerID, storage: storage)
    var to = reading.damaged
    if !reading.damaged.isEmpty {
      source.isDamaged = true
      storage.report(ledgerID, reading.confirmedDamage(storage), log: run.logID)
    }
    for piece in reading.whole {
      var current: LocationRun?
      for (item, entry) in zip(piece.run.items, piece.entries) {
        let writer = try appender.writer()
        if let open = current, open.logID != writer.logID {
          to.append(open)
          current = nil
        }
        var copy = current ?? LocationRun(logID: writer.logID, offset: writer.offset)
        try writer.append(entry, ledgerID: ledgerID)
        copy.append(item)
        current = copy
      }
      if let current { to.append(current) }
    }
    if !reading.whole.isEmpty {
      source.moves.moves.append(CompactionMoves.Move(ledgerID: ledgerID, from: run, to: to))
    }
    source.bytes += run.byteCount
    source.next = run.last < .max ? run.last + 1 : nil
    pacer.spent(run.byteCount, now: storage.environment.now())
  }

  /// Makes the copies durable, reads them back, and hands them to the flusher.
  private func commit(_ moves: CompactionMoves) throws(BookieError) {
    try appender.sync()
    for move in moves.moves {
      for run in move.to where run.logID != moves.source {
        _ = try storage.logs.reader(run.logID).entries(run.items[...], ledgerID: move.ledgerID, at: run.offset)
      }
    }
    isWaiting = true
    let mailbox = mailbox
    storage.flusher?.submit(.move(moves) { mailbox.push(.moved($0)) })
  }

  private func moved(_ isDone: Bool) {
    isWaiting = false
    guard let source = job?.source else { return }
    guard isDone else {
      // Whether the index took the change is not known for certain: nothing that it may name is taken back.
      appender.abandon()
      job?.source = nil
      quarantine.insert(source.log)
      return
    }
    appender.commit()
    let bytes = Int64(source.bytes)
    storage.state.withLockedValue { $0.statistics.compactedBytes += bytes }
    job?.source?.moves = CompactionMoves(source: source.log)
    job?.source?.bytes = 0
  }

  /// Everything in a log was looked through.
  private func ended(_ source: Source) {
    job?.source = nil
    guard source.isDamaged else {
      job?.emptied[source.log] = source.size
      return
    }
    quarantine.insert(source.log)
    storage.logger.error(
      "An entry log holds records that cannot be read; it is kept until they are repaired.",
      metadata: ["log": "\(source.log)"])
  }

  private func giveUp(_ log: UInt32, _ error: BookieError) {
    storage.logger.error(
      "An entry log cannot be compacted; it is kept, and tried again with the next round.",
      metadata: ["log": "\(log)", "error": "\(error)"])
    appender.rollBack(isWhole: error.isOutOfSpace)
    quarantine.insert(log)
    job?.source = nil
  }

  private func finish(_ kind: CompactionKind) {
    let now = storage.environment.now()
    let spent = job.map { (now - $0.begin).nanoseconds } ?? 0
    job = nil
    schedule.finished(kind, now: now)
    let count = quarantine.count
    let nowMs = storage.environment.wallClock()
    storage.state.withLockedValue { state in
      state.compaction = nil
      state.statistics.compactionLatency.record(nanoseconds: spent)
      state.statistics.quarantinedEntryLogs = count
      if kind == .major {
        state.statistics.majorCompactions += 1
        state.statistics.lastMajorCompactionMs = nowMs
      } else {
        state.statistics.minorCompactions += 1
        state.statistics.lastMinorCompactionMs = nowMs
      }
    }
    let kinds = kind == .major ? CompactionKind.allCases : [kind]
    for kind in kinds { callbacks.removeValue(forKey: kind)?.forEach { $0() } }
  }

  // MARK: Removal of logs

  /// Looks through the index if there are logs that may be empty.
  private func beginCheck(_ now: NIODeadline) {
    isCheckWanted = false
    let quarantined = storage.usage.quarantined
    let candidates = storage.logs.completeIDs.filter { !quarantined.contains($0) && storage.usage[$0]?.isEmpty ?? true }
    let emptied = job?.emptied ?? [:]
    job?.emptied = [:]
    guard !candidates.isEmpty || !emptied.isEmpty else { return }
    storage.index.watchNames()
    check = (LogCheck(candidates: Set(candidates), compacted: emptied), now)
  }

  /// One step of the look, or what follows from it.
  private func advanceCheck() {
    guard let begin = check?.begin, var value = check?.value else { return }
    do throws(BookieError) {
      try value.advance(storage.index)
    } catch {
      storage.logger.error("Empty entry logs are not known; trying again later.", metadata: ["error": "\(error)"])
      storage.state.withLockedValue { $0.statistics.failedRemovals += 1 }
      check = nil
      isCheckWanted = true
      nextCheck = storage.environment.now() + .seconds(60)
      return
    }
    check = (value, begin)
    guard value.isDone else { return }
    let now = storage.environment.now()
    nextCheck = now + (now - begin) * Self.checkRest
    isWaiting = true
    let mailbox = mailbox
    storage.flusher?.submit(.sweep(value) { mailbox.push(.swept($0)) })
  }

  private func swept(_ logs: [UInt32]) {
    isWaiting = false
    removable = logs[...]
    let kept = check?.value.compacted.keys.filter { !logs.contains($0) } ?? []
    quarantine.formUnion(kept)
    if logs.isEmpty { check = nil }
  }

  /// Removes a log that the index does not know any more.
  private func remove(_ log: UInt32) {
    let size = Int64(storage.logs.size(log))
    let isCompacted = check?.value.compacted[log] != nil
    if removable.isEmpty { check = nil }
    do throws(BookieError) {
      try storage.logs.remove(log)
    } catch {
      storage.state.withLockedValue { $0.statistics.failedRemovals += 1 }
      storage.logger.error("An entry log cannot be removed; trying again later.", metadata: ["error": "\(error)"])
      isCheckWanted = true
      nextCheck = max(nextCheck, storage.environment.now() + .seconds(60))
      return
    }
    storage.state.withLockedValue { state in
      state.statistics.deletedEntryLogs += 1
      if isCompacted {
        state.statistics.reclaimedCompactionBytes += size
      } else {
        state.statistics.reclaimedDeletionBytes += size
      }
    }
  }
}
