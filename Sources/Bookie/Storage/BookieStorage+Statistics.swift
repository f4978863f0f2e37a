extension BookieStorage {
  /// Counters and sizes as of now.
  func statistics() -> BookieStatistics {
    var statistics = state.withLockedValue { state in
      var statistics = state.statistics
      statistics.writeCacheBytes = state.cache.byteCount
      statistics.writeCacheEntries = state.cache.entryCount
      statistics.waitingBytes = state.waiting.byteCount + state.urgentWaiting.byteCount
      statistics.ledgers = state.table.count
      statistics.isInLimbo = state.table.limbo != .none
      statistics.ledgersInLimbo = state.table.limboCount
      return statistics
    }
    for journal in journals {
      let figures = journal.statistics
      statistics.addLatency.merge(figures.addLatency)
      statistics.journalSyncs += figures.syncs
      statistics.journalBytes += figures.bytes
      statistics.journalEntries += figures.entries
      statistics.journalRefusedEntries += figures.refusedEntries
      statistics.journalFilesCreated += figures.filesCreated
      statistics.journalSyncLatency.merge(figures.syncLatency)
      statistics.journalQueueLatency.merge(figures.queueLatency)
      statistics.journalQueueLength += journal.queueLength
    }
    statistics.readQueueLength = readers?.queueLength ?? 0
    statistics.readCacheBytes = readCache.byteCount
    statistics.entryLogs = logs.count
    statistics.liveEntryLogBytes = usage.liveBytes.values.reduce(0, +)
    statistics.damagedEntries = damage.count
    statistics.quarantinedEntryLogs += usage.quarantined.count
    return statistics
  }
}
