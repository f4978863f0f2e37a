/// Counts of durations in fixed buckets.
public struct LatencyHistogram: Sendable, Equatable {
  /// Upper bounds of the buckets in microseconds; the last bucket has none.
  public static let boundsInMicroseconds: [Int64] = [
    100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
  ]

  /// Observations per bucket: one more than there are bounds.
  public private(set) var counts = [Int64](repeating: 0, count: LatencyHistogram.boundsInMicroseconds.count + 1)
  /// Sum of all observations in microseconds.
  public private(set) var sumInMicroseconds: Int64 = 0

  /// An empty histogram.
  public init() {}

  /// Number of observations.
  public var count: Int64 { counts.reduce(0, +) }

  /// Counts `times` observations of the same duration.
  public mutating func record(nanoseconds: Int64, times: Int = 1) {
    let value = nanoseconds / 1000
    let bucket = Self.boundsInMicroseconds.firstIndex { value <= $0 } ?? Self.boundsInMicroseconds.count
    counts[bucket] += Int64(times)
    sumInMicroseconds += value * Int64(times)
  }
}

/// What a bookie has done since it started, and what it holds now.
public struct BookieStatistics: Sendable, Equatable {
  /// Entries accepted.
  public var adds: Int64 = 0
  /// Bytes of entries accepted.
  public var addedBytes: Int64 = 0
  /// Adds refused: fenced, wrong key, too many.
  public var rejectedAdds: Int64 = 0
  /// Batches of adds that had to wait for room in the write cache.
  public var throttledAdds: Int64 = 0
  /// Time from the arrival of an add to its sync.
  public var addLatency = LatencyHistogram()
  /// Read requests answered.
  public var reads: Int64 = 0
  /// Bytes of entries returned.
  public var readBytes: Int64 = 0
  /// Reads answered from the write cache.
  public var writeCacheHits: Int64 = 0
  /// Reads answered from the read cache.
  public var readCacheHits: Int64 = 0
  /// Reads that went to an entry log or ended without an entry.
  public var cacheMisses: Int64 = 0
  /// Reads that met damaged data.
  public var damagedReads: Int64 = 0
  /// Ledgers fenced.
  public var fences: Int64 = 0
  /// Syncs of the journal.
  public var journalSyncs: Int64 = 0
  /// Bytes written to the journal, padding included.
  public var journalBytes: Int64 = 0
  /// Time of write and sync of one group.
  public var journalSyncLatency = LatencyHistogram()
  /// Groups waiting for the journal's thread now.
  public var journalQueueLength = 0
  /// Reads waiting for a thread now.
  public var readQueueLength = 0
  /// Bytes in the write cache now.
  public var writeCacheBytes = 0
  /// Entries in the write cache now.
  public var writeCacheEntries = 0
  /// Bytes in the read cache now.
  public var readCacheBytes = 0
  /// Bytes of adds waiting for room now.
  public var waitingBytes = 0
  /// Flushes of the write cache.
  public var flushes: Int64 = 0
  /// Flushes that failed and were tried again.
  public var failedFlushes: Int64 = 0
  /// Ledgers known now.
  public var ledgers = 0
  /// Entry logs on disk now.
  public var entryLogs = 0
  /// Ledgers removed because metadata no longer has them.
  public var deletedLedgers: Int64 = 0
  /// Entry logs removed because nothing in them is alive.
  public var deletedEntryLogs: Int64 = 0
  /// Searches for deleted ledgers that were refused because they would have deleted too much.
  public var refusedMassDeletes: Int64 = 0
  /// Whether a part of the journal was lost to damage, so that negative answers are given as "unknown".
  public var isInLimbo = false
}
