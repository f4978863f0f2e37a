import Ledgers

/// How a topic's log stores, keeps and caches entries. The defaults are Pulsar's.
public struct TopicLogConfiguration: Sendable {
  /// Copies and placement of the topic's ledgers (`managedLedgerDefaultEnsembleSize`, `…WriteQuorum`, `…AckQuorum`).
  public var ledgerOptions = LedgerOptions()
  /// Copies and placement of the ledgers that hold cursors' states.
  public var cursorLedgerOptions = LedgerOptions()

  /// Entries after which a ledger is rolled over (`managedLedgerMaxEntriesPerLedger`).
  public var maxEntriesPerLedger: Int64 = 50_000
  /// Bytes after which a ledger is rolled over (`managedLedgerMaxSizePerLedgerMbytes`).
  public var maxSizePerLedger: Int64 = 2048 * 1024 * 1024
  /// A ledger younger than this is not rolled over for its size (`managedLedgerMinLedgerRolloverTimeMinutes`).
  public var minimumRolloverTime: Duration = .seconds(600)
  /// A ledger older than this is rolled over if it has entries (`managedLedgerMaxLedgerRolloverTimeMinutes`).
  public var maximumRolloverTime: Duration = .seconds(240 * 60)

  /// How long entries that every cursor passed are kept; nil keeps them forever (`defaultRetentionTimeInMinutes`).
  public var retentionTime: Duration? = .zero
  /// How many bytes that every cursor passed are kept; nil has no limit (`defaultRetentionSizeInMB`).
  ///
  /// An entry is trimmed once it is beyond either limit. With both zero it is trimmed as soon as it is acknowledged.
  public var retentionSize: Int64? = 0

  /// A changed mark-delete position is saved at most this late (the inverse of `managedLedgerDefaultMarkDeleteRateLimit`
  /// = 1 per second). After a crash at most this much is delivered again.
  public var markDeleteInterval: Duration = .seconds(1)
  /// Individually acknowledged ranges saved per cursor (`managedLedgerMaxUnackedRangesToPersist`); entries acknowledged
  /// in the ranges beyond are delivered again after a crash.
  public var maxUnackedRangesToPersist = 10_000
  /// Partly acknowledged batches saved per cursor (`managedLedgerMaxBatchDeletedIndexToPersist`).
  public var maxBatchDeletedIndexToPersist = 10_000
  /// Records after which a cursor ledger is replaced (`managedLedgerCursorMaxEntriesPerLedger`).
  public var cursorMaxEntriesPerLedger: Int64 = 50_000
  /// Age at which a cursor ledger is replaced (`managedLedgerCursorRolloverTimeInSeconds`).
  public var cursorRolloverTime: Duration = .seconds(14_400)

  /// Age at which an entry leaves the tail cache (`managedLedgerCacheEvictionTimeThresholdMillis`).
  public var cacheEvictionTime: Duration = .seconds(1)
  /// Entries that a cold read asks for at least, as long as they fit `readAheadBytes`.
  public var readAheadEntries = 256
  /// Bytes that a cold read fetches at most beyond what was asked for.
  public var readAheadBytes = 1024 * 1024

  /// How often a failed ledger is closed or replaced before its appends fail.
  public var ledgerReplacementAttempts = 6
  /// Pause before the second attempt; doubles with each further one.
  public var ledgerReplacementBackoff: Duration = .milliseconds(100)
  /// How long `close` waits for appends on their way.
  public var closeTimeout: Duration = .seconds(3)

  /// How often a log looks for ledgers that are too old to be written to, or to be kept.
  public var maintenanceInterval: Duration = .seconds(60)

  /// The defaults.
  public init() {}

  var rollover: RolloverRules {
    RolloverRules(
      maxEntries: max(1, maxEntriesPerLedger), maxSize: max(1, maxSizePerLedger),
      minimumAgeMs: minimumRolloverTime.milliseconds, maximumAgeMs: max(1, maximumRolloverTime.milliseconds))
  }

  var retention: RetentionRules {
    RetentionRules(timeMs: retentionTime?.milliseconds, size: retentionSize)
  }
}

extension Duration {
  var milliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}
