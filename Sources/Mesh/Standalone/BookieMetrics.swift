import Admin
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
    return [
      gauge("bookie_SERVER_STATUS", 1),
      counter("bookkeeper_server_ADD_ENTRY_count", figures.adds),
      counter("bookkeeper_server_ADD_ENTRY_REJECTED", figures.rejectedAdds),
      counter("bookkeeper_server_READ_ENTRY_count", figures.reads),
      counter("bookie_WRITE_BYTES", figures.addedBytes),
      counter("bookie_READ_BYTES", figures.readBytes),
      counter("bookie_journal_JOURNAL_SYNC_count", figures.journalSyncs),
      counter("bookie_journal_JOURNAL_SYNC_us_sum", figures.journalSyncLatency.sumInMicroseconds),
      counter("bookie_journal_JOURNAL_WRITE_BYTES", figures.journalBytes),
      gauge("bookie_journal_JOURNAL_QUEUE_SIZE", figures.journalQueueLength),
      gauge("bookie_write_cache_size", figures.writeCacheBytes),
      gauge("bookie_write_cache_count", figures.writeCacheEntries),
      gauge("bookie_read_cache_size", figures.readCacheBytes),
      counter("bookie_write_cache_hits", figures.writeCacheHits),
      counter("bookie_read_cache_hits", figures.readCacheHits),
      counter("bookie_read_cache_misses", figures.cacheMisses),
      counter("bookie_flush", figures.flushes),
      counter("bookie_throttled_write_requests", figures.throttledAdds),
      gauge("bookie_ledgers_count", figures.ledgers),
      gauge("bookie_ACTIVE_ENTRY_LOG_TOTAL", figures.entryLogs),
      counter("bookie_DELETED_LEDGER_COUNT", figures.deletedLedgers),
      counter("bookie_meridian_damaged_reads", figures.damagedReads),
      counter("bookie_meridian_refused_mass_deletes", figures.refusedMassDeletes),
    ]
  }
}
