import NIOCore

@testable import Ledgers

/// Replaces a bookie in all final fragments of the ledger, by the real ``RepairPlan``, while writers and recoveries go on.
final class SimulatedRepair {
  private unowned let simulation: LedgerSimulation
  private let lost: String

  private var network: SimulatedNetwork { simulation.network }
  private var namesFirst: Bool { network.mutations.contains(.repairNamesBeforeItCopies) }

  init(_ simulation: LedgerSimulation) {
    self.simulation = simulation
    lost = simulation.network.bookieIDs.randomElement(using: &simulation.network.generator) ?? ""
  }

  func start() {
    simulation.readMetadata { [self] metadata, _ in
      let plan = RepairPlan(metadata: metadata, suspects: [], misplaced: { _ in [] }, isLost: { $0 == lost })
      for replacement in plan.replacements { replace(replacement) }
    }
  }

  private func replace(_ replacement: RepairPlan.Replacement) {
    let fragment = replacement.fragment
    let others = network.bookieIDs.filter { !fragment.ensemble.contains($0) }
    guard let target = others.randomElement(using: &network.generator) else { return }
    let entries = Array(fragment.entries(of: replacement.slot))
    if namesFirst { name(target, replacement) }
    copy(entries[...], target, replacement)
  }

  private func copy(_ rest: ArraySlice<EntryID>, _ target: String, _ replacement: RepairPlan.Replacement) {
    guard let entry = rest.first else {
      if !namesFirst { name(target, replacement) }
      return
    }
    read(entry, replacement.fragment.holders(of: entry)[...]) { [self] stored in
      guard let stored else {
        guard network.mutations.contains(.repairSkipsWhatItCannotRead) else { return }
        return copy(rest.dropFirst(), target, replacement)
      }
      network.call(target) { bookie in
        bookie.add(entry, stored, isRecovery: true)
      } _: { [self] result in
        // Only the first answer counts, and without one the repair is given up.
        guard result == .ok, rest.first == entry else { return }
        let next = rest.dropFirst()
        guard progress[replacement.fragment.firstEntry, default: -1] < entry else { return }
        progress[replacement.fragment.firstEntry] = entry
        copy(next, target, replacement)
      }
    }
  }

  private var progress: [EntryID: EntryID] = [:]

  private func read(
    _ entry: EntryID, _ holders: ArraySlice<String>, _ completion: @escaping (SimulatedBookie.Stored?) -> Void
  ) {
    guard let holder = holders.first else { return completion(nil) }
    var isAnswered = false
    network.call(holder) { bookie in
      bookie.read(entry, fencing: false)
    } _: { [self] (answer: SimulatedBookie.Stored??) in
      guard !isAnswered else { return }
      isAnswered = true
      if let stored = answer ?? nil { return completion(stored) }
      read(entry, holders.dropFirst(), completion)
    }
  }

  private func name(_ target: String, _ replacement: RepairPlan.Replacement) {
    simulation.readMetadata { [self] metadata, version in
      var new = metadata
      guard new.replaceMember(of: replacement.fragment, slot: replacement.slot, with: target) else { return }
      simulation.writeMetadata(new, over: version) { [self] written in
        if written == nil { return name(target, replacement) }
        network.note("bookies replaced by a repair")
      }
    }
  }
}
