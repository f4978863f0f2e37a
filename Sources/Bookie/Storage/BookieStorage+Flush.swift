import NIOCore

extension BookieStorage {
  /// Swaps the halves if the earlier flush is done. Called under the lock.
  func beginFlush(_ state: inout State, synced: [JournalMark]? = nil) -> Bool {
    let synced = synced ?? syncedMarks
    let isClean = state.cache.active.isEmpty && !state.table.hasDirty && !state.tracker.isBehind(synced)
    guard !isClean, state.job == nil, state.cache.swap() else { return false }
    state.tracker.begin(synced: synced)
    state.job = FlushJob(
      half: state.cache.flushing ?? WriteCacheHalf(), dirty: state.table.takeDirty(),
      limbo: state.table.takeDirtyLimbo(), marks: state.tracker.pending)
    return true
  }

  /// The flushed half can be read from the entry logs: adds that wait are let in. Returns the marks to write, if any moves.
  func finishFlush(lastEntries: [(ledgerID: Int64, entryID: Int64)]) -> [JournalMark]? {
    var replies: [(any ReplyTarget, [BookieReply])] = []
    let marks = state.withLockedValue { state -> [JournalMark]? in
      for item in lastEntries { state.table.flushed(item.ledgerID, through: item.entryID) }
      state.cache.flushed()
      state.job = nil
      state.statistics.flushes += 1
      let marks = state.tracker.flushed()
      // The next half fills up while the marks of this flush are still being written; it is flushed after that.
      replies = admitWaiting(&state)
      return marks
    }
    for (target, reply) in replies { target.deliver(reply) }
    return marks
  }

  // MARK: Disks

  /// Looks how full the directories are. Blocks. Returns whether what may be written has changed.
  @discardableResult
  func checkDisks() -> Bool {
    var spaces: [(String, DiskSpace)] = []
    for directory in configuration.journalDirectories + configuration.ledgerDirectories {
      do throws(BookieError) {
        spaces.append((directory, try environment.files.space(directory)))
      } catch {
        logger.error("A directory cannot be examined.", metadata: ["error": "\(error)"])
      }
    }
    let logBytes = Int64(logs.totalBytes())
    let (before, after, news) = state.withLockedValue { state in
      let before = state.disks.mode
      state.statistics.entryLogBytes = logBytes
      var news: [(String, DiskLevel, Double)] = []
      for (directory, space) in spaces {
        if let level = state.disks.observe(directory, usage: space.usage) {
          news.append((directory, level, space.usage))
        }
        state.statistics.disks[directory] = BookieStatistics.Disk(
          totalBytes: space.total, freeBytes: space.free, level: state.disks.level(directory))
      }
      logs.avoid(state.disks.fullLedgerDirectories)
      state.statistics.mode = BookieStatistics.Mode(state.disks.mode)
      return (before, state.disks.mode, news)
    }
    for (directory, level, usage) in news {
      logger.log(
        level: level >= .full ? .error : level == .warn ? .warning : .notice,
        "A directory is \(level == .ok ? "below its thresholds again" : "filling up: make space").",
        metadata: ["directory": "\(directory)", "usage": "\(Int(usage * 100)) %", "level": "\(level)"])
    }
    if before != after { note(mode: after) }
    return before != after
  }

  /// An operator makes the bookie read-only, or lets the disks decide again. Returns whether what may be written changed.
  @discardableResult
  func setReadOnly(_ isReadOnly: Bool) -> Bool {
    let (before, after) = state.withLockedValue { state in
      let before = state.disks.mode
      state.disks.force(isReadOnly)
      state.statistics.mode = BookieStatistics.Mode(state.disks.mode)
      return (before, state.disks.mode)
    }
    if before != after { note(mode: after) }
    return before != after
  }

  private func note(mode: DiskWatch.Mode) {
    switch mode {
    case .writable: logger.notice("The bookie is writable.")
    case .readOnly: logger.warning("The bookie is read-only: it serves reads, fences and recovery.")
    case .noWrites: logger.error("The bookie is read-only and too full for recovery: it serves reads and fences.")
    }
  }

  /// A write in `directory` met a full disk.
  static func ranOut(_ directory: String, _ state: inout State, _ logs: EntryLogs) {
    guard state.disks.ranOut(directory) else { return }
    logs.avoid(state.disks.fullLedgerDirectories)
    state.statistics.mode = BookieStatistics.Mode(state.disks.mode)
  }
}
