import Logging
import MetadataStore
import NIOConcurrencyHelpers
import NIOCore

/// Brings one ledger back to full replication. Whoever calls holds the ledger's lock; what makes it safe is not the lock
/// but that each change of metadata is conditional, and is made after the copies are durable.
struct LedgerRepairer {
  /// How an attempt ended.
  enum Outcome: Equatable {
    /// Every copy is where it belongs, or there is no such ledger any more.
    case repaired
    /// Nothing more can be done now; why, and how many entries have no copy that could be found.
    case unfinished(String, unrecoverable: Int64)
  }

  let client: LedgerClient
  let configuration: AutoRecoveryConfiguration
  let throttle: SharedThrottle
  let statistics: AutoRecoveryCounters
  let loop: any EventLoop
  let logger: Logger
  private let spares = NIOLockedValueBox(SpareSightings())

  init(
    client: LedgerClient, configuration: AutoRecoveryConfiguration, throttle: SharedThrottle,
    statistics: AutoRecoveryCounters, loop: any EventLoop, logger: Logger
  ) {
    self.client = client
    self.configuration = configuration
    self.throttle = throttle
    self.statistics = statistics
    self.loop = loop
    self.logger = logger
  }

  /// - Parameter proceed: asked between chunks; throws when the lock is lost or auto-recovery is switched off.
  func repair(
    _ mark: UnderReplicatedLedger, proceed: @escaping @Sendable () async throws -> Void
  ) async throws -> Outcome {
    guard var metadata = try await read(mark.ledgerID) else { return .repaired }
    // What can be done is done, whatever else cannot: copies that are there now may be gone at the next attempt.
    var problems: [String] = []
    if let limbo = mark.limbo, metadata.state != .closed,
      metadata.lastSegment.ensemble.contains(where: { limbo[$0] != nil })
    {
      // It has fenced the ledger already. What it should have is known when the others have said where the ledger ends.
      if let problem = try await recover(mark.ledgerID) { problems.append(problem) }
      guard let now = try await read(mark.ledgerID) else { return .repaired }
      metadata = now
    }
    var plan = plan(for: mark, metadata)
    if !plan.lostFromOpenSegment.isEmpty, problems.isEmpty {
      if let reason = try await closeAbandoned(mark, metadata, plan) { problems.append(reason) }
      guard let now = try await read(mark.ledgerID) else { return .repaired }
      metadata = now
      plan = self.plan(for: mark, metadata)
    }
    if plan.waitsForRecovery, isOverdue(mark.sinceMs) {
      if let problem = try await recover(mark.ledgerID) { problems.append(problem) }
      guard let now = try await read(mark.ledgerID) else { return .repaired }
      metadata = now
      plan = self.plan(for: mark, metadata)
    }
    var unrecoverable: Int64 = 0
    func note(_ outcome: ReplicaCopier.Outcome, _ what: String) {
      guard let first = outcome.unrecoverable.first else { return }
      unrecoverable += Int64(outcome.unrecoverable.count)
      statistics.add { $0.entriesUnableToReadForReplication += Int64(outcome.unrecoverable.count) }
      problems.append(
        "\(what): \(outcome.unrecoverable.count) entries from \(first) on have no good copy on any bookie"
          + (outcome.someUnreachable ? " that answers." : "."))
    }
    for replacement in plan.replacements {
      try await proceed()
      switch try await replaceIfPossible(replacement, mark, metadata, proceed) {
      case .failed(let what): problems.append(what)
      case .done(let outcome): note(outcome, "replacing \(replacement.fragment.ensemble[replacement.slot])")
      case .noBookie where replacement.isForPlacement: break
      case .noBookie:
        problems.append("no other bookie is there for \(replacement.fragment.ensemble[replacement.slot]).")
      case .changed: problems.append("the ledger's metadata changed meanwhile.")
      case .doubtful(let target): problems.append("\(target) may have lost what it got and is looked at again.")
      }
    }
    for restoration in plan.restorations {
      try await proceed()
      let bookie = restoration.fragment.ensemble[restoration.slot]
      do {
        let outcome = try await copier(mark.ledgerID, metadata).copy(
          restoration.fragment.entries(of: restoration.slot, from: restoration.first).prefix {
            $0 <= restoration.last
          }, to: bookie, onlyMissing: true, sources: sources(restoration.fragment),
          progress: { _ in try await proceed() })
        note(outcome, "restoring \(bookie)")
      } catch LedgerError.dataUnavailable(let what) {
        problems.append(what)
      }
    }
    if problems.isEmpty, plan.waitsForRecovery { problems.append("the ledger is being recovered.") }
    if problems.isEmpty, !plan.lostFromOpenSegment.isEmpty { problems.append(Self.waitsForWriter(plan)) }
    return problems.isEmpty
      ? .repaired : .unfinished(problems.joined(separator: " "), unrecoverable: unrecoverable)
  }

  // MARK: Planning

  private func read(_ id: LedgerID) async throws -> LedgerMetadata? {
    try await readVersioned(id)?.metadata
  }

  /// Nil if the ledger was deleted.
  private func readVersioned(_ id: LedgerID) async throws -> LedgerMetadataStore.Versioned? {
    do {
      return try await client.store.read(id)
    } catch LedgerError.noSuchLedger {
      return nil
    }
  }

  private func plan(for mark: UnderReplicatedLedger, _ metadata: LedgerMetadata) -> RepairPlan {
    let registered = client.directory.registered
    return RepairPlan(
      metadata: metadata, suspects: mark.suspects(of: metadata),
      misplaced: { fragment in
        mark.isMisplaced && configuration.repairedPlacementPolicyNotAdheringBookieEnable
          ? misplacedSlots(fragment, metadata, registered) : []
      },
      // Who is away for a moment only is not in the mark.
      isLost: { mark.lostBookies.contains($0) && registered[$0]?.isDraining != false })
  }

  /// The place whose bookie is best replaced so that the fragment keeps to the placement policy, if that would help.
  private func misplacedSlots(
    _ fragment: LedgerFragment, _ metadata: LedgerMetadata, _ registered: [String: BookieInfo]
  ) -> [Int] {
    let placement = client.configuration.placement
    let adherence = { (ensemble: [String]) in
      placement.adherence(of: ensemble, writeQuorum: metadata.writeQuorumSize, bookies: registered)
    }
    let now = adherence(fragment.ensemble)
    guard now == .violated else { return [] }
    for slot in fragment.ensemble.indices {
      let (ensemble, slots) = client.selector.replacements(for: [slot], in: fragment.ensemble, of: metadata)
      if !slots.isEmpty, adherence(ensemble) > now { return [slot] }
    }
    return []
  }

  private static func waitsForWriter(_ plan: RepairPlan) -> String {
    "the segment that is being written names \(plan.lostFromOpenSegment.joined(separator: ", ")), "
      + "which its writer or a recovery must replace."
  }

  /// Whether who should have done something since then seems to be dead.
  private func isOverdue(_ sinceMs: Int64) -> Bool {
    RepairPlan.isOverdue(
      since: sinceMs, now: UnderReplicationStore.nowMs(), grace: configuration.openLedgerRereplicationGracePeriod)
  }

  /// Closes a ledger whose writer seems to be dead. Returns why not, if not.
  private func closeAbandoned(
    _ mark: UnderReplicatedLedger, _ metadata: LedgerMetadata, _ plan: RepairPlan
  ) async throws -> String? {
    let since = plan.lostFromOpenSegment.map(mark.lostMs).min() ?? mark.sinceMs
    guard isOverdue(since) else { return Self.waitsForWriter(plan) }
    let slots = metadata.lastSegment.ensemble.indices.filter {
      plan.lostFromOpenSegment.contains(metadata.lastSegment.ensemble[$0])
    }
    let others = client.selector.replacements(for: slots, in: metadata.lastSegment.ensemble, of: metadata)
    let grace = TimeAmount(configuration.openLedgerRereplicationGracePeriod)
    let hasHadTime = spares.withLockedValue {
      $0.note(mark.ledgerID, areThere: !others.slots.isEmpty, now: .now(), grace: grace)
    }
    guard !others.slots.isEmpty else {
      return "no other bookie is there for \(plan.lostFromOpenSegment.joined(separator: ", "))."
    }
    guard hasHadTime else { return Self.waitsForWriter(plan) }
    logger.info(
      "A ledger whose writer does not replace a lost bookie is recovered.",
      metadata: [
        "ledger": "\(mark.ledgerID)", "lost": "\(plan.lostFromOpenSegment.joined(separator: ","))",
      ])
    return try await recover(mark.ledgerID)
  }

  /// Recovers and closes the ledger. Returns why that cannot be done now, if so.
  private func recover(_ id: LedgerID) async throws -> String? {
    do {
      _ = try await client.openLedger(id, on: loop)
      return nil
    } catch let error as LedgerError {
      try Task.checkCancellation()
      return "the ledger cannot be recovered: \(error)"
    }
  }

  // MARK: Copying

  private enum Replaced {
    case done(ReplicaCopier.Outcome)
    case noBookie
    case changed
    /// The target is not surely the bookie that the copies went to.
    case doubtful(String)
    /// A bookie does not do what it should.
    case failed(String)
  }

  /// What changes when a bookie may have lost something, or is not to be used any more.
  private func standing(of bookie: String) async throws -> [MetadataRecord?] {
    var records: [MetadataRecord?] = []
    for prefix in [BookieRegistration.cookies, BookieRegistration.limbo, BookieRegistration.draining] {
      records.append(try await client.marks.store.get(prefix + bookie))
    }
    return records
  }

  /// One target that does not answer is in the way of no other replacement, and is not the next attempt's target.
  private func replaceIfPossible(
    _ replacement: RepairPlan.Replacement, _ mark: UnderReplicatedLedger, _ metadata: LedgerMetadata,
    _ proceed: @escaping @Sendable () async throws -> Void
  ) async throws -> Replaced {
    do {
      return try await replace(replacement, mark, metadata, proceed)
    } catch LedgerError.dataUnavailable(let what) {
      try Task.checkCancellation()
      try await client.marks.mark(mark.ledgerID) { mark in
        guard let progress = mark.progress, progress.segment == replacement.fragment.firstEntry,
          progress.slot == replacement.slot
        else { return }
        mark.progress = nil
      }
      return .failed(what)
    }
  }

  private func replace(
    _ replacement: RepairPlan.Replacement, _ mark: UnderReplicatedLedger, _ metadata: LedgerMetadata,
    _ proceed: @escaping @Sendable () async throws -> Void
  ) async throws -> Replaced {
    let fragment = replacement.fragment
    let slot = replacement.slot
    var target: String?
    if let progress = mark.progress, progress.segment == fragment.firstEntry, progress.slot == slot,
      !fragment.ensemble.contains(progress.target),
      client.directory.available.contains(where: { $0.id == progress.target })
    {
      target = progress.target
    }
    // What it got before may be lost since: all of it is looked at again.
    let isResumed = target != nil
    if target == nil {
      let found = client.selector.replacements(for: [slot], in: fragment.ensemble, of: metadata)
      target = found.slots.isEmpty ? nil : found.ensemble[slot]
    }
    guard let target else { return .noBookie }
    let before = try await standing(of: target)

    var notedAt = NIODeadline.now()
    let outcome = try await copier(mark.ledgerID, metadata).copy(
      fragment.entries(of: slot), to: target, onlyMissing: isResumed, sources: sources(fragment)
    ) { entry in
      try await proceed()
      guard notedAt + .seconds(2) <= .now() else { return }
      notedAt = .now()
      let progress = UnderReplicatedLedger.Progress(
        segment: fragment.firstEntry, slot: slot, target: target, through: entry)
      try await client.marks.mark(mark.ledgerID) { $0.progress = progress }
    }
    // The bookie that is gone may come back with the only copy: it stays named as long as anything is missing.
    guard outcome.unrecoverable.isEmpty else { return .done(outcome) }
    try await proceed()
    guard try await standing(of: target) == before else { return .doubtful(target) }
    guard try await name(target, in: fragment, slot, of: mark.ledgerID) else { return .changed }
    logger.info(
      "A bookie was replaced in a segment.",
      metadata: [
        "ledger": "\(mark.ledgerID)", "segment": "\(fragment.firstEntry)", "from": "\(fragment.ensemble[slot])",
        "to": "\(target)", "entries": "\(outcome.copied)",
      ])
    return .done(outcome)
  }

  private func copier(_ id: LedgerID, _ metadata: LedgerMetadata) throws -> ReplicaCopier {
    let statistics = statistics
    return ReplicaCopier(
      access: ReplicaAccess(id: id, metadata: metadata, bookies: try client.bookies(on: loop)),
      maximumEntries: configuration.rereplicationEntryBatchSize, throttle: throttle
    ) { read, written, entries in
      statistics.add {
        $0.bytesRead += Int64(read)
        $0.bytesWritten += Int64(written)
        $0.entriesWritten += Int64(entries)
      }
    }
  }

  /// The bookies to ask for an entry: those that are there to stay before those that are to be emptied.
  private func sources(_ fragment: LedgerFragment) -> (EntryID) -> [String] {
    let registered = client.directory.registered
    let suspects = client.directory.suspects
    return { entry in
      let holders = fragment.holders(of: entry)
      let first = holders.filter { registered[$0]?.isDraining == false && !suspects.contains($0) }
      return first + holders.filter { !first.contains($0) }
    }
  }

  /// Names the bookie in the segment in place of the old one; false if the segment is not what it was.
  private func name(
    _ target: String, in fragment: LedgerFragment, _ slot: Int, of id: LedgerID
  ) async throws -> Bool {
    while true {
      guard var versioned = try await readVersioned(id) else { return true }
      guard versioned.metadata.replaceMember(of: fragment, slot: slot, with: target) else { return false }
      if try await client.store.write(id, versioned.metadata, over: versioned.version) != nil { return true }
      try Task.checkCancellation()
    }
  }
}

extension LedgerMetadata {
  /// Names `target` in place `slot` of the segment that `fragment` was taken from. False, and nothing changed, if the
  /// segment is not what it was then, or may still be written to.
  mutating func replaceMember(of fragment: LedgerFragment, slot: Int, with target: String) -> Bool {
    guard let now = fragments.first(where: { $0.firstEntry == fragment.firstEntry }),
      let index = segments.firstIndex(where: { $0.firstEntry == fragment.firstEntry }),
      now.ensemble == fragment.ensemble, now.lastEntry == fragment.lastEntry, !now.ensemble.contains(target),
      now.ensemble.indices.contains(slot)
    else { return false }
    segments[index].ensemble[slot] = target
    return true
  }
}
