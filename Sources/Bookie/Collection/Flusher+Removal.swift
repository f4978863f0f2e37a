import Logging
import NIOCore

extension Flusher {
  /// Deleted ledgers that the index has still to take: they are not answered any more, but their entries are still there.
  struct Removals {
    /// Ledgers of one change of the index.
    static let batchSize = 1024
    /// Ledgers that are marked as deleted under one lock.
    static let lockSize = 256
    static let pause = TimeAmount.seconds(10)

    var ledgers: [Int64] = []
    /// Ledgers that were deleted so long ago that nothing need be known of them.
    var forgotten: [Int64] = []
    /// When to try again after a failure.
    var retry: NIODeadline?
  }

  /// Forgets ledgers, and tries again as long as the index refuses that.
  func remove(_ ledgers: [Int64]) {
    let now = storage.environment.wallClock()
    for start in stride(from: 0, to: ledgers.count, by: Removals.lockSize) {
      let some = ledgers[start..<min(start + Removals.lockSize, ledgers.count)]
      removals.ledgers += storage.state.withLockedValue { state in
        some.filter { id in
          guard let known = state.table[id], !known.isDeleted else { return false }
          state.table.delete(id, now: now)
          state.cache.remove(ledgerID: id)
          return true
        }
      }
    }
    finishRemovals()
  }

  /// Has the index take what was deleted.
  func finishRemovals() {
    removals.retry = nil
    let keep = Int64(TimeAmount(storage.configuration.deletedLedgerMemory).nanoseconds / 1_000_000)
    let time = storage.environment.wallClock() - keep
    repeat {
      let gone = removals.ledgers.prefix(Removals.batchSize)
      if gone.isEmpty, removals.forgotten.isEmpty {
        removals.forgotten = storage.state.withLockedValue {
          $0.table.forgetDeleted(before: time, limit: Removals.batchSize)
        }
      }
      let records = storage.state.withLockedValue { state in
        gone.compactMap { id in state.table[id].map { (id, $0) } }
      }
      // One that was made anew since is no longer to be forgotten.
      let forgotten = storage.state.withLockedValue { state in
        removals.forgotten.filter { state.table[$0] == nil }
      }
      guard forget(records, forgotten: forgotten) else {
        removals.retry = storage.environment.now() + Removals.pause
        return
      }
      removals.ledgers.removeFirst(gone.count)
      removals.forgotten = []
      if gone.isEmpty, forgotten.isEmpty { return }
      storage.state.withLockedValue { $0.statistics.deletedLedgers += Int64(records.count) }
      if !gone.isEmpty { storage.compactor?.mailbox.push(.removed) }
    } while true
  }

  /// Forgets the entries of ledgers that metadata has elsewhere. Their fences stay. What fails, or is being written to, is left
  /// as it was; the next search finds it again.
  /// - Returns: how many were emptied.
  func vacate(_ ledgers: [Int64]) -> Int {
    let records = storage.state.withLockedValue { state in
      ledgers.compactMap { id -> (Int64, LedgerFenceTable.Ledger)? in
        // What waits for a flush would be in the index after it.
        state.cache.contains(ledgerID: id) ? nil : state.table.vacated(id).map { (id, $0) }
      }
    }
    guard !records.isEmpty, forget(records, forgotten: []) else { return 0 }
    storage.state.withLockedValue { state in
      for (id, _) in records {
        state.table.vacate(id, lastEntry: state.cache.entryIDs(of: id).max() ?? -1)
      }
      state.statistics.overReplicatedLedgers += Int64(records.count)
    }
    storage.compactor?.mailbox.push(.removed)
    return records.count
  }

  /// Removes the locations of ledgers; false if that failed.
  private func forget(_ gone: [(Int64, LedgerFenceTable.Ledger)], forgotten: [Int64]) -> Bool {
    let batch = LocationIndex.Batch()
    for (id, ledger) in gone {
      storage.index.removeLocations(ledgerID: id, batch)
      storage.index.put(ledger, id: id, batch)
    }
    for id in forgotten { storage.index.remove(ledgerID: id, batch) }
    let changed = storage.usage.without(Set(gone.map(\.0)))
    for (log, ledgers) in changed { storage.index.put(usage: ledgers, logID: log, batch) }
    do {
      try storage.index.write(batch)
    } catch {
      storage.logger.error("Deleted ledgers could not be removed; trying again later.", metadata: ["error": "\(error)"])
      return false
    }
    for (log, ledgers) in changed { storage.usage.set(log, ledgers) }
    for (id, _) in gone {
      storage.readCache.remove(ledgerID: id)
      storage.damage.remove(ledgerID: id)
      appender.forget(ledgerID: id)
    }
    return true
  }
}
