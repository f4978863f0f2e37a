import Logging
import MetadataStore

/// Has the ledgers of bookies in limbo compared with their other copies, and tells the bookies when that is done: the part of
/// the auditor that follows `/bookies/limbo/`.
struct LimboAudit {
  let client: LedgerClient
  let metadata: any MetadataStore
  let statistics: AutoRecoveryCounters
  let logger: Logger
  private var repairs: [String: LimboRepair<MetadataVersion>] = [:]

  init(client: LedgerClient, metadata: any MetadataStore, statistics: AutoRecoveryCounters, logger: Logger) {
    self.client = client
    self.metadata = metadata
    self.statistics = statistics
    self.logger = logger
  }

  /// Does what can be done now.
  /// - Parameter isAuditor: whether this process still is the auditor; if not, another one begins anew.
  mutating func look(isAuditor: () -> Bool) async throws {
    let records = try await metadata.list(prefix: BookieRegistration.limbo)
    var seen: Set<String> = []
    for record in records {
      guard let (bookie, through) = BookieRegistration.parseLimbo(record) else { continue }
      seen.insert(bookie)
      var repair = repairs[bookie] ?? LimboRepair()
      repair.found(record.version, through: through)
      try await advance(&repair, bookie, record, isAuditor)
      repairs[bookie] = repair
    }
    repairs = repairs.filter { seen.contains($0.key) }
  }

  private func advance(
    _ repair: inout LimboRepair<MetadataVersion>, _ bookie: String, _ record: MetadataRecord, _ isAuditor: () -> Bool
  ) async throws {
    // So many steps that other work is not kept waiting.
    for _ in 0..<1_000 {
      guard isAuditor() else { return }
      switch repair.next {
      case .mark(let through):
        let ledgers = try await mark(bookie, through)
        logger.warning(
          "A bookie may have lost entries; its ledgers are compared with their other copies.",
          metadata: ["bookie": "\(bookie)", "ledgers": "\(ledgers.count)"])
        repair.marked(ledgers)
      case .check(let id):
        if try await client.marks.read(id)?.ledger.limbo?[bookie] != nil { return }
        repair.repaired(id)
      case .tell(let through):
        do {
          try await metadata.put(
            record.key, BookieRegistration.repaired(through: through), expected: .exactly(record.version))
        } catch MetadataError.versionMismatch {
          return
        }
        statistics.add { $0.limboBookiesRepaired += 1 }
        logger.notice(
          "All ledgers of a bookie that may have lost entries are repaired.", metadata: ["bookie": "\(bookie)"])
        return
      }
    }
  }

  /// Marks the ledgers up to `through` that name the bookie. Throws if the metadata of one cannot be read: nobody knows then
  /// whether the bookie should have something of it.
  private func mark(_ bookie: String, _ through: LedgerID) async throws -> [LedgerID] {
    var ledgers: [LedgerID] = []
    var after: LedgerID?
    repeat {
      let page = try await client.store.list(after: after, limit: 500)
      for (id, found) in page.ledgers where id <= through {
        let metadata = try found.get().metadata
        guard metadata.segments.contains(where: { $0.ensemble.contains(bookie) }) else { continue }
        try await client.marks.mark(id) { _ = $0.add(limbo: bookie, through: through) }
        ledgers.append(id)
      }
      after = page.next
    } while after != nil
    let count = Int64(ledgers.count)
    statistics.add { $0.underReplicatedLedgersFound += count }
    return ledgers
  }
}
