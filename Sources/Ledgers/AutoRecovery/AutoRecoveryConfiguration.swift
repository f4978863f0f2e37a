/// How auto-recovery works. Names are BookKeeper's where they mean the same.
public struct AutoRecoveryConfiguration: Sendable {
  /// Time between two searches of all ledgers for bookies that are gone; each loss starts one too.
  public var auditorPeriodicBookieCheckInterval = Duration.seconds(86_400)
  /// Time between two checks of what the bookies really hold; zero: never.
  public var auditorPeriodicCheckInterval = Duration.seconds(604_800)
  /// Time between two checks of where copies are; zero: never.
  public var auditorPeriodicPlacementPolicyCheckInterval = Duration.seconds(86_400)
  /// Entries looked at in a check of the contents, in percent of each fragment; the first and the last one always are, and
  /// 16 others. A bookie that lacks one of them is compared entry by entry.
  public var auditorLedgerVerificationPercentage = 0
  /// How long one bookie may be away before its copies are made elsewhere. Two at once are not waited for.
  public var lostBookieRecoveryDelay = Duration.seconds(30)
  /// How long the bookie of a segment that is being written may be missing before the ledger is taken for abandoned, and
  /// recovered. (A live writer replaces the bookie itself, long before.)
  public var openLedgerRereplicationGracePeriod = Duration.seconds(60)
  /// Whether copies that share a failure domain against the placement policy are moved.
  public var repairedPlacementPolicyNotAdheringBookieEnable = true
  /// Entries copied at once.
  public var rereplicationEntryBatchSize = 100
  /// Bytes read and written each second by this process, for repair and for checks; 0: no limit.
  public var replicationRateByBytes = 64 << 20
  /// Ledgers repaired at once.
  public var replicationWorkers = 1
  /// The pause after a ledger that could not be repaired; doubled each time.
  public var rwRereplicateBackoff = Duration.seconds(5)
  /// The longest pause after a ledger that could not be repaired.
  public var lockReleaseOfFailedLedgerGracePeriod = Duration.seconds(300)
  /// How soon the role of the auditor, or a ledger under repair, is free after its process died.
  public var leaseTTL = Duration.seconds(10)
  /// How often is looked for work.
  public var pollInterval = Duration.seconds(1)

  /// The defaults.
  public init() {}
}
