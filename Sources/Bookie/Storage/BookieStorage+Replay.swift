import BookieWire
import Logging
import NIOCore

extension BookieStorage {
  /// Reads the journals from the marks on into the table and the write cache, and lets each of them go on behind what it held.
  ///
  /// A crash leaves no more behind the marks than the write cache had room for: it is served from memory at once and flushed
  /// afterwards, and the files stay until then. If there is more, the disk takes it meanwhile. Blocks.
  func replayJournals(from marks: [JournalMark], _ flusher: Flusher) throws(BookieError) {
    var room = ReplayRoom(storage: self, flusher: flusher, reached: marks)
    var isInLimbo = false
    // Once: a ledger that turns up later is in limbo from the beginning.
    let damaged = {
      if !isInLimbo { self.enterLimbo() }
      isInLimbo = true
    }
    for (position, journal) in journals.enumerated() {
      let replay = JournalReplay(
        directory: journal.directory, mark: marks[position], environment: environment, logger: logger)
      let outcome = try replay.run(damaged: damaged) { payload, sequence throws(BookieError) in
        self.replay(payload)
        room.reached[position] = JournalMark(sequence: sequence)
        try room.make()
      }
      room.reached[position] = JournalMark(sequence: outcome.lastSequence)
      let spare = journal.directory + "/" + Journal.spareName
      journal.replayed(outcome, spare: environment.files.exists(spare) ? spare : nil)
      guard outcome.records > 0 || outcome.isDamaged else { continue }
      logger.info(
        "Journal replayed.",
        metadata: [
          "directory": "\(journal.directory)", "records": "\(outcome.records)", "damaged": "\(outcome.isDamaged)",
        ])
    }
  }

  /// Records were lost. This is in the index with the first mark that moves past them.
  private func enterLimbo() {
    state.withLockedValue { $0.table.enterLimbo(through: Int64.max) }
  }

  /// Puts the items of one record back into memory. The cache keeps the record's own bytes.
  private func replay(_ record: ByteBuffer) {
    let segment = EntrySegment(items: record)
    var entries: [(ledgerID: Int64, entryID: Int64, location: EntrySegment.Location)] = []
    state.withLockedValue { state in
      record.withUnsafeReadableBytes { bytes in
        var items = JournalItems(bytes, 0..<bytes.count)
        while let (kind, range) = items.next() {
          switch kind {
          case .entry:
            guard range.count >= 16 else { continue }
            let ledgerID = bytes.bigEndian(at: range.lowerBound, as: Int64.self)
            let entryID = bytes.bigEndian(at: range.lowerBound + 8, as: Int64.self)
            guard state.table.replayEntry(ledgerID, entryID: entryID) else { continue }
            let location = EntrySegment.Location(
              offset: UInt32(range.lowerBound), length: UInt32(range.count), payload: -1)
            entries.append((ledgerID, entryID, location))
          case .ledger, .fence:
            var item = ByteBuffer(bytes: UnsafeRawBufferPointer(rebasing: bytes[range]))
            guard let ledgerID = item.readInteger(as: Int64.self), let key = LedgerMasterKey(reading: &item) else {
              continue
            }
            state.table.replayLedger(ledgerID, key: key, isFenced: kind == .fence)
          case .void: continue
          }
        }
      }
      if !entries.isEmpty { state.cache.insert(segment, entries) }
    }
  }
}

/// Makes room in the write cache while journals are replayed.
private struct ReplayRoom {
  let storage: BookieStorage
  let flusher: Flusher
  /// What of each journal is in memory or flushed.
  var reached: [JournalMark]
  private var retry: NIODeadline?

  init(storage: BookieStorage, flusher: Flusher, reached: [JournalMark]) {
    self.storage = storage
    self.flusher = flusher
    self.reached = reached
  }

  /// If one half is full, the other one takes what comes, once it is flushed. A disk without space for that refuses nothing
  /// that was acknowledged: the cache holds what it cannot take, and the flush is tried again when the bookie serves.
  mutating func make() throws(BookieError) {
    let (isFull, isBusy) = storage.state.withLockedValue { ($0.cache.isActiveFull, $0.job != nil) }
    guard isFull else { return }
    if isBusy {
      if let retry, storage.environment.now() < retry { return }
      retry = flusher.flush()
      guard retry == nil else {
        if storage.state.withLockedValue({ $0.tracker.isOutOfSpace }) { return }
        throw flusher.lastFailure ?? .configuration("What the journal holds cannot be flushed; see the log.")
      }
    }
    storage.state.withLockedValue { _ = storage.beginFlush(&$0, synced: reached) }
  }
}
