import MetadataStore

extension GarbageCollector {
  private static let root = "/ledgers/"
  private static let marks = "/ledgers/underreplicated/ledgers/"
  private static let locks = "/ledgers/underreplicated/locks/"
  /// Between two ledgers: many at once would be a burden on the metadata store.
  private static let pause = Duration.milliseconds(20)

  /// Looks for closed ledgers whose entries are stored here although metadata names other bookies for all of them, and has them
  /// removed. That happens when a bookie comes back after auto-recovery has made its copies elsewhere.
  ///
  /// Auto-recovery may be about to name this bookie. So each is removed only under the lock that auto-recovery takes, when the
  /// metadata was read again, and when the ledger is not marked for repair, since a repair that was broken off goes on with
  /// what it has copied.
  ///
  /// Metadata that was restored from an old copy names the bookies from before repairs: to find most of the ledgers here is
  /// refused like a mass delete.
  /// - Parameter confirmed: the number of ledgers that an operator saw refused, and wants to be removed all the same.
  /// - Returns: the number of ledgers that were removed; none while another search runs.
  @discardableResult
  func overReplicatedRound(confirmed: Int? = nil) async throws -> Int {
    guard begin() else { return 0 }
    defer { end() }
    let local = (0..<LedgerFenceTable.partCount).flatMap { part in
      storage.state.withLockedValue { state in
        state.table.ids(inPart: part).filter { state.table.vacated($0) != nil }
      }
    }
    let found = Set(try await filter(local) { try await self.isElsewhere($0) })
    let strange = believed(found, of: local.count, confirmed)
    guard !strange.isEmpty else { return 0 }
    let lease = try await metadata.grantLease(ttl: storage.configuration.registrationTTL)
    var removed = 0
    do {
      for id in strange {
        if try await remove(id, lease) { removed += 1 }
        try await Task.sleep(for: Self.pause)
      }
    } catch {
      try? await lease.revoke()
      throw error
    }
    try await lease.revoke()
    if removed > 0 {
      logger.info("Entries that other bookies hold were removed.", metadata: ["ledgers": "\(removed)"])
    }
    return removed
  }

  /// What of the ledgers that a search found may be removed, in order.
  private func believed(_ found: Set<Int64>, of total: Int, _ confirmed: Int?) -> [Int64] {
    let decision = massGuard.check(found, of: total, confirmed: confirmed)
    storage.state.withLockedValue { state in
      state.statistics.refusedOverReplicatedLedgers = decision == .refuse ? found.count : 0
      if decision == .refuse { state.statistics.refusedMassDeletes += 1 }
    }
    switch decision {
    case .allow: return found.sorted()
    case .confirmed(let ledgers): return ledgers.sorted()
    case .refuse:
      let command =
        "meridian bookie gc --bookie \(storage.configuration.bookieID) --over-replicated --confirm \(found.count)"
      logger.error(
        "Metadata has most ledgers on other bookies; none is removed. Check the metadata store, or confirm their number.",
        metadata: ["found": "\(found.count)", "ledgers": "\(total)", "confirmation": "\(command)"])
      return []
    }
  }

  /// Whether metadata has the ledger, closed, and without this bookie.
  private func isElsewhere(_ id: Int64) async throws -> Bool {
    guard let record = try await metadata.get("\(Self.root)\(id)"), let members = LedgerMembers(record.value) else {
      return false
    }
    return members.isClosed && !members.bookies.contains(storage.configuration.bookieID)
  }

  /// Removes what is here of a ledger; false if somebody works on it, or if it is not so any more.
  private func remove(_ id: Int64, _ lease: MetadataLease) async throws -> Bool {
    try Task.checkCancellation()
    let lock = "\(Self.locks)\(id)"
    let version: MetadataVersion
    do {
      version = try await metadata.put(
        lock, Array(storage.configuration.bookieID.utf8), expected: .absent, lease: lease)
    } catch MetadataError.versionMismatch {
      return false
    }
    var isFree = false
    do {
      isFree = try await metadata.get("\(Self.marks)\(id)") == nil
      if isFree { isFree = try await isElsewhere(id) }
      if isFree { isFree = !lease.isExpired ? await storage.vacate([id]) > 0 : false }
    } catch {
      try? await metadata.delete(lock, expected: .exactly(version))
      throw error
    }
    try await metadata.delete(lock, expected: .exactly(version))
    return isFree
  }
}
