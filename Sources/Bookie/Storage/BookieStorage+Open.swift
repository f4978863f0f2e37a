import BookieWire
import Logging
import NIOCore

extension BookieStorage {
  /// Opens the directories, replays the journal, flushes what it held, and starts the threads. Blocks.
  static func open(
    configuration: BookieConfiguration, logger: Logger, onFailure: @escaping @Sendable (String) -> Void
  ) throws(BookieError) -> BookieStorage {
    let mark = try CheckpointFile.read(configuration: configuration)
    let logs = try EntryLogs(directories: configuration.ledgerDirectories, sizeLimit: configuration.entryLogSizeLimit)
    let index = try LocationIndex(path: configuration.indexDirectory + "/index")
    var state = State(
      cache: WriteCache(capacity: configuration.writeCacheSize),
      tracker: CheckpointTracker(mark: mark, maximumFailures: configuration.maximumFlushFailures))
    try index.forEachLedger { state.table.load($0, $1) }
    state.isInLimbo = try index.isInLimbo()

    let sparePath = configuration.journalDirectory + "/" + Journal.spareName
    let replay = JournalReplay(directory: configuration.journalDirectory, mark: mark, logger: logger)
    // The journal's place is known only after the replay, which already needs the flusher.
    let journalAfter = { (last: UInt64, spare: String?) in
      Journal(
        configuration: configuration, after: JournalMark(sequence: last), spare: spare, logger: logger,
        onFailure: onFailure)
    }
    let usage = try index.usage()
    let staging = BookieStorage(
      configuration: configuration, state: state, index: index, logs: logs, journal: journalAfter(mark.sequence, nil),
      logger: logger)
    let stagingFlusher = Flusher(storage: staging, usage: usage, onFailure: onFailure)
    let outcome = try replay.run { bytes, payload, sequence throws(BookieError) in
      staging.replay(bytes, payload)
      guard staging.state.withLockedValue({ $0.cache.isActiveFull }) else { return }
      try staging.flushReplayed(stagingFlusher, through: sequence)
    }
    if outcome.isDamaged {
      staging.state.withLockedValue { state in
        state.isInLimbo = true
        state.table.fenceAll()
      }
    }
    try staging.flushReplayed(stagingFlusher, through: outcome.lastSequence)
    if outcome.records > 0 {
      logger.info("Journal replayed.", metadata: ["records": "\(outcome.records)", "damaged": "\(outcome.isDamaged)"])
    }

    // Everything is flushed and the mark is behind every record: the old files have no more use but one as a spare.
    var spare = Directory.exists(sparePath) ? sparePath : nil
    for path in outcome.files {
      if spare == nil {
        try Directory.rename(path, to: sparePath)
        spare = sparePath
      } else {
        try Directory.remove(path)
      }
    }
    try Directory.sync(configuration.journalDirectory)
    let storage = BookieStorage(
      configuration: configuration, state: staging.state.withLockedValue { $0 }, index: index, logs: logs,
      journal: journalAfter(outcome.lastSequence, spare), logger: logger)
    let flusher = Flusher(storage: storage, usage: stagingFlusher.currentUsage, onFailure: onFailure)
    try storage.start(flusher: flusher)
    return storage
  }

  /// Puts the items of one record back into memory.
  private func replay(_ bytes: UnsafeRawBufferPointer, _ payload: Range<Int>) {
    var items = JournalItems(bytes, payload)
    var segment = EntrySegment(capacity: payload.count)
    var entries: [(ledgerID: Int64, entryID: Int64, location: EntrySegment.Location)] = []
    state.withLockedValue { state in
      while let (kind, range) = items.next() {
        var item = ByteBuffer(bytes: bytes[range])
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

  private func flushReplayed(_ flusher: Flusher, through sequence: UInt64) throws(BookieError) {
    guard flusher.flush(synced: JournalMark(sequence: sequence)) == nil else {
      throw .configuration("What the journal holds cannot be flushed; see the log, free the disk and start again.")
    }
  }
}
