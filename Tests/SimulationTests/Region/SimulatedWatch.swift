@testable import Bookie
@testable import Ledgers

/// Tells a simulated region what a bookie finds out about itself, as the real bookie's watch does.
final class SimulatedWatch {
  private unowned let region: RegionSimulation
  private unowned let server: SimulatedServer
  private var mustPublish = false

  private var id: String { server.bookie.id }

  init(_ region: RegionSimulation, _ server: SimulatedServer) {
    self.region = region
    self.server = server
  }

  /// The bookie has started.
  func started() {
    guard let storage = server.bookie.storage else { return }
    if storage.hasUnboundedLimbo {
      region.tally.note("starts into limbo")
      // Ledgers that are made from now on have higher numbers.
      storage.boundLimbo(through: region.metadata.takeID())
    }
  }

  func look() {
    guard let storage = server.bookie.storage else { return }
    if storage.damage.takeChange() || mustPublish {
      mustPublish = false
      for item in storage.damage.all {
        let copies = item.entryIDs.map { SuspectCopies(bookie: id, first: $0, last: $0) }
        region.metadata.mark(item.ledgerID, { _ = $0.add(suspects: copies) }) { [self] isDone in
          if !isDone { mustPublish = true }
        }
      }
    }
    guard case .through(let last) = storage.state.withLockedValue({ $0.table.limbo }) else { return }
    switch region.metadata.limbo[id] {
    case .repaired(last):
      storage.state.withLockedValue { $0.table.leaveLimbo() }
      storage.flusher?.submit(.checkpoint {})
      server.wake()
      region.metadata.limbo[id] = nil
    case .limbo(last): break
    default: region.metadata.limbo[id] = .limbo(last)
    }
  }
}
