import NIOCore

@testable import Ledgers

/// Drives the real ``LedgerRecovery`` in the simulation, again and again until the ledger is closed.
final class SimulatedRecovery {
  private unowned let simulation: LedgerSimulation
  private var recovery: LedgerRecovery?
  private var run = 0
  private var version: Int64 = 0
  private var actions: [LedgerRecovery.Action] = []
  private var isPerforming = false
  private var found: [EntryID: SimulatedBookie.Stored] = [:]
  private var snapshot: LedgerMetadata
  var isAlive = true

  private var network: SimulatedNetwork { simulation.network }

  init(_ simulation: LedgerSimulation) {
    self.simulation = simulation
    snapshot = simulation.metadata
  }

  func start() {
    run += 1
    let current = run
    simulation.readMetadata { [self] metadata, version in
      guard isAlive, current == run else { return }
      self.version = version
      snapshot = metadata
      found = [:]
      actions = []
      recovery = LedgerRecovery(
        ledgerID: simulation.ledgerID, metadata: metadata,
        batchSize: Int.random(in: 1...8, using: &network.generator), addTimeout: .milliseconds(120))
      recovery?.start(now: network.now, &actions)
      perform()
      tick(current)
    }
  }

  private func tick(_ current: Int) {
    network.after(20 * SimulatedNetwork.millisecond) { [self] in
      guard isAlive, current == run, recovery?.isEnded == false else { return }
      recovery?.tick(now: network.now, &actions)
      perform()
      tick(current)
    }
  }

  private func again() {
    run += 1
    guard isAlive else { return }
    network.after(ms: 5...50) { [self] in if isAlive { start() } }
  }

  private func perform() {
    guard !isPerforming else { return }
    isPerforming = true
    defer { isPerforming = false }
    while !actions.isEmpty {
      switch actions.removeFirst() {
      case .writeMetadata(let metadata): write(metadata)
      case .fence(let slot, let bookie): fence(slot, bookie)
      case .read(let entry, let bookie): read(entry, bookie)
      case .write(let entry, let slot, let generation): write(entry, slot, generation)
      case .release(let through): found = found.filter { $0.key > through }
      case .changeEnsemble(let change): changeEnsemble(change)
      case .incomplete(let copies): simulation.reported(copies)
      case .finished(let metadata):
        if metadata == simulation.metadata, simulation.closer == nil { simulation.closer = { [self] in isAlive } }
      case .restart:
        network.note("recoveries that lost a race")
        again()
      case .fail:
        network.note("recoveries that could not decide")
        again()
      }
    }
  }

  private func write(_ metadata: LedgerMetadata) {
    let current = run
    simulation.writeMetadata(metadata, over: version) { [self] written in
      guard isAlive, current == run else { return }
      if let written {
        version = written
        recovery?.metadataWritten(now: network.now, &actions)
      } else {
        recovery?.metadataConflicted(&actions)
      }
      perform()
    }
  }

  private func fence(_ slot: Int, _ bookie: String) {
    let current = run
    let held = LedgerFragment(
      firstEntry: snapshot.lastSegment.firstEntry, lastEntry: 1_000, ensemble: snapshot.lastSegment.ensemble,
      striping: snapshot.striping
    ).entries(of: slot)
    network.call(bookie) { [network] target -> (stored: SimulatedBookie.Stored?, through: EntryID) in
      defer { network.blinkSometimes(target) }
      // A connection keeps the order, and a writer gives a bookie up that misses an entry: its last entry is that of an
      // unbroken run. The network here loses single messages, so the run is looked for.
      return (target.fence(), target.unbrokenRun(of: held))
    } _: { [self] answer in
      guard isAlive, current == run else { return }
      var result = LedgerRecovery.FenceAnswer.unknown
      if let known = answer, !network.chance(network.faults.unknownPercent) {
        result = known.stored.map { .lastConfirmed($0.lastConfirmed, last: known.through) } ?? .nothing
      } else if network.mutations.contains(.silenceIsNegative) {
        result = .nothing
      }
      recovery?.fenceAnswered(slot: slot, result, now: network.now, &actions)
      perform()
    }
  }

  private func read(_ entry: EntryID, _ bookie: String) {
    let current = run
    let fencing = !network.mutations.contains(.recoveryReadsDoNotFence)
    network.call(bookie) { [network] target in
      defer { network.blinkSometimes(target) }
      return target.read(entry, fencing: fencing)
    } _: { [self] (answer: SimulatedBookie.Stored??) in
      guard isAlive, current == run else { return }
      var result = LedgerRecovery.ReadAnswer.unknown
      if let known = answer, !network.chance(network.faults.unknownPercent) {
        if let known { found[entry] = known }
        result = known.map { .found(cumulativeLength: $0.length) } ?? .absent
      } else if network.mutations.contains(.silenceIsNegative) {
        result = .absent
      }
      recovery?.readAnswered(entry, bookie: bookie, result, now: network.now, &actions)
      perform()
    }
  }

  private func write(_ entry: EntryID, _ slot: Int, _ generation: UInt32) {
    let current = run
    guard let bytes = found[entry], let ensemble = recovery?.writer?.ensemble else { return }
    network.call(ensemble[slot]) { bookie in
      bookie.add(entry, bytes, isRecovery: true)
    } _: { [self] result in
      guard isAlive, current == run else { return }
      if result == .ok {
        recovery?.addAcknowledged(entry, slot: slot, generation: generation, now: network.now, &actions)
      } else {
        recovery?.addFailed(entry, slot: slot, generation: generation, .bookie, now: network.now, &actions)
      }
      perform()
    }
  }

  private func changeEnsemble(_ change: LedgerWriter.EnsembleChange) {
    let current = run
    network.after(ms: 0...5) { [self] in
      guard isAlive, current == run else { return }
      var ensemble = change.ensemble
      var replaced: [Int] = []
      for slot in change.slots {
        let free = network.bookieIDs.filter { !ensemble.contains($0) }
        guard let bookie = free.randomElement(using: &network.generator) else { continue }
        ensemble[slot] = bookie
        replaced.append(slot)
      }
      recovery?.ensembleChanged(ensemble, replaced: replaced, now: network.now, &actions)
      perform()
    }
  }
}
