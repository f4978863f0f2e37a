import Logging
import NIOCore

extension Flusher {
  /// Forgets ledgers, and removes the logs in which nothing else is.
  func remove(_ ledgers: [Int64]) {
    let now = storage.environment.wallClock()
    let keep = Int64(TimeAmount(storage.configuration.deletedLedgerMemory).nanoseconds / 1_000_000)
    let (gone, forgotten) = storage.state.withLockedValue { state in
      let gone = ledgers.compactMap { id -> (Int64, LedgerFenceTable.Ledger)? in
        guard let known = state.table[id], !known.isDeleted else { return nil }
        state.table.delete(id, now: now)
        state.cache.remove(ledgerID: id)
        return state.table[id].map { (id, $0) }
      }
      return (gone, state.table.forgetDeleted(before: now - keep))
    }
    guard forget(gone, forgotten: forgotten) else { return }
    storage.state.withLockedValue { $0.statistics.deletedLedgers += Int64(gone.count) }
    if !gone.isEmpty { sweep() }
  }

  /// Forgets the entries of ledgers that metadata has elsewhere. Their fences stay.
  func vacate(_ ledgers: [Int64]) {
    let gone = storage.state.withLockedValue { state in
      ledgers.compactMap { id -> (Int64, LedgerFenceTable.Ledger)? in
        guard let ledger = state.table.vacate(id) else { return nil }
        state.cache.remove(ledgerID: id)
        return (id, ledger)
      }
    }
    guard forget(gone, forgotten: []) else { return }
    storage.state.withLockedValue { $0.statistics.overReplicatedLedgers += Int64(gone.count) }
    if !gone.isEmpty { sweep() }
  }

  /// Removes the locations of ledgers; false if that failed.
  private func forget(_ gone: [(Int64, LedgerFenceTable.Ledger)], forgotten: [Int64]) -> Bool {
    let batch = LocationIndex.Batch()
    for (id, ledger) in gone {
      storage.index.removeLocations(ledgerID: id, batch)
      storage.index.put(ledger, id: id, batch)
      storage.readCache.remove(ledgerID: id)
      storage.damage.remove(ledgerID: id)
      appender.forget(ledgerID: id)
    }
    for id in forgotten { storage.index.remove(ledgerID: id, batch) }
    let changed = storage.usage.without(Set(gone.map(\.0)))
    for (log, ledgers) in changed { storage.index.put(usage: ledgers, logID: log, batch) }
    do {
      try storage.index.write(batch)
    } catch {
      // They are deleted in memory already, and no longer answered; the next start finds them again.
      storage.logger.error("Deleted ledgers could not be removed; trying again later.", metadata: ["error": "\(error)"])
      return false
    }
    for (log, ledgers) in changed { storage.usage.set(log, ledgers) }
    return true
  }

  /// Removes complete logs in which nothing is alive. What the records of usage say is never believed without asking the index
  /// itself: the log may hold the only copy.
  /// - Parameter compacted: the log that compaction has emptied, for the statistics.
  func sweep(compacted: UInt32? = nil) {
    let quarantined = storage.usage.quarantined
    let candidates = storage.logs.completeIDs.filter { !quarantined.contains($0) && storage.usage[$0]?.isEmpty ?? true }
    guard !candidates.isEmpty else { return }
    do {
      let named = try namedLogs()
      for log in candidates {
        if named.contains(log) {
          storage.logger.error(
            "An entry log is in use, but the record of what is in it says otherwise; it is kept.",
            metadata: ["log": "\(log)"])
        } else {
          try remove(log: log, isCompacted: log == compacted)
        }
      }
    } catch {
      storage.state.withLockedValue { $0.statistics.failedRemovals += 1 }
      storage.logger.error("An entry log cannot be removed; trying again later.", metadata: ["error": "\(error)"])
    }
  }

  private func remove(log: UInt32, isCompacted: Bool) throws(BookieError) {
    let size = Int64(storage.logs.size(log))
    let batch = LocationIndex.Batch()
    storage.index.removeUsage(logID: log, batch)
    // In this order: a log without a record is removed by the next sweep.
    try storage.index.write(batch)
    storage.usage.set(log, nil)
    try storage.logs.remove(log)
    storage.state.withLockedValue { state in
      state.statistics.deletedEntryLogs += 1
      if !isCompacted { state.statistics.reclaimedDeletionBytes += size }
    }
  }

  /// Every log that a location names.
  private func namedLogs() throws(BookieError) -> Set<UInt32> {
    var named: Set<UInt32> = []
    var place: LocationPlace? = LocationPlace()
    while let from = place {
      let (runs, next) = try storage.index.runs(after: from, limit: 4096)
      for item in runs { named.insert(item.run.logID) }
      place = next
    }
    return named
  }
}
