@testable import Ledgers

/// Looks for bookies that are gone and journals that are damaged, and has workers repair the ledgers concerned.
final class SimulatedAuditor {
  private unowned let region: RegionSimulation
  private var repairs: [String: SimulatedRepair] = [:]
  /// Bookies in limbo whose ledgers are being compared, up to which ledger.
  private var comparisons: [String: LedgerID] = [:]

  private var network: SimulatedNetwork { region.network }

  init(_ region: RegionSimulation) { self.region = region }

  func start() {
    audit()
    for worker in ["repair-0", "repair-1"] { work(worker) }
  }

  private func audit() {
    network.after(ms: 40...160) { [self] in
      region.metadata.list { [self] ledgers in
        let registered = Set(network.registered)
        for (id, ledger) in ledgers ?? [] {
          let lost = ledger.metadata.bookiesInUse.filter { !registered.contains($0) }
          let nowMs = region.metadata.milliseconds
          if !lost.isEmpty { region.metadata.mark(id, { _ = $0.add(lost: lost, nowMs: nowMs) }) }
        }
        for (bookie, state) in region.metadata.limbo.sorted(by: { $0.key < $1.key }) {
          if case .limbo(let last) = state, comparisons[bookie] != last {
            comparisons[bookie] = last
            compare(bookie, 1, last)
          }
        }
        audit()
      }
    }
  }

  // MARK: Workers

  private func work(_ worker: String) {
    network.after(ms: 20...90) { [self] in
      region.metadata.readMarks { [self] marks in
        guard let marks, !marks.isEmpty else { return work(worker) }
        let mark = network.chance.pick(marks)
        repair(mark.ledger, worker, mayDie: true) { [self] isRepaired in
          if isRepaired { region.metadata.unmark(mark.ledger.ledgerID, mark.version) }
          work(worker)
        }
      }
    }
  }

  /// One attempt; given up when it takes too long.
  private func repair(
    _ mark: UnderReplicatedLedger, _ worker: String, mayDie: Bool, _ then: @escaping (Bool) -> Void
  ) {
    let repair = SimulatedRepair(region, client: worker, mark) { [self] isRepaired in
      repairs[worker] = nil
      region.tally.note(isRepaired ? "repairs" : "repairs that were not complete")
      then(isRepaired)
    }
    repairs[worker] = repair
    repair.start()
    let dies = mayDie && !region.isCalm && network.chance.percent(10)
    network.after(ms: dies ? 5...100 : 800...800) { [self] in
      guard repairs[worker] === repair else { return }
      region.tally.note("repairs that were broken off")
      repair.isAlive = false
      repairs[worker] = nil
      then(false)
    }
  }

  // MARK: Limbo

  /// Looks at every copy that a bookie in limbo should have, of one ledger after the other; then it may deny again.
  private func compare(_ bookie: String, _ id: LedgerID, _ last: LedgerID) {
    guard comparisons[bookie] == last else { return }
    let again = { [self] in network.after(ms: 30...100) { [self] in compare(bookie, id, last) } }
    guard id <= last else {
      region.tally.note("bookies that left limbo")
      return region.metadata.limbo[bookie] = .repaired(last)
    }
    region.metadata.read(id) { [self] found in
      switch found {
      case .unknown: again()
      case .gone: compare(bookie, id + 1, last)
      case .ledger(let ledger):
        let metadata = ledger.metadata
        if metadata.state != .closed, metadata.lastSegment.ensemble.contains(bookie) {
          // Where it ends is not known before it is closed.
          return region.recover(id, "comparer", again)
        }
        let copies = metadata.fragments.filter { $0.ensemble.contains(bookie) }.map {
          SuspectCopies(bookie: bookie, first: $0.firstEntry, last: $0.lastEntry)
        }
        guard !copies.isEmpty else { return compare(bookie, id + 1, last) }
        var mark = UnderReplicatedLedger(ledgerID: id, sinceMs: 0)
        _ = mark.add(suspects: copies)
        repair(mark, "comparer-\(bookie)", mayDie: false) { [self] isRepaired in
          isRepaired ? compare(bookie, id + 1, last) : again()
        }
      }
    }
  }
}
