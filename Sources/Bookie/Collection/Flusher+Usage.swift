import Logging

extension Flusher {
  /// Finds out what is alive in logs of which the index has no record: by the locations themselves, which are exact where a
  /// log's trailer only says what was in it once. A log that none names, and whose header is not its own, is left alone.
  func extractUsage() {
    let unknown = Set(storage.logs.completeIDs.filter { storage.usage[$0] == nil })
    guard !unknown.isEmpty else { return }
    do {
      var usage: [UInt32: [Int64: Int64]] = [:]
      var place: LocationPlace? = LocationPlace()
      while let from = place {
        let (runs, next) = try storage.index.runs(after: from, limit: 4096)
        for (ledgerID, run) in runs where unknown.contains(run.logID) {
          usage[run.logID, default: [:]][ledgerID, default: 0] += Int64(run.byteCount)
        }
        place = next
      }
      let batch = LocationIndex.Batch()
      for (log, ledgers) in usage { storage.index.put(usage: ledgers, logID: log, batch) }
      try storage.index.write(batch)
      for (log, ledgers) in usage { storage.usage.set(log, ledgers) }
      for log in unknown where usage[log] == nil && storage.logs.isDamaged(log) {
        storage.usage.quarantine(log)
        storage.logger.error(
          "An entry log cannot be read, and no location names it; it is kept.",
          metadata: ["log": "\(storage.logs.path(log) ?? "\(log)")"])
      }
    } catch {
      storage.logger.error(
        "What is in some entry logs is not known; they are looked at again at the next start.",
        metadata: ["logs": "\(unknown.count)", "error": "\(error)"])
      // Without a record a log is neither compacted nor, as long as a location names it, removed.
    }
  }
}
