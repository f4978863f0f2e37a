import NIOConcurrencyHelpers

/// What this process's auto-recovery has done since it started. Names are those of BookKeeper's metrics, where they mean the
/// same.
public struct AutoRecoveryStatistics: Codable, Equatable, Sendable {
  /// Whether this process is the region's auditor.
  public var isAuditor = false
  /// Times that this process tried to become the auditor (`auditor_election_attempts`).
  public var electionAttempts: Int64 = 0
  /// Times that the auditor looked for something to do, and times that it did not since auto-recovery is switched off.
  public var auditorRounds: Int64 = 0
  /// Times that a worker looked for a ledger to repair, and times that it did not since auto-recovery is switched off.
  public var workerRounds: Int64 = 0
  /// Ledgers that the auditor looked at (`auditor_NUM_LEDGERS_CHECKED`).
  public var ledgersChecked: Int64 = 0
  /// Searches for bookies that are gone which were completed (`auditor_AUDIT_BOOKIES_TIME`, its count).
  public var bookieAudits: Int64 = 0
  /// Checks of all contents that were completed (`auditor_CHECK_ALL_LEDGERS_TIME`, its count).
  public var contentAudits: Int64 = 0
  /// Checks of all placements that were completed.
  public var placementAudits: Int64 = 0
  /// Losses of a bookie that were waited for (`auditor_NUM_BOOKIE_AUDITS_DELAYED`).
  public var bookieAuditsDelayed: Int64 = 0
  /// Ledgers found in need of repair (`auditor_NUM_UNDER_REPLICATED_LEDGERS`).
  public var underReplicatedLedgersFound: Int64 = 0
  /// Ledgers found to be placed against the policy, in the last check
  /// (`auditor_NUM_LEDGERS_NOT_ADHERING_TO_PLACEMENT_POLICY`).
  public var ledgersNotAdheringToPlacementPolicy: Int64 = 0
  /// Bookies that may have lost entries, and of which every ledger was compared and repaired.
  public var limboBookiesRepaired: Int64 = 0
  /// Ledgers repaired (`replication_worker_rereplicate`, its successes).
  public var ledgersRepaired: Int64 = 0
  /// Attempts to repair a ledger that did not succeed.
  public var repairsUnfinished: Int64 = 0
  /// Bytes read to make or check copies (`replication_worker_NUM_BYTES_READ`).
  public var bytesRead: Int64 = 0
  /// Bytes of copies made (`replication_worker_NUM_BYTES_WRITTEN`).
  public var bytesWritten: Int64 = 0
  /// Copies made (`replication_worker_NUM_ENTRIES_WRITTEN`).
  public var entriesWritten: Int64 = 0
  /// Entries that could not be copied since no copy was found
  /// (`replication_worker_NUM_ENTRIES_UNABLE_TO_READ_FOR_REPLICATION`).
  public var entriesUnableToReadForReplication: Int64 = 0

  /// Nothing done.
  public init() {}
}

/// The figures of one process, counted by all parts of its auto-recovery.
final class AutoRecoveryCounters: Sendable {
  private let value = NIOLockedValueBox(AutoRecoveryStatistics())

  func add(_ change: (inout AutoRecoveryStatistics) -> Void) {
    value.withLockedValue { change(&$0) }
  }

  var snapshot: AutoRecoveryStatistics { value.withLockedValue { $0 } }
}
