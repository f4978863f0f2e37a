import Logging
import MetadataStore
import NIOCore

/// Takes marked ledgers, one at a time, and has them repaired. Any number of workers may run anywhere: each ledger has a lock.
struct ReplicationWorker {
  let repairer: LedgerRepairer
  let metadata: any MetadataStore
  let name: String
  private let configuration: AutoRecoveryConfiguration
  private let marks: UnderReplicationStore
  private let logger: Logger

  init(repairer: LedgerRepairer, metadata: any MetadataStore, name: String) {
    self.repairer = repairer
    self.metadata = metadata
    self.name = name
    configuration = repairer.configuration
    marks = repairer.client.marks
    logger = repairer.logger
  }

  /// Works until the task is cancelled.
  func run() async {
    var lease: MetadataLease?
    var after: LedgerID?
    while !Task.isCancelled {
      do {
        try await Task.sleep(for: configuration.pollInterval)
        defer { repairer.statistics.add { $0.workerRounds += 1 } }
        guard try await marks.disabledSinceMs() == nil else { continue }
        if after == nil { try await repairer.client.directory.refresh() }
        let page = try await marks.list(after: after, limit: 500)
        after = page.count < 500 ? nil : page.last?.ledger.ledgerID
        let now = UnderReplicationStore.nowMs()
        for mark in page.shuffled() where isDue(mark.ledger, now) {
          if lease?.isExpired != false { lease = try await metadata.grantLease(ttl: configuration.leaseTTL) }
          if let lease { try await work(on: mark.ledger.ledgerID, lease) }
        }
      } catch is CancellationError {
        break
      } catch {
        if Task.isCancelled { break }
        logger.warning("The repair of ledgers was interrupted; trying again.", metadata: ["error": "\(error)"])
      }
    }
    try? await lease?.revoke()
  }

  /// An attempt that is further away than any pause was put off by another clock.
  private func isDue(_ mark: UnderReplicatedLedger, _ nowMs: Int64) -> Bool {
    mark.nextAttemptMs <= nowMs || mark.nextAttemptMs - nowMs > pause(after: Int.max)
  }

  private func work(on id: LedgerID, _ lease: MetadataLease) async throws {
    let lock = UnderReplicationStore.locks + "\(id)"
    guard let version = try await marks.acquire(lock, holder: name, lease: lease) else { return }
    do {
      // It may have been repaired between the listing and the lock.
      if let mark = try await marks.read(id) { try await repair(mark.ledger, lease) }
    } catch {
      try? await marks.release(lock, version)
      throw error
    }
    try await marks.release(lock, version)
  }

  private func repair(_ mark: UnderReplicatedLedger, _ lease: MetadataLease) async throws {
    if mark.isUnreadable == true {
      logger.warning(
        "What is known of a ledger's copies cannot be read; all are looked at.",
        metadata: ["ledger": "\(mark.ledgerID)"])
    }
    let marks = marks
    let outcome: LedgerRepairer.Outcome
    do {
      outcome = try await repairer.repair(mark) {
        try Task.checkCancellation()
        guard !lease.isExpired else { throw LedgerError.metadata("the lock on ledger \(mark.ledgerID) was lost.") }
        guard try await marks.disabledSinceMs() == nil else { throw LedgerError.timeout("switched off.") }
      }
    } catch let error as LedgerError {
      outcome = .unfinished("\(error)", unrecoverable: 0)
    }
    switch outcome {
    case .repaired:
      // Also a report of what was known may be of something that happened again behind the worker.
      if let present = try await marks.read(mark.ledgerID), present.ledger.reports == mark.reports {
        try await marks.clear(mark.ledgerID, present.version)
      }
      repairer.statistics.add { $0.ledgersRepaired += 1 }
      logger.info("A ledger is fully replicated again.", metadata: ["ledger": "\(mark.ledgerID)"])
    case .unfinished(let problem, let unrecoverable):
      repairer.statistics.add { $0.repairsUnfinished += 1 }
      logger.warning(
        "A ledger is not fully replicated yet.", metadata: ["ledger": "\(mark.ledgerID)", "problem": "\(problem)"])
      try await putOff(mark, problem, unrecoverable)
    }
  }

  /// The next attempt is made later, unless something else is known by now. Who reads an entry that no bookie has reports
  /// it again and again: that alone makes it no sooner.
  private func putOff(_ mark: UnderReplicatedLedger, _ problem: String, _ unrecoverable: Int64) async throws {
    let registered = repairer.client.directory.registered
    while let present = try await marks.read(mark.ledgerID), present.ledger.hasSameFindings(as: mark) {
      var next = present.ledger
      next.drop { registered[$0]?.isDraining == false }
      next.attempts += 1
      next.problem = problem
      next.unrecoverableEntries = unrecoverable
      next.nextAttemptMs = UnderReplicationStore.nowMs() + pause(after: next.attempts)
      if try await marks.write(next, over: present.version) != nil { return }
      try Task.checkCancellation()
    }
  }

  /// Milliseconds to the next attempt.
  private func pause(after attempts: Int) -> Int64 {
    let first = max(1, Self.milliseconds(configuration.rwRereplicateBackoff))
    let longest = max(first, Self.milliseconds(configuration.lockReleaseOfFailedLedgerGracePeriod))
    let factor = Int64(1) << Int64(min(max(0, attempts - 1), 20))
    let (pause, overflow) = first.multipliedReportingOverflow(by: factor)
    return overflow ? longest : min(pause, longest)
  }

  private static func milliseconds(_ duration: Duration) -> Int64 {
    duration.components.seconds * 1_000 + duration.components.attoseconds / 1_000_000_000_000_000
  }
}
