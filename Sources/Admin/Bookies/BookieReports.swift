import Bookie
import Foundation

/// What a bookie says of itself at `…/bookie/details`.
struct BookieReport: Encodable {
  var bookieId: String
  var host: String
  var port: Int
  /// `writable`, `read-only` or `no-writes`.
  var mode: String
  /// Whether an operator made it read-only.
  var readOnlyForced: Bool
  var inLimbo: Bool
  var ledgers: Int
  var entryLogs: Int
  var liveEntryLogBytes: Int64
  var writeCacheEntries: Int
  var writeCacheBytes: Int
  var readCacheBytes: Int
  var addedEntries: Int64
  var addedBytes: Int64
  var readEntries: Int64
  var readBytes: Int64
  var damagedEntries: Int
  var quarantinedEntryLogs: Int
  var reclaimedDeletionBytes: Int64
  var compactedBytes: Int64
  var reclaimedCompactionBytes: Int64
  var failedFlushes: Int64
  var refusedMassDeletes: Int64
  /// Ledgers that the last search found, if it was refused.
  var refusedLedgers: Int
  var refusedOverReplicatedLedgers: Int
  var overReplicatedLedgers: Int64
  var ledgersInLimbo: Int
  /// `minor` or `major`, while one runs.
  var runningCompaction: String?
  var suspendedCompactions: [String]

  init(_ bookie: Bookie) {
    let figures = bookie.statistics()
    bookieId = bookie.bookieID
    host = bookie.host
    port = bookie.port
    mode = bookie.mode.rawValue
    readOnlyForced = bookie.isForcedReadOnly
    inLimbo = figures.isInLimbo
    ledgers = figures.ledgers
    entryLogs = figures.entryLogs
    liveEntryLogBytes = figures.liveEntryLogBytes
    writeCacheEntries = figures.writeCacheEntries
    writeCacheBytes = figures.writeCacheBytes
    readCacheBytes = figures.readCacheBytes
    addedEntries = figures.adds
    addedBytes = figures.addedBytes
    readEntries = figures.reads
    readBytes = figures.readBytes
    damagedEntries = figures.damagedEntries
    quarantinedEntryLogs = figures.quarantinedEntryLogs
    reclaimedDeletionBytes = figures.reclaimedDeletionBytes
    compactedBytes = figures.compactedBytes
    reclaimedCompactionBytes = figures.reclaimedCompactionBytes
    failedFlushes = figures.failedFlushes
    refusedMassDeletes = figures.refusedMassDeletes
    refusedLedgers = figures.refusedLedgers
    refusedOverReplicatedLedgers = figures.refusedOverReplicatedLedgers
    overReplicatedLedgers = figures.overReplicatedLedgers
    ledgersInLimbo = figures.ledgersInLimbo
    runningCompaction = bookie.runningCompaction?.rawValue
    suspendedCompactions = bookie.suspendedCompactions.map(\.rawValue).sorted()
  }
}

/// The space of a bookie's ledger directories; two of them on one file system count once.
struct BookieSpace: Encodable {
  var freeSpace: Int64 = 0
  var totalSpace: Int64 = 0

  init(_ disks: [String: BookieStatistics.Disk]) {
    var seen: Set<Int> = []
    for (directory, disk) in disks {
      let attributes = try? FileManager.default.attributesOfFileSystem(forPath: directory)
      if let number = attributes?[.systemNumber] as? NSNumber, !seen.insert(number.intValue).inserted { continue }
      freeSpace += disk.freeBytes
      totalSpace += disk.totalBytes
    }
  }
}

/// A directory of a bookie.
struct BookieDisk: Encodable {
  var directory: String
  /// `journal` or `ledgers`.
  var use: String
  var totalBytes: Int64
  var freeBytes: Int64
  /// Share in use, 0 to 1.
  var usage: Double
  /// `ok`, `warn`, `full` (read-only) or `hard` (no writes at all).
  var level: String

  static func all(of bookie: Bookie, _ disks: [String: BookieStatistics.Disk]) -> [BookieDisk] {
    let journals = Set(bookie.lastLogMarks.keys)
    return disks.sorted { $0.key < $1.key }.map { directory, disk in
      BookieDisk(
        directory: directory, use: journals.contains(directory) ? "journal" : "ledgers", totalBytes: disk.totalBytes,
        freeBytes: disk.freeBytes,
        usage: disk.totalBytes > 0 ? Double(disk.totalBytes - disk.freeBytes) / Double(disk.totalBytes) : 0,
        level: "\(disk.level)")
    }
  }
}

/// A ledger as one bookie has it.
struct BookieLedgerReport: Encodable {
  var ledgerId: Int64
  var lastEntry: Int64
  var fenced: Bool
  var inLimbo: Bool

  init(_ ledger: BookieLedger) {
    ledgerId = ledger.ledgerID
    lastEntry = ledger.lastEntry
    fenced = ledger.isFenced
    inLimbo = ledger.isInLimbo
  }
}

/// A page of a bookie's ledgers, by rising id.
struct BookieLedgerPage: Encodable {
  var ledgers: [BookieLedgerReport]
  /// Where the next page begins: pass it as `after`.
  var next: Int64?
  /// Ledgers on the bookie.
  var total: Int
}

/// The entries of a ledger that one bookie has.
struct BookieLedgerEntries: Encodable {
  struct Range: Encodable {
    var first: Int64
    var last: Int64
  }

  var ledger: BookieLedgerReport
  var entries: [Range]
}

/// Entries that a bookie cannot read.
struct DamageReport: Encodable {
  var ledgerId: Int64
  var entries: [Int64]
}

/// Ledgers of which a bookie may have lost entries.
struct LimboReport: Encodable {
  var inLimbo: Bool
  var ledgers: [Int64]
}
