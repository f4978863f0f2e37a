import Bookie

extension MetricsBuilder {
  /// Adds the figures of a bookie, with its id in the label `bookie`.
  mutating func add(_ bookie: Bookie) {
    let figures = bookie.statistics()
    let labels = [Label("bookie", bookie.bookieID)]
    addServer(figures, labels)
    addJournal(figures, labels)
    addStorage(figures, labels)
    addCollection(figures, labels)
    addCare(figures, labels)
    let journals = Set(bookie.lastLogMarks.keys)
    gauge("bookie_JOURNAL_DIRS", journals.count, labels)
    let disks = figures.disks.filter { !journals.contains($0.key) }
    gauge("bookie_ledger_num_dirs", disks.count, labels)
    gauge("bookie_ledger_writable_dirs", disks.values.count { $0.level < .full }, labels)
    for (directory, disk) in figures.disks.sorted(by: { $0.key < $1.key }) {
      let used = disk.totalBytes > 0 ? Double(disk.totalBytes - disk.freeBytes) / Double(disk.totalBytes) : 0
      let place = labels + [Label("dir", directory)]
      gauge(journals.contains(directory) ? "bookie_journal_dir_usage" : "bookie_ledger_dir_usage", used * 100, place)
      gauge("bookie_meridian_dir_free_bytes", disk.freeBytes, place)
    }
  }

  private mutating func addServer(_ figures: BookieStatistics, _ labels: [Label]) {
    gauge("bookie_SERVER_STATUS", figures.mode == .writable ? 1 : 0, labels)
    let failedAdds = figures.rejectedAdds + figures.refusedAdds
    latency("bookkeeper_server_ADD_ENTRY_REQUEST", figures.addLatency, failures: failedAdds, labels)
    latency("bookkeeper_server_ADD_ENTRY", figures.addLatency, failures: failedAdds, labels)
    counter("bookkeeper_server_meridian_refused_adds", figures.refusedAdds, labels)
    counter("bookkeeper_server_ADD_ENTRY_REJECTED", figures.rejectedAdds, labels)
    for name in ["bookkeeper_server_READ_ENTRY_REQUEST", "bookkeeper_server_READ_ENTRY"] {
      totals(name, sum: nil, count: figures.reads - figures.damagedReads, labels + [Label("success", "true")])
      totals(name, sum: nil, count: figures.damagedReads, labels + [Label("success", "false")])
    }
    latency("bookkeeper_server_READ_ENTRY_SCHEDULING_DELAY", figures.readQueueLatency, labels)
    totals(
      "bookkeeper_server_READ_ENTRY_FENCE_REQUEST", sum: nil, count: figures.fences, labels + [Label("success", "true")]
    )
    gauge("bookie_meridian_read_queue_size", figures.readQueueLength, labels)
    latency("bookie_BOOKIE_ADD_ENTRY", figures.addLatency, labels)
    latency("bookie_BOOKIE_READ_ENTRY", figures.readLatency, failures: figures.damagedReads, labels)
    totals(
      "bookie_BOOKIE_RECOVERY_ADD_ENTRY", sum: nil, count: figures.recoveryAdds, labels + [Label("success", "true")])
    totals(
      "bookie_BOOKIE_ADD_ENTRY_BYTES", sum: Double(figures.addedBytes), count: figures.adds,
      labels + [Label("success", "true")])
    totals(
      "bookie_BOOKIE_READ_ENTRY_BYTES", sum: Double(figures.readBytes), count: figures.reads,
      labels + [Label("success", "true")])
    counter("bookie_WRITE_BYTES", figures.addedBytes, labels)
    counter("bookie_READ_BYTES", figures.readBytes, labels)
  }

  private mutating func addJournal(_ figures: BookieStatistics, _ labels: [Label]) {
    latency(
      "bookie_journal_JOURNAL_ADD_ENTRY", figures.addLatency, failures: figures.journalRefusedEntries, labels)
    latency("bookie_journal_JOURNAL_SYNC", figures.journalSyncLatency, labels)
    latency("bookie_journal_JOURNAL_QUEUE_LATENCY", figures.journalQueueLatency, labels)
    gauge("bookie_journal_JOURNAL_QUEUE_SIZE", figures.journalQueueLength, labels)
    counter("bookie_journal_JOURNAL_WRITE_BYTES", figures.journalBytes, labels)
    let good = labels + [Label("success", "true")]
    totals(
      "bookie_journal_JOURNAL_FORCE_WRITE_BATCH_ENTRIES", sum: Double(figures.journalEntries),
      count: figures.journalSyncs, good)
    totals(
      "bookie_journal_JOURNAL_FORCE_WRITE_BATCH_BYTES", sum: Double(figures.journalBytes), count: figures.journalSyncs,
      good)
    counter("bookie_journal_meridian_files_created", figures.journalFilesCreated, labels)
  }

  private mutating func addStorage(_ figures: BookieStatistics, _ labels: [Label]) {
    gauge("bookie_write_cache_size", figures.writeCacheBytes, labels)
    gauge("bookie_write_cache_count", figures.writeCacheEntries, labels)
    counter("bookie_write_cache_hits", figures.writeCacheHits, labels)
    counter("bookie_write_cache_misses", figures.readCacheHits + figures.cacheMisses, labels)
    gauge("bookie_read_cache_size", figures.readCacheBytes, labels)
    counter("bookie_read_cache_hits", figures.readCacheHits, labels)
    counter("bookie_read_cache_misses", figures.cacheMisses, labels)
    let good = labels + [Label("success", "true")]
    latency("bookie_read_locations_index_time", figures.indexReadLatency, labels)
    latency("bookie_read_entrylog_time", figures.readAheadLatency, labels)
    latency("bookie_readahead_time", figures.readAheadLatency, labels)
    let batches = figures.readAheadLatency.count
    totals("bookie_readahead_batch_count", sum: Double(figures.readAheadEntries), count: batches, good)
    totals("bookie_readahead_batch_size", sum: Double(figures.readAheadBytes), count: batches, good)
    latency("bookie_flush", figures.flushLatency, failures: figures.failedFlushes, labels)
    latency("bookie_flush_entrylog", figures.flushEntryLogLatency, labels)
    latency("bookie_flush_locations_index", figures.flushIndexLatency, labels)
    totals("bookie_flush_size", sum: Double(figures.flushedBytes), count: figures.flushes, good)
    counter("bookie_throttled_write_requests", figures.throttledAdds, labels)
    counter("bookie_rejected_write_requests", figures.rejectedAdds, labels)
    gauge("bookie_meridian_waiting_write_bytes", figures.waitingBytes, labels)
    gauge("bookie_ledgers_count", figures.ledgers, labels)
  }

  private mutating func addCollection(_ figures: BookieStatistics, _ labels: [Label]) {
    gauge("bookie_ACTIVE_LEDGER_TOTAL", figures.ledgers, labels)
    gauge("bookie_ACTIVE_ENTRY_LOG_TOTAL", figures.entryLogs, labels)
    gauge("bookie_ACTIVE_ENTRY_LOG_SPACE_BYTES", figures.liveEntryLogBytes, labels)
    gauge("bookie_ENTRY_LOG_SPACE_BYTES", figures.entryLogBytes, labels)
    counter("bookie_RECLAIMED_COMPACTION_SPACE_BYTES", figures.reclaimedCompactionBytes, labels)
    counter("bookie_RECLAIMED_DELETION_SPACE_BYTES", figures.reclaimedDeletionBytes, labels)
    counter("bookie_MAJOR_COMPACTION_TOTAL", figures.majorCompactions, labels)
    counter("bookie_MINOR_COMPACTION_TOTAL", figures.minorCompactions, labels)
    counter("bookie_DELETED_LEDGER_TOTAL", figures.deletedLedgers, labels)
    counter("bookie_RECLAIM_FAILED_TO_DELETE", figures.failedRemovals, labels)
    latency("bookie_GC_LEDGER_RUNTIME", figures.collectionLatency, labels)
    latency("bookie_COMPACT_RUNTIME", figures.compactionLatency, labels)
    counter("bookie_meridian_over_replicated_ledgers", figures.overReplicatedLedgers, labels)
    counter("bookie_meridian_deleted_entry_logs", figures.deletedEntryLogs, labels)
    counter("bookie_meridian_refused_mass_deletes", figures.refusedMassDeletes, labels)
    counter("bookie_meridian_compacted_bytes", figures.compactedBytes, labels)
    gauge("bookie_meridian_quarantined_entry_logs", figures.quarantinedEntryLogs, labels)
  }

  private mutating func addCare(_ figures: BookieStatistics, _ labels: [Label]) {
    counter("bookie_meridian_failed_flushes", figures.failedFlushes, labels)
    counter("bookie_meridian_damaged_reads", figures.damagedReads, labels)
    counter("bookie_meridian_scrubs", figures.scrubs, labels)
    counter("bookie_meridian_scrubbed_entries", figures.scrubbedEntries, labels)
    counter("bookie_meridian_scrubbed_bytes", figures.scrubbedBytes, labels)
    counter("bookie_meridian_scrub_damage", figures.scrubDamage, labels)
    gauge("bookie_meridian_damaged_entries", figures.damagedEntries, labels)
    gauge("bookie_meridian_limbo", figures.isInLimbo ? 1 : 0, labels)
    gauge("bookie_meridian_ledgers_in_limbo", figures.ledgersInLimbo, labels)
  }
}
