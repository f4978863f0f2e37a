import Logging
import MetadataStore

/// Looks for ledgers in need of repair and marks them, while it is the region's one auditor.
///
/// Elected by a key that lives as long as a lease. Two auditors at once, after a lease that expired unnoticed, do no harm:
/// marks only say what somebody should look at.
struct Auditor {
  let client: LedgerClient
  let metadata: any MetadataStore
  let configuration: AutoRecoveryConfiguration
  let throttle: SharedThrottle
  let statistics: AutoRecoveryCounters
  let name: String
  let logger: Logger

  /// Runs until the task is cancelled.
  func run() async {
    while !Task.isCancelled {
      var lease: MetadataLease?
      do {
        let granted = try await metadata.grantLease(ttl: configuration.leaseTTL)
        lease = granted
        if try await elect(granted) { try await audit(granted) }
      } catch is CancellationError {
      } catch {
        if !Task.isCancelled {
          logger.warning("The audit of ledgers was interrupted; trying again.", metadata: ["error": "\(error)"])
        }
      }
      statistics.add { $0.isAuditor = false }
      try? await lease?.revoke()
      try? await Task.sleep(for: configuration.pollInterval)
    }
  }

  /// Waits until this is the auditor; false if the lease ended before.
  private func elect(_ lease: MetadataLease) async throws -> Bool {
    while !lease.isExpired {
      let key = try await client.marks.acquire(UnderReplicationStore.auditor, holder: name, lease: lease)
      statistics.add { $0.electionAttempts += 1 }
      if key != nil { return true }
      try await Task.sleep(for: configuration.pollInterval)
    }
    return false
  }

  private func audit(_ lease: MetadataLease) async throws {
    statistics.add { $0.isAuditor = true }
    logger.info("This process is the auditor of ledgers.", metadata: ["name": "\(name)"])
    try await client.directory.refresh()
    var schedule = AuditSchedule(
      limits: AuditSchedule.Limits(
        bookieCheckIntervalMs: Self.milliseconds(configuration.auditorPeriodicBookieCheckInterval),
        contentCheckIntervalMs: Self.milliseconds(configuration.auditorPeriodicCheckInterval),
        placementCheckIntervalMs: Self.milliseconds(configuration.auditorPeriodicPlacementPolicyCheckInterval),
        lostBookieDelayMs: Self.milliseconds(configuration.lostBookieRecoveryDelay)),
      times: try await client.marks.auditTimes(), nowMs: UnderReplicationStore.nowMs())
    var times = schedule.times
    var damage: [String: MetadataVersion] = [:]
    var limbo = LimboAudit(client: client, metadata: metadata, statistics: statistics, logger: logger)
    while !lease.isExpired {
      try await Task.sleep(for: configuration.pollInterval)
      defer { statistics.add { $0.auditorRounds += 1 } }
      guard try await client.marks.disabledSinceMs() == nil else { continue }
      let requested = try await client.marks.auditRequest()
      // Bookies that are being emptied count as gone: what they hold has to be elsewhere.
      let registered = client.directory.registered
      let usable = Set(registered.values.lazy.filter { !$0.isDraining }.map(\.id))
      schedule.found(registered.mapValues { $0.networkLocation ?? "" }, nowMs: UnderReplicationStore.nowMs())
      let delayed = schedule.delayed
      let checks = schedule.tick(
        nowMs: UnderReplicationStore.nowMs(), usable: usable, isRequested: requested != nil)
      if schedule.delayed > delayed { statistics.add { $0.bookieAuditsDelayed += 1 } }
      for check in checks { try await run(check, lease) }
      try await collectDamage(&damage)
      try await limbo.look { !lease.isExpired }
      if let requested { try await client.marks.auditDone(requested) }
      if schedule.times != times {
        times = schedule.times
        try await client.marks.setAuditTimes(times)
      }
    }
  }

  private func run(_ check: AuditSchedule.Check, _ lease: MetadataLease) async throws {
    let proceed: @Sendable () async throws -> Void = {
      try Task.checkCancellation()
      guard !lease.isExpired else { throw LedgerError.metadata("the role of the auditor was lost.") }
    }
    switch check {
    case .bookies(let waitingFor):
      try await checkBookies(waitingFor, proceed)
      statistics.add { $0.bookieAudits += 1 }
    case .contents:
      try await checkContents(proceed)
      statistics.add { $0.contentAudits += 1 }
    case .placement:
      try await checkPlacement(proceed)
      statistics.add { $0.placementAudits += 1 }
    }
  }

  // MARK: Checks

  /// Marks what bookies have found out about themselves since `seen`.
  private func collectDamage(_ seen: inout [String: MetadataVersion]) async throws {
    let records = try await metadata.list(prefix: BookieRegistration.damaged)
    for record in records where seen[record.key] != record.version {
      if let (id, copies) = BookieRegistration.parseDamage(record), !copies.isEmpty {
        try await mark(id) { $0.add(suspects: copies) }
      }
    }
    seen = Dictionary(records.map { ($0.key, $0.version) }, uniquingKeysWith: { _, last in last })
  }

  private func checkBookies(_ waitingFor: Set<String>, _ proceed: @Sendable () async throws -> Void) async throws {
    try await client.directory.refresh()
    let registered = client.directory.registered
    guard !registered.isEmpty else { return }
    try await forEachLedger { id, metadata in
      try await proceed()
      let lost = metadata.bookiesInUse.filter { bookie in
        !waitingFor.contains(bookie) && (registered[bookie] == nil || registered[bookie]?.isDraining == true)
      }
      if !lost.isEmpty { try await mark(id) { $0.add(lost: lost, nowMs: UnderReplicationStore.nowMs()) } }
    }
  }

  private func checkContents(_ proceed: @escaping @Sendable () async throws -> Void) async throws {
    let loop = client.group.next()
    let bookies = try client.bookies(on: loop)
    try await forEachLedger { id, metadata in
      try await proceed()
      guard !metadata.fragments.isEmpty else { return }
      let verifier = LedgerVerifier(
        access: ReplicaAccess(id: id, metadata: metadata, bookies: bookies),
        percentage: configuration.auditorLedgerVerificationPercentage,
        maximumEntries: configuration.rereplicationEntryBatchSize, throttle: throttle)
      let found = try await verifier.verify(proceed: proceed)
      if !found.suspects.isEmpty { try await mark(id) { $0.add(suspects: found.suspects) } }
    }
  }

  private func checkPlacement(_ proceed: @Sendable () async throws -> Void) async throws {
    try await client.directory.refresh()
    let registered = client.directory.registered
    let placement = client.configuration.placement
    var violations: Int64 = 0
    try await forEachLedger { id, metadata in
      try await proceed()
      let isViolated = metadata.fragments.contains { fragment in
        placement.adherence(of: fragment.ensemble, writeQuorum: metadata.writeQuorumSize, bookies: registered)
          == .violated
      }
      guard isViolated else { return }
      violations += 1
      guard configuration.repairedPlacementPolicyNotAdheringBookieEnable else { return }
      try await mark(id) { $0.addMisplaced() }
    }
    let count = violations
    statistics.add { $0.ledgersNotAdheringToPlacementPolicy = count }
  }

  private func forEachLedger(_ body: (LedgerID, LedgerMetadata) async throws -> Void) async throws {
    var after: LedgerID?
    while true {
      let page = try await client.store.list(after: after, limit: 500)
      for (id, versioned) in page.ledgers {
        statistics.add { $0.ledgersChecked += 1 }
        switch versioned {
        case .success(let found): try await body(id, found.metadata)
        case .failure(let error):
          logger.error("A ledger's metadata cannot be read.", metadata: ["ledger": "\(id)", "error": "\(error)"])
        }
      }
      guard let next = page.next else { return }
      after = next
    }
  }

  private func mark(_ id: LedgerID, _ change: (inout UnderReplicatedLedger) -> Bool) async throws {
    var isNew = false
    try await client.marks.mark(id) { mark in
      isNew = change(&mark)
    }
    if isNew { statistics.add { $0.underReplicatedLedgersFound += 1 } }
  }

  private static func milliseconds(_ duration: Duration) -> Int64 {
    duration.components.seconds * 1_000 + duration.components.attoseconds / 1_000_000_000_000_000
  }
}
