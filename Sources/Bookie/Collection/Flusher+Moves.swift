import NIOCore

extension Flusher {
  /// Puts copies that are on disk, and were read back, in the place of what they were copied from. Entries that changed since
  /// are left as they are. False if nothing could be written.
  func move(_ moves: CompactionMoves) -> Bool {
    let batch = LocationIndex.Batch()
    var added: [UInt32: [Int64: Int64]] = [:]
    var garbage: [UInt32: [Int64: Int64]] = [:]
    do {
      for move in moves.moves {
        guard isThere(move.ledgerID),
          try storage.index.run(ledgerID: move.ledgerID, entryID: move.from.last) == move.from
        else {
          continue
        }
        storage.index.remove(move.from, ledgerID: move.ledgerID, batch)
        garbage[move.from.logID, default: [:]][move.ledgerID, default: 0] += Int64(move.from.byteCount)
        for run in move.to {
          storage.index.put(run, ledgerID: move.ledgerID, batch)
          added[run.logID, default: [:]][move.ledgerID, default: 0] += Int64(run.byteCount)
        }
      }
      let changed = storage.usage.changed(added: added, garbage: garbage)
      for (log, ledgers) in changed { storage.index.put(usage: ledgers, logID: log, batch) }
      try storage.index.write(batch)
      for (log, ledgers) in changed { storage.usage.set(log, ledgers) }
      return true
    } catch {
      storage.logger.error(
        "Compaction cannot be written to the index; the source is kept.", metadata: ["error": "\(error)"])
      return false
    }
  }
}
