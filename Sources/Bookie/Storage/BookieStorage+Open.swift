import BookieWire
import Logging
import NIOCore

extension BookieStorage {
  /// Opens the directories, replays the journals, flushes what they held, and begins. Blocks.
  static func open(
    configuration: BookieConfiguration, logger: Logger, onFailure: @escaping @Sendable (String) -> Void
  ) throws(BookieError) -> BookieStorage {
    let environment = configuration.environment
    let marks = try CheckpointFile.read(configuration: configuration)
    let logs = try EntryLogs(directories: configuration.ledgerDirectories, environment: environment)
    let index = try LocationIndex.open(configuration: configuration, marks: marks, hasLogs: logs.count > 0)
    do throws(BookieError) {
      return try open(configuration, marks, logs, index, logger, onFailure)
    } catch {
      index.close()
      throw LocationIndex.explained(error, configuration)
    }
  }

  private static func open(
    _ configuration: BookieConfiguration, _ marks: [JournalMark], _ logs: EntryLogs, _ index: LocationIndex,
    _ logger: Logger, _ onFailure: @escaping @Sendable (String) -> Void
  ) throws(BookieError) -> BookieStorage {
    var state = State(
      cache: WriteCache(capacity: configuration.writeCacheSize),
      tracker: CheckpointTracker(marks: marks, maximumFailures: configuration.maximumFlushFailures),
      disks: DiskWatch(
        thresholds: configuration.diskThresholds, journals: configuration.journalDirectories,
        ledgers: configuration.ledgerDirectories, isAnyEnough: configuration.readOnlyModeOnAnyDiskFull),
      waiting: WaitingAdds(
        limit: configuration.maximumWaitingBytes, patience: TimeAmount(configuration.maximumThrottleTime)),
      urgentWaiting: WaitingAdds(
        limit: configuration.maximumWaitingBytes / 4, patience: TimeAmount(configuration.maximumThrottleTime)))
    try index.forEachLedger { state.table.load($0, $1) }
    state.table.load(try index.unknownLedgers())

    let storage = BookieStorage(
      configuration: configuration, state: state, index: index, logs: logs, usage: LogUsage(try index.usage()),
      marks: marks, logger: logger, onFailure: onFailure)
    storage.checkDisks()
    let flusher = Flusher(storage: storage)
    var replayed = marks
    for position in storage.journals.indices { try storage.replay(position, &replayed, flusher) }
    try storage.start(flusher: flusher)
    return storage
  }

  /// Replays one journal, and begins it anew behind what it held.
  private func replay(_ position: Int, _ marks: inout [JournalMark], _ flusher: Flusher) throws(BookieError) {
    let directory = configuration.journalDirectories[position]
    let files = environment.files
    let replay = JournalReplay(directory: directory, mark: marks[position], files: files, logger: logger)
    let before = marks
    func flush(through sequence: UInt64) throws(BookieError) {
      var reached = before
      if sequence > reached[position].sequence { reached[position] = JournalMark(sequence: sequence) }
      guard flusher.flush(synced: reached) == nil else {
        throw .configuration("What the journal holds cannot be flushed; see the log, free the disk and start again.")
      }
    }
    let outcome = try replay.run { bytes, payload, sequence throws(BookieError) in
      self.replay(bytes, payload)
      guard state.withLockedValue({ $0.cache.isActiveFull }) else { return }
      try flush(through: sequence)
    }
    if outcome.isDamaged {
      state.withLockedValue { $0.table.enterLimbo(through: Int64.max) }
    }
    try flush(through: outcome.lastSequence)
    if outcome.records > 0 {
      logger.info(
        "Journal replayed.",
        metadata: [
          "directory": "\(directory)", "records": "\(outcome.records)", "damaged": "\(outcome.isDamaged)",
        ])
    }
    marks[position] = JournalMark(sequence: outcome.lastSequence)

    // Everything is flushed and the mark is behind every record: the old files have no more use but one as a spare.
    let sparePath = directory + "/" + Journal.spareName
    var spare = files.exists(sparePath) ? sparePath : nil
    if spare == nil, let last = outcome.files.last {
      try files.rename(last, to: sparePath)
      // Durable before the others go: a journal of which nothing is left would be taken for a lost one.
      try files.syncDirectory(directory)
      spare = sparePath
    }
    for path in outcome.files where files.exists(path) { try files.remove(path) }
    try files.syncDirectory(directory)
    let found = spare
    journals[position].state.withLockedValue { state in
      state.mark = JournalMark(sequence: outcome.lastSequence)
      state.spare = found
    }
  }

  /// Puts the items of one record back into memory.
  private func replay(_ bytes: UnsafeRawBufferPointer, _ payload: Range<Int>) {
    var items = JournalItems(bytes, payload)
    var segment = EntrySegment(capacity: payload.count)
    var entries: [(ledgerID: Int64, entryID: Int64, location: EntrySegment.Location)] = []
    state.withLockedValue { state in
      while let (kind, range) = items.next() {
        var item = ByteBuffer(bytes: UnsafeRawBufferPointer(rebasing: bytes[range]))
        switch kind {
        case .entry:
          guard
            let ledgerID = item.getInteger(at: 0, as: Int64.self), let entryID = item.getInteger(at: 8, as: Int64.self),
            state.table.replayEntry(ledgerID, entryID: entryID)
          else { continue }
          entries.append((ledgerID, entryID, segment.append(EntryBytes(head: item)).location))
        case .ledger, .fence:
          guard let ledgerID = item.readInteger(as: Int64.self), let key = LedgerMasterKey(reading: &item) else {
            continue
          }
          state.table.replayLedger(ledgerID, key: key, isFenced: kind == .fence)
        case .void: continue
        }
      }
      if !entries.isEmpty { state.cache.insert(segment, entries) }
    }
  }

  /// How far the limbo goes, if it was entered at this start and nobody knows yet which ledgers there were.
  var hasUnboundedLimbo: Bool { state.withLockedValue { $0.table.limbo == .through(Int64.max) } }

  /// No ledger above `ledgerID` existed when the journal was damaged.
  func boundLimbo(through ledgerID: Int64) {
    state.withLockedValue { $0.table.boundLimbo(through: ledgerID) }
  }
}
