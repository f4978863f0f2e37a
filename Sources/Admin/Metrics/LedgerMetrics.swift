import Ledgers

extension MetricsBuilder {
  /// Adds the figures of a process's client of ledgers.
  mutating func add(_ client: LedgerClientStatistics) {
    for (name, operation) in [
      ("LEDGER_CREATE", client.creations), ("LEDGER_OPEN", client.openings), ("LEDGER_RECOVER", client.recoveries),
      ("LEDGER_DELETE", client.deletions), ("ADD_ENTRY", client.adds), ("READ_ENTRY", client.reads),
    ] {
      latency("bookkeeper_client_\(name)", operation.latency, failures: operation.failures)
    }
    counter("bookkeeper_client_NUM_ENSEMBLE_CHANGE", client.ensembleChanges)
    counter("bookkeeper_client_SPECULATIVE_READ_COUNT", client.speculativeReads)
    counter("bookkeeper_client_READ_ENTRY_DM", client.damagedAnswers)
    counter("bookie_watcher_BOOKIE_QUARANTINE", client.quarantines)
    gauge("bookie_watcher_meridian_quarantined_bookies", client.quarantinedBookies)
  }

  /// Adds the figures of a process's auto-recovery.
  mutating func add(_ figures: AutoRecoveryStatistics) {
    gauge("auditor_meridian_is_auditor", figures.isAuditor ? 1 : 0)
    counter("auditor_NUM_UNDER_REPLICATED_LEDGERS", figures.underReplicatedLedgersFound)
    counter("auditor_NUM_LEDGERS_CHECKED", figures.ledgersChecked)
    counter("auditor_NUM_BOOKIE_AUDITS_DELAYED", figures.bookieAuditsDelayed)
    gauge("auditor_NUM_LEDGERS_NOT_ADHERING_TO_PLACEMENT_POLICY", figures.ledgersNotAdheringToPlacementPolicy)
    let good = [Label("success", "true")]
    totals("auditor_AUDIT_BOOKIES_TIME", sum: nil, count: figures.bookieAudits, good)
    totals("auditor_CHECK_ALL_LEDGERS_TIME", sum: nil, count: figures.contentAudits, good)
    totals("auditor_PLACEMENT_POLICY_CHECK_TIME", sum: nil, count: figures.placementAudits, good)
    totals("replication_worker_rereplicate", sum: nil, count: figures.ledgersRepaired, good)
    totals(
      "replication_worker_rereplicate", sum: nil, count: figures.repairsUnfinished, [Label("success", "false")])
    counter("replication_worker_NUM_BYTES_READ", figures.bytesRead)
    counter("replication_worker_NUM_BYTES_WRITTEN", figures.bytesWritten)
    counter("replication_worker_NUM_ENTRIES_WRITTEN", figures.entriesWritten)
    counter(
      "replication_worker_NUM_ENTRIES_UNABLE_TO_READ_FOR_REPLICATION", figures.entriesUnableToReadForReplication)
  }
}
