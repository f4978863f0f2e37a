import Logging

extension Flusher {
  /// Takes the logs in which nothing is alive out of the records of usage. What these say is never believed without the index
  /// itself, which `check` has looked through: the log may hold the only copy.
  /// - Returns: the logs whose files may be removed.
  func sweep(_ check: LogCheck) -> [UInt32] {
    let named = check.named.union(storage.index.watchedNames)
    let complete = Set(storage.logs.completeIDs)
    let quarantined = storage.usage.quarantined
    let batch = LocationIndex.Batch()
    var known: [UInt32: LogLedgers] = [:]
    var gone: [UInt32] = []
    for log in check.candidates.union(check.compacted.keys).sorted() where complete.contains(log) {
      let usage = storage.usage[log]
      if named.contains(log) {
        guard usage?.isEmpty ?? true, let found = check.usage[log] else { continue }
        if usage != nil {
          storage.logger.error(
            "An entry log is in use, but the record of what is in it said otherwise; it is kept.",
            metadata: ["log": "\(log)"])
        }
        let alive = LogLedgers(found.filter { id, _ in isThere(id) })
        known[log] = alive
        storage.index.put(usage: alive, logID: log, batch)
      } else if usage == nil, storage.logs.isDamaged(log) {
        if quarantined.contains(log) { continue }
        storage.usage.quarantine(log)
        storage.logger.error(
          "An entry log cannot be read, and no location names it; it is kept.",
          metadata: ["log": "\(storage.logs.path(log) ?? "\(log)")"])
      } else {
        gone.append(log)
        storage.index.removeUsage(logID: log, batch)
      }
    }
    do {
      // In this order: a log without a record is removed by the next sweep.
      try storage.index.write(batch)
    } catch {
      storage.state.withLockedValue { $0.statistics.failedRemovals += 1 }
      storage.logger.error(
        "Entry logs cannot be removed from the index; trying again later.", metadata: ["error": "\(error)"])
      return []
    }
    for (log, ledgers) in known { storage.usage.set(log, ledgers) }
    for log in gone { storage.usage.set(log, nil) }
    return gone
  }

  /// Whether the table has the ledger, and not as a deleted one.
  func isThere(_ ledgerID: Int64) -> Bool {
    storage.state.withLockedValue { $0.table[ledgerID].map { !$0.isDeleted } ?? false }
  }
}
