@testable import Ledgers

/// What one client has to tell auto-recovery of a ledger, and when the metadata store has it.
final class SimulatedReports {
  private unowned let region: RegionSimulation
  private let ledgerID: LedgerID
  private let isAlive: () -> Bool
  private var unstored = 0
  private var waiting: [() -> Void] = []

  init(_ region: RegionSimulation, _ ledgerID: LedgerID, _ isAlive: @escaping () -> Bool) {
    self.region = region
    self.ledgerID = ledgerID
    self.isAlive = isAlive
  }

  func report(_ copies: SuspectCopies) {
    guard region.mutation != .marksComeLate else {
      return region.network.after(ms: 200...200) { [self] in
        if isAlive() { region.report(ledgerID, copies, isAlive) }
      }
    }
    unstored += 1
    region.report(ledgerID, copies, isAlive) { [self] in
      unstored -= 1
      guard unstored == 0, isAlive() else { return }
      let ready = waiting
      waiting = []
      for then in ready { then() }
    }
  }

  /// Goes on when all that was reported is stored.
  func whenStored(_ then: @escaping () -> Void) {
    guard unstored > 0 else { return then() }
    waiting.append(then)
  }
}
