import Transport

/// How a bookie is set up. Names in parentheses are BookKeeper's.
public struct BookieConfiguration: Sendable {
  /// The name under which ledgers know this bookie. Never give one bookie's name to another's data.
  public var bookieID: String
  /// The address to listen on and to advertise.
  public var host: String
  /// The port to listen on; 0 picks a free one. (`bookiePort`)
  public var port: Int
  /// Where the journals are, one in each; best on devices of their own. A ledger's entries go to one of them by its number.
  /// Their number and order must stay what they were when the bookie was made. (`journalDirectories`)
  public var journalDirectories: [String]
  /// The failure domain that is advertised, as a path such as `/zone-a/rack-3`; nil: none. (`networkTopologyScript` gives it
  /// in BookKeeper)
  public var networkLocation: String?
  /// Where the entry logs are; the first one also holds the index. (`ledgerDirectories`)
  public var ledgerDirectories: [String]

  /// Largest frame accepted, in bytes. (`nettyMaxFrameSizeBytes`)
  public var maximumFrameSize = 5 * 1024 * 1024 + 10 * 1024

  /// The certificate chain of the port (PEM), which clients may then ask for TLS; nil: there is none. (`tlsCertificatePath`)
  public var tlsCertificatePath: String?
  /// The private key of that certificate (PEM). (`tlsKeyStore`)
  public var tlsKeyPath: String?
  /// The certificates that those of clients, and of other bookies, must be issued by (PEM). (`tlsTrustStore`)
  public var tlsTrustPath: String?
  /// Whether a client must show a certificate: then nothing but TLS is served. (`tlsClientAuthentication`)
  public var tlsClientAuthentication = false

  /// How long the first entry of a group waits for others, at most. (`journalMaxGroupWaitMSec`)
  public var journalMaxGroupWait = Duration.milliseconds(1)
  /// Bytes after which a group is written without waiting. (`journalBufferedWritesThreshold`)
  public var journalMaxGroupBytes = 1024 * 1024
  /// Whether a group is written at once when the journal is idle and not busy. (`journalFlushWhenQueueEmpty`)
  public var journalFlushWhenIdle = true
  /// A group of at least so many entries makes the journal busy: the next one is collected for `journalMaxGroupWait`
  /// instead of being written at once, which saves a sync for a little latency.
  public var journalBusyGroupEntries = 64
  /// How long a journal is idle before a record without content follows the last one, by which the last one can be told from
  /// one that was never synced whatever the disk does to it later. Zero: none, except when the bookie is stopped.
  public var journalMarkerDelay = Duration.milliseconds(100)
  /// Bytes after which a new journal file begins. (`journalMaxSizeMB`)
  public var journalMaxFileSize = 128 * 1024 * 1024
  /// Bytes by which a new journal file grows. (`journalPreAllocSizeMB`)
  public var journalPreallocation = 4 * 1024 * 1024
  /// Bytes that may wait for a journal's disk, or be on their way to it; with more, adds wait as for room in the write cache. It
  /// bounds how long a fence waits behind adds. (`journalMaxMemorySizeMb`)
  public var journalMaxMemory = 64 * 1024 * 1024
  /// Whether the journal is written past the page cache where the file system can.
  public var journalDirectIO = true

  /// Bytes of entries held in memory until they are in an entry log, over both halves. (`dbStorage_writeCacheMaxSizeMb`)
  public var writeCacheSize = 64 * 1024 * 1024
  /// Bytes of entries that may wait for room, in the write cache or in a journal's queue; beyond them adds are answered "too many
  /// requests".
  public var maximumWaitingBytes = 64 * 1024 * 1024
  /// How long adds wait for such room before they are answered "too many requests".
  /// (`dbStorage_maxThrottleTimeMs`)
  public var maximumThrottleTime = Duration.seconds(10)
  /// Longest time between two checkpoints of a bookie that is written to. (`flushInterval`)
  public var flushInterval = Duration.seconds(10)
  /// Failed flushes in a row after which the bookie stops, other than for want of space.
  public var maximumFlushFailures = 10

  /// Bytes of entries kept after a read from an entry log. (`dbStorage_readAheadCacheMaxSizeMb`)
  public var readCacheSize = 32 * 1024 * 1024
  /// Bytes read ahead behind an entry that was read from an entry log.
  public var readAheadBytes = 512 * 1024
  /// The share of the time that reads of old entries may keep the disk busy while entries are added, above 0 and at most 1.
  public var readShareBesideAdds = 0.25
  /// Threads for reads from disk. (`numReadWorkerThreads`)
  public var readThreads = 2
  /// Reads waiting for a thread, at most; further ones are answered "too many requests".
  /// (`maxPendingReadRequestsPerThread`)
  public var maximumPendingReads = 5000
  /// Reads of one connection that may be under way, counting a batch read as 32; it is not read from beyond them.
  /// (`maxReadsInProgressLimit`)
  public var maximumReadsPerConnection = 256
  /// Most bytes of one batch read's answer. (`maxBatchReadSize`)
  public var maximumBatchReadSize = 5 * 1024 * 1024

  /// Bytes after which a new entry log begins. (`logSizeLimit`)
  public var entryLogSizeLimit = 1024 * 1024 * 1024

  /// Time between two searches for deleted ledgers. (`gcWaitTime`)
  public var garbageCollectionInterval = Duration.seconds(600)
  /// A search that finds more than this share of the bookie's ledgers deleted, and at least
  /// `garbageCollectionMassDeleteMinimum` of them, deletes nothing and is raised; so is one that finds so many of them elsewhere.
  public var garbageCollectionMassDeleteShare = 0.5
  /// See `garbageCollectionMassDeleteShare`.
  public var garbageCollectionMassDeleteMinimum = 100

  /// Time between two searches for closed ledgers that are stored here although metadata names other bookies for all of their
  /// entries; zero: none. (`gcOverreplicatedLedgerWaitTime`)
  public var overReplicatedLedgerInterval = Duration.seconds(86_400)

  /// How long a deleted ledger is remembered, so that a late write does not bring it back.
  public var deletedLedgerMemory = Duration.seconds(7 * 24 * 3600)

  /// Entry logs of which a smaller share is alive are compacted by minor compaction; 0 turns it off.
  /// (`minorCompactionThreshold`)
  public var minorCompactionThreshold = 0.2
  /// Time between two minor compactions; zero turns it off. (`minorCompactionInterval`)
  public var minorCompactionInterval = Duration.seconds(3600)
  /// As `minorCompactionThreshold`, for major compaction. (`majorCompactionThreshold`)
  public var majorCompactionThreshold = 0.5
  /// Time between two major compactions; zero turns it off. (`majorCompactionInterval`)
  public var majorCompactionInterval = Duration.seconds(86_400)
  /// Bytes that compaction copies in a second, at most. (`compactionRateByBytes`)
  public var compactionRateByBytes = 16 * 1024 * 1024
  /// Whether compaction goes on while a disk is full, at the risk of filling it up. (`isForceGCAllowWhenNoSpace`)
  public var forceCompactionWhenFull = false

  /// Share of a directory's file system in use at which an operator is warned. (`diskUsageWarnThreshold`)
  public var diskUsageWarnThreshold = 0.90
  /// Share at which the bookie becomes read-only. (`diskUsageThreshold`)
  public var diskUsageThreshold = 0.95
  /// Share below which it becomes writable again. (`diskUsageLwmThreshold`)
  public var diskUsageLowWaterMark = 0.93
  /// Share at which recovery writes are refused as well.
  public var diskUsageHardThreshold = 0.98
  /// Time between two looks at the disks. (`diskCheckInterval`)
  public var diskCheckInterval = Duration.seconds(10)
  /// Whether one full ledger directory makes the bookie read-only, or only all of them. (`readOnlyModeOnAnyDiskFullEnabled`)
  public var readOnlyModeOnAnyDiskFull = true

  /// Time between the beginnings of two verifications of every record; zero turns them off.
  public var scrubInterval = Duration.seconds(7 * 24 * 3600)
  /// Bytes that are verified in a second, at most.
  public var scrubRateByBytes = 8 * 1024 * 1024
  /// Called with entries that were found damaged or missing, once for each until it was added again.
  public var onDamage: (@Sendable (DamagedEntries) -> Void)?

  /// Time after which a dead bookie disappears from the list of available ones.
  public var registrationTTL = Duration.seconds(10)

  /// What to do when acknowledged data can no longer be made durable. The default logs the sentence and ends the process:
  /// after a failed sync nothing that the kernel says about the file can be believed.
  public var failureAction: (@Sendable (String) -> Void)?

  /// Disks, clocks, chance and threads.
  package var environment = StorageEnvironment.real

  /// Faults for tests and measurements.
  package var faults = BookieFaults()

  /// What TLS on the port is made with; nil: there is none.
  var tls: TLSConfiguration? {
    guard tlsCertificatePath != nil || tlsClientAuthentication else { return nil }
    return TLSConfiguration(
      certificateChainFile: tlsCertificatePath, privateKeyFile: tlsKeyPath, trustRootsFile: tlsTrustPath,
      clientAuth: tlsClientAuthentication ? .required : .none)
  }

  var diskThresholds: DiskWatch.Thresholds {
    DiskWatch.Thresholds(
      warn: diskUsageWarnThreshold, full: diskUsageThreshold, lowWater: diskUsageLowWaterMark,
      hard: diskUsageHardThreshold)
  }

  /// The first journal directory.
  public var journalDirectory: String { journalDirectories.first ?? "" }

  /// A bookie with its data below `directory`: `journal` and `ledgers`.
  public init(bookieID: String, host: String = "127.0.0.1", port: Int = 0, directory: String) {
    self.init(
      bookieID: bookieID, host: host, port: port, journalDirectories: [directory + "/journal"],
      ledgerDirectories: [directory + "/ledgers"])
  }

  /// A bookie with the given directories.
  public init(
    bookieID: String, host: String = "127.0.0.1", port: Int = 0, journalDirectories: [String],
    ledgerDirectories: [String]
  ) {
    self.bookieID = bookieID
    self.host = host
    self.port = port
    self.journalDirectories = journalDirectories
    self.ledgerDirectories = ledgerDirectories
  }
}

/// Places where a test or a measurement can make a disk fail or stall.
package struct BookieFaults: Sendable {
  /// Called in place of nothing before each sync of the journal; throwing is a failed sync.
  package var beforeJournalSync: (@Sendable () throws(BookieError) -> Void)?
  /// Called before each flush of the write cache; throwing is a failed flush.
  package var beforeFlush: (@Sendable () throws(BookieError) -> Void)?
}
