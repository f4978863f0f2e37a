import NIOCore

@testable import Ledgers

/// Drives the real ``LedgerWriter`` in the simulation.
final class SimulatedWriter {
  private unowned let simulation: LedgerSimulation
  private var writer: LedgerWriter
  private var actions: [LedgerWriter.Action] = []
  private var isPerforming = false
  private var metadata: LedgerMetadata
  private var version: Int64 = 1
  private var stored: [EntryID: SimulatedBookie.Stored] = [:]
  private var generations: [Int: UInt32] = [:]
  private var left = 0
  var isAlive = true

  private var network: SimulatedNetwork { simulation.network }

  init(_ simulation: LedgerSimulation) {
    self.simulation = simulation
    metadata = simulation.metadata
    writer = LedgerWriter(
      ledgerID: simulation.ledgerID,
      striping: LedgerStriping(
        ensembleSize: metadata.ensembleSize, writeQuorum: metadata.writeQuorumSize, ackQuorum: metadata.ackQuorumSize),
      ensemble: metadata.lastSegment.ensemble, addTimeout: .milliseconds(120), retryDelay: .milliseconds(50))
  }

  func start(entries: Int) {
    left = entries
    appendNext()
    tick()
  }

  private func appendNext() {
    network.after(ms: 0...(network.chance(80) ? 2 : 60)) { [self] in
      guard isAlive, writer.failure == nil else { return }
      guard left > 0 else { return closeIfTold() }
      left -= 1
      let entry = writer.nextEntry
      stored[entry] = .init(
        lastConfirmed: writer.lastAddConfirmed, length: simulation.payloadLength(through: entry))
      simulation.writerAppended()
      _ = writer.append(size: Int(entry + 1), now: network.now, &actions)
      perform()
      appendNext()
    }
  }

  private func tick() {
    network.after(20 * SimulatedNetwork.millisecond) { [self] in
      guard isAlive, writer.failure == nil, network.nanoseconds < 10_000 * SimulatedNetwork.millisecond else { return }
      writer.tick(now: network.now, &actions)
      perform()
      tick()
    }
  }

  private func perform() {
    guard !isPerforming else { return }
    isPerforming = true
    defer { isPerforming = false }
    while !actions.isEmpty {
      switch actions.removeFirst() {
      case .send(let entry, let slot, let generation): send(entry, slot, generation)
      case .confirm(let entry): simulation.writerConfirmed(through: entry)
      case .changeEnsemble(let change): changeEnsemble(change)
      case .incomplete(let copies): simulation.reported(copies)
      case .fail: break
      }
    }
  }

  private func send(_ entry: EntryID, _ slot: Int, _ generation: UInt32) {
    generations[slot] = generation
    guard let bytes = stored[entry] else { return }
    network.call(writer.ensemble[slot]) { bookie in
      bookie.add(entry, bytes, isRecovery: false)
    } _: { [self] result in
      guard isAlive else { return }
      let counted = network.mutations.contains(.generationsAreIgnored) ? generations[slot] ?? generation : generation
      switch result {
      case .ok: writer.acknowledged(entry, slot: slot, generation: counted, &actions)
      case .fenced: writer.failed(entry, slot: slot, generation: generation, .fenced, &actions)
      case nil: writer.failed(entry, slot: slot, generation: generation, .bookie, &actions)
      }
      perform()
    }
  }

  private func changeEnsemble(_ change: LedgerWriter.EnsembleChange) {
    network.note("ensemble changes")
    network.after(ms: 0...5) { [self] in
      var ensemble = change.ensemble
      var replaced: [Int] = []
      for slot in change.slots {
        let free = network.bookieIDs.filter {
          !ensemble.contains($0) || (change.vacant.contains(slot) && $0 == ensemble[slot])
        }
        guard !network.chance(10), let bookie = free.randomElement(using: &network.generator) else { continue }
        ensemble[slot] = bookie
        replaced.append(slot)
      }
      guard !replaced.isEmpty else {
        guard isAlive else { return }
        writer.ensembleChanged(ensemble, replaced: [], now: network.now, &actions)
        return perform()
      }
      record(change, ensemble, replaced)
    }
  }

  private func record(_ change: LedgerWriter.EnsembleChange, _ ensemble: [String], _ replaced: [Int]) {
    var new = metadata
    guard new.state == .open else {
      writer.ensembleChangeFailed(.fenced(simulation.ledgerID), &actions)
      return perform()
    }
    let late: EntryID = network.mutations.contains(.segmentStartsLate) ? 2 : 0
    new.setEnsemble(ensemble, from: change.firstEntry + late)
    simulation.writeMetadata(new, over: version) { [self] written in
      guard isAlive else { return }
      if network.chance(1) {
        network.note("lost metadata answers")
        writer.ensembleChangeFailed(.metadata("no answer"), &actions)
        return perform()
      }
      if let written {
        metadata = new
        version = written
        writer.ensembleChanged(ensemble, replaced: replaced, now: network.now, &actions)
        return perform()
      }
      simulation.readMetadata { [self] current, currentVersion in
        guard isAlive else { return }
        metadata = current
        version = currentVersion
        record(change, ensemble, replaced)
      }
    }
  }

  /// Sometimes the writer closes the ledger itself once everything is confirmed.
  private func closeIfTold() {
    guard network.chance(30) else { return }
    guard writer.isIdle else { return network.after(ms: 5...10) { [self] in if isAlive { closeIfTold() } } }
    guard writer.failure == nil else { return }
    var new = metadata
    guard new.state == .open else { return }
    new.state = .closed
    new.lastEntry = writer.lastAddConfirmed
    new.length = writer.confirmedLength
    simulation.writeMetadata(new, over: version) { [self] written in
      guard isAlive, written != nil else { return }
      simulation.closer = { [self] in isAlive }
      writer.finish(&actions)
      perform()
    }
  }
}
