import BookieWire

@testable import Bookie
@testable import Ledgers

/// Looks for ledgers that metadata no longer has, by the real ``GarbageSelection``, and has a bookie's real storage delete them.
final class SimulatedCollector {
  private unowned let region: RegionSimulation
  private unowned let server: SimulatedServer
  private let share: Double
  private let minimum: Int
  private var selection: GarbageSelection
  private var life: Int

  private var id: String { server.bookie.id }

  init(_ region: RegionSimulation, _ server: SimulatedServer) {
    self.region = region
    self.server = server
    (share, minimum) = region.shape.massDelete
    selection = GarbageSelection(share: share, minimum: minimum)
    life = server.life
  }

  func start() {
    region.network.after(ms: 20...region.shape.collectionMs) { [self] in
      if life != server.life {
        // What a process suspected is forgotten with it.
        life = server.life
        selection = GarbageSelection(share: share, minimum: minimum)
      }
      guard server.isRunning, let storage = server.bookie.storage else { return start() }
      let local = storage.ledgerIDs.sorted()
      if region.mutation == .garbageByListing { return byListing(local) }
      lookUp(local[...], of: local, missing: [])
    }
  }

  private func lookUp(_ rest: ArraySlice<LedgerID>, of local: [LedgerID], missing: Set<LedgerID>) {
    guard let id = rest.first else { return finish(local, missing) }
    region.metadata.read(id) { [self] found in
      switch found {
      case .ledger: lookUp(rest.dropFirst(), of: local, missing: missing)
      case .gone: lookUp(rest.dropFirst(), of: local, missing: missing.union([id]))
      case .unknown: start()
      }
    }
  }

  /// The mistake: what a listing does not have is taken for deleted.
  private func byListing(_ local: [LedgerID]) {
    region.metadata.list { [self] all in
      guard let all else { return start() }
      finish(local, Set(local).subtracting(all.map(\.id)))
    }
  }

  private func finish(_ local: [LedgerID], _ missing: Set<LedgerID>) {
    defer { start() }
    guard life == server.life, server.isRunning, let flusher = server.bookie.storage?.flusher else { return }
    switch selection.round(local: local.count, missing: missing) {
    case .refuse: region.tally.note("mass deletes that were refused")
    case .delete(let ledgers):
      guard !ledgers.isEmpty else { return }
      region.tally.note("ledgers collected", ledgers.count)
      region.rules.collects(id, ledgers)
      let done = OneThread { [region, server, life, id] in
        if server.life == life, !server.bookie.hasDied { region.rules.collected(id, ledgers) }
      }
      flusher.submit(.delete(ledgers) { done.value() })
      server.wake()
    }
  }
}
