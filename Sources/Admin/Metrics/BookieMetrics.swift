import Bookie

/// The figures of this process's bookies under the names that BookKeeper's dashboards know, where they mean the same.
enum BookieMetrics {
  static func samples(_ bookies: [Bookie]) -> [MetricSample] {
    bookies.flatMap { samples($0.bookieID, $0.statistics()) }
  }

  private static func samples(_ id: String, _ figures: BookieStatistics) -> [MetricSample] {
    let labels = [MetricSample.Label("bookie", id)]
    func counter(_ name: String, _ value: Int64) -> MetricSample {
      MetricSample(name, Double(value), labels: labels, kind: .counter)
    }
    func gauge(_ name: String, _ value: Int) -> MetricSample {
      MetricSample(name, Double(value), labels: labels, kind: .gauge)
    }
    /// A summary as far as fixed buckets can give one: how often, and how many microseconds in all.
    func latency(_ name: String, _ histogram: LatencyHistogram) -> [MetricSample] {
      [counter("\(name)_count", histogram.count), counter("\(name)_us_sum", histogram.sumInMicroseconds)]
    }
    var samples = [
      gauge("bookie_SERVER_STATUS", figures.mode == .writable ? 1 : 0),
      counter("bookkeeper_server_ADD_ENTRY_REJECTED", figures.rejectedAdds),
      counter("bookkeeper_server_READ_ENTRY_count", figures.reads),
      counter("bookkeeper_server_READ_ENTRY_FENCE_REQUEST_count", figures.fences),
      counter("bookie_BOOKIE_ADD_ENTRY_count", figures.adds),
      counter("bookie_BOOKIE_RECOVERY_ADD_ENTRY_count", figures.recoveryAdds),
      counter("bookie_WRITE_BYTES", figures.addedBytes),
      counter("bookie_READ_BYTES", figures.readBytes),
      counter("bookie_journal_JOURNAL_WRITE_BYTES", figures.journalBytes),
      counter("bookie_journal_JOURNAL_CREATION_count", figures.journalFilesCreated),
      counter("bookie_journal_meridian_refused_entries", figures.journalRefusedEntries),
      gauge("bookie_journal_JOURNAL_QUEUE_SIZE", figures.journalQueueLength),
      gauge("bookie_write_cache_size", figures.writeCacheBytes),
      gauge("bookie_write_cache_count", figures.writeCacheEntries),
      gauge("bookie_read_cache_size", figures.readCacheBytes),
      counter("bookie_write_cache_hits", figures.writeCacheHits),
      counter("bookie_read_cache_hits", figures.readCacheHits),
      counter("bookie_read_cache_misses", figures.cacheMisses),
      counter("bookie_readahead_batch_count", figures.readAheadEntries),
      counter("bookie_readahead_batch_size", figures.readAheadBytes),
      counter("bookie_flush_size", figures.flushedBytes),
      counter("bookie_throttled_write_requests", figures.throttledAdds),
      counter("bookie_rejected_write_requests", figures.rejectedAdds),
      gauge("bookie_ledgers_count", figures.ledgers),
      gauge("bookie_ACTIVE_LEDGER_TOTAL", figures.ledgers),
      gauge("bookie_ACTIVE_ENTRY_LOG_TOTAL", figures.entryLogs),
      gauge("bookie_ACTIVE_ENTRY_LOG_SPACE_BYTES", Int(figures.liveEntryLogBytes)),
      counter("bookie_RECLAIMED_COMPACTION_SPACE_BYTES", figures.reclaimedCompactionBytes),
      counter("bookie_RECLAIMED_DELETION_SPACE_BYTES", figures.reclaimedDeletionBytes),
      counter("bookie_MAJOR_COMPACTION_TOTAL", figures.majorCompactions),
      counter("bookie_MINOR_COMPACTION_TOTAL", figures.minorCompactions),
      counter("bookie_DELETED_LEDGER_COUNT", figures.deletedLedgers),
      counter("bookie_RECLAIM_FAILED_TO_DELETE", figures.failedRemovals),
      gauge("bookie_ledger_num_dirs", figures.disks.count),
      gauge("bookie_ledger_writable_dirs", figures.disks.values.count { $0.level < .full }),
      counter("bookie_meridian_failed_flushes", figures.failedFlushes),
      counter("bookie_meridian_damaged_reads", figures.damagedReads),
      counter("bookie_meridian_refused_mass_deletes", figures.refusedMassDeletes),
      counter("bookie_meridian_compacted_bytes", figures.compactedBytes),
      gauge("bookie_meridian_quarantined_entry_logs", figures.quarantinedEntryLogs),
      counter("bookie_meridian_scrubs", figures.scrubs),
      counter("bookie_meridian_scrubbed_entries", figures.scrubbedEntries),
      counter("bookie_meridian_scrubbed_bytes", figures.scrubbedBytes),
      counter("bookie_meridian_scrub_damage", figures.scrubDamage),
      gauge("bookie_meridian_damaged_entries", figures.damagedEntries),
      gauge("bookie_meridian_limbo", figures.isInLimbo ? 1 : 0),
    ]
    samples += latency("bookkeeper_server_ADD_ENTRY", figures.addLatency)
    samples += latency("bookkeeper_server_READ_ENTRY_SCHEDULING_DELAY", figures.readQueueLatency)
    samples += latency("bookie_BOOKIE_READ_ENTRY", figures.readLatency)
    samples += latency("bookie_journal_JOURNAL_SYNC", figures.journalSyncLatency)
    samples += latency("bookie_journal_JOURNAL_QUEUE_LATENCY", figures.journalQueueLatency)
    samples += latency("bookie_readahead_time", figures.readAheadLatency)
    samples += latency("bookie_flush", figures.flushLatency)
    samples += latency("bookie_flush_entrylog", figures.flushEntryLogLatency)
    samples += latency("bookie_flush_locations_index", figures.flushIndexLatency)
    samples += latency("bookie_GC_LEDGER_RUNTIME", figures.collectionLatency)
    for (directory, disk) in figures.disks.sorted(by: { $0.key < $1.key }) {
      let used = disk.totalBytes > 0 ? Double(disk.totalBytes - disk.freeBytes) / Double(disk.totalBytes) : 0
      samples.append(
        MetricSample(
          "bookie_ledger_dir_usage", used * 100, labels: labels + [MetricSample.Label("dir", directory)], kind: .gauge))
    }
    return samples
  }
}
