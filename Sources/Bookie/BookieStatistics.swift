import Transport

/// What a bookie has done since it started, and what it holds now.
public struct BookieStatistics: Sendable, Equatable {
  /// Entries accepted.
  public var adds: Int64 = 0
  /// Bytes of entries accepted.
  public var addedBytes: Int64 = 0
  /// Adds rejected because too many waited for room in the write cache or a journal's queue, or for too long.
  public var rejectedAdds: Int64 = 0
  /// Adds that are not allowed: fenced, wrong key, or the bookie is read-only.
  public var refusedAdds: Int64 = 0
  /// Batches of adds that had to wait for room in the write cache or a journal's queue.
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
  /// Ledgers whose entries were removed because metadata names other bookies for all of them.
  public var overReplicatedLedgers: Int64 = 0
  /// Entry logs removed because nothing in them is alive.
  public var deletedEntryLogs: Int64 = 0
  /// Searches for deleted or over-replicated ledgers that were refused because they would have removed too much.
  public var refusedMassDeletes: Int64 = 0
  /// Ledgers that the last search for deleted ones found, if it was refused; else 0.
  public var refusedLedgers = 0
  /// Ledgers that the last search for over-replicated ones found, if it was refused; else 0.
  public var refusedOverReplicatedLedgers = 0
  /// Whether a part of the journal was lost to damage, so that negative answers are given as "unknown".
  public var isInLimbo = false
  /// Ledgers of which entries may be lost.
  public var ledgersInLimbo = 0

  /// What a bookie accepts.
  public enum Mode: String, Sendable {
    /// Everything.
    case writable
    /// Reads, fences and recovery writes.
    case readOnly = "read-only"
    /// Reads and fences.
    case noWrites = "no-writes"

    init(_ mode: DiskWatch.Mode) {
      switch mode {
      case .writable: self = .writable
      case .readOnly: self = .readOnly
      case .noWrites: self = .noWrites
      }
    }
  }

  /// A directory's file system.
  public struct Disk: Sendable, Equatable {
    /// Bytes in all.
    public var totalBytes: Int64
    /// Bytes that can still be written.
    public var freeBytes: Int64
    /// Against the thresholds.
    public var level: DiskLevel
  }

  /// What is accepted now.
  public var mode = Mode.writable
  /// Each journal and ledger directory, as last looked at.
  public var disks: [String: Disk] = [:]

  /// Adds of recovery among `adds`.
  public var recoveryAdds: Int64 = 0
  /// Entries that a journal refused because its disk is full.
  public var journalRefusedEntries: Int64 = 0
  /// Entries written to a journal.
  public var journalEntries: Int64 = 0
  /// Journal files that were begun.
  public var journalFilesCreated: Int64 = 0
  /// Time that adds waited for the journal's thread.
  public var journalQueueLatency = LatencyHistogram()

  /// Bytes of entries that were flushed.
  public var flushedBytes: Int64 = 0
  /// Time of a flush.
  public var flushLatency = LatencyHistogram()
  /// Time of syncing the entry log in a flush.
  public var flushEntryLogLatency = LatencyHistogram()
  /// Time of writing the index in a flush.
  public var flushIndexLatency = LatencyHistogram()

  /// Time that reads waited for a thread.
  public var readQueueLatency = LatencyHistogram()
  /// Time from a read's arrival at the threads to its answer.
  public var readLatency = LatencyHistogram()
  /// Time of reading from an entry log, read-ahead included.
  public var readAheadLatency = LatencyHistogram()
  /// Entries that were read from entry logs, read-ahead included.
  public var readAheadEntries: Int64 = 0
  /// Bytes of them.
  public var readAheadBytes: Int64 = 0

  /// Time of looking an entry up in the index.
  public var indexReadLatency = LatencyHistogram()

  /// Bytes of the files of entry logs, as last looked at.
  public var entryLogBytes: Int64 = 0
  /// Bytes of the entry logs that are alive.
  public var liveEntryLogBytes: Int64 = 0
  /// Bytes freed by removing logs in which nothing was alive.
  public var reclaimedDeletionBytes: Int64 = 0
  /// Entry logs that could not be removed.
  public var failedRemovals: Int64 = 0
  /// Time of a search for deleted ledgers.
  public var collectionLatency = LatencyHistogram()

  /// Time of a compaction.
  public var compactionLatency = LatencyHistogram()
  /// Minor compactions that were finished.
  public var minorCompactions: Int64 = 0
  /// Major compactions that were finished.
  public var majorCompactions: Int64 = 0
  /// When the last minor compaction ended, in ms since 1970; 0: none has.
  public var lastMinorCompactionMs: Int64 = 0
  /// When the last major compaction ended, in ms since 1970; 0: none has.
  public var lastMajorCompactionMs: Int64 = 0
  /// Bytes that compaction copied.
  public var compactedBytes: Int64 = 0
  /// Bytes freed by compaction.
  public var reclaimedCompactionBytes: Int64 = 0
  /// Entry logs that hold damage, so that compaction left them.
  public var quarantinedEntryLogs = 0

  /// Verifications of every record that were finished.
  public var scrubs: Int64 = 0
  /// Records verified.
  public var scrubbedEntries: Int64 = 0
  /// Bytes verified.
  public var scrubbedBytes: Int64 = 0
  /// Entries found damaged or missing, again and again until they are repaired.
  public var scrubDamage: Int64 = 0
  /// Entries known to be damaged or missing now.
  public var damagedEntries = 0
}
