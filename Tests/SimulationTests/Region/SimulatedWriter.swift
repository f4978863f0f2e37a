import BookieWire
import NIOCore

@testable import Ledgers

/// Drives the real ``LedgerWriter`` of one ledger.
final class SimulatedWriter {
  let ledgerID: LedgerID
  private unowned let region: RegionSimulation
  private let client: String
  private let onEnd: () -> Void
  private var writer: LedgerWriter
  private var actions: [LedgerWriter.Action] = []
  private var isPerforming = false
  private var metadata: LedgerMetadata
  private var version: Int64 = 1
  private var entries: [EntryID: EntryBytes] = [:]
  private var generations: [Int: UInt32] = [:]
  private var left: Int
  private var hasEnded = false
  private var confirmed: EntryID = -1
  /// Bookies that were not registered when they were looked for last.
  private var missing: Set<String> = []
  private lazy var reports = SimulatedReports(region, ledgerID) { [weak self] in self?.isAlive == true }
  var isAlive = true

  private var network: SimulatedNetwork { region.network }

  init(
    _ region: RegionSimulation, client: String, ledgerID: LedgerID, metadata: LedgerMetadata,
    entries: Int,
    onEnd: @escaping () -> Void
  ) {
    self.region = region
    self.client = client
    self.ledgerID = ledgerID
    self.metadata = metadata
    self.onEnd = onEnd
    left = entries
    writer = LedgerWriter(
      ledgerID: ledgerID, striping: Self.striping(metadata, region.mutation), ensemble: metadata.lastSegment.ensemble,
      addTimeout: .milliseconds(120), retryDelay: .milliseconds(50))
  }

  private static func striping(_ metadata: LedgerMetadata, _ mutation: RegionSimulation.Mutation?) -> LedgerStriping {
    guard mutation == .acknowledgedBelowAckQuorum else { return metadata.striping }
    return LedgerStriping(
      ensembleSize: metadata.ensembleSize, writeQuorum: metadata.writeQuorumSize,
      ackQuorum: max(1, metadata.ackQuorumSize - 1))
  }

  func start() {
    appendNext()
    tick()
  }

  private func appendNext() {
    network.after(ms: 0...(network.chance.percent(80) ? 2 : 60)) { [self] in
      guard isAlive, writer.failure == nil else { return }
      guard left > 0 else { return finish() }
      left -= 1
      let entry = writer.nextEntry
      entries[entry] = region.newEntry(ledgerID, entry, lastConfirmed: writer.lastAddConfirmed)
      _ = writer.append(size: RegionSimulation.payloadSize(entry), now: network.now, &actions)
      perform()
      appendNext()
    }
  }

  private func tick() {
    network.after(20 * SimulatedNetwork.millisecond) { [self] in
      guard isAlive, !hasEnded || writer.needsTicks else { return }
      writer.tick(now: network.now, &actions)
      perform()
      replaceLost()
      tick()
    }
  }

  /// Bookies that have been away for a moment are replaced, though no add may have failed.
  private func replaceLost() {
    let now = Set(writer.ensemble).subtracting(network.registered)
    let stillMissing = now.intersection(missing)
    let lost = writer.ensemble.indices.filter { stillMissing.contains(writer.ensemble[$0]) }
    missing = now
    guard !lost.isEmpty, writer.change == nil, !Set(network.writable).isSubset(of: writer.ensemble) else { return }
    region.tally.note("bookies that a writer found gone", lost.count)
    writer.gone(lost, &actions)
    perform()
  }

  private func end() {
    guard !hasEnded, isAlive else { return }
    hasEnded = true
    onEnd()
  }

  private func perform() {
    guard !isPerforming else { return }
    isPerforming = true
    defer { isPerforming = false }
    while !actions.isEmpty {
      switch actions.removeFirst() {
      case .send(let entry, let slot, let generation): send(entry, slot, generation)
      case .confirm(let entry):
        region.confirmed(ledgerID, confirmed + 1...entry)
        confirmed = entry
      case .changeEnsemble(let change): changeEnsemble(change)
      case .lookForBookies: writer.lookAgain(&actions)
      case .incomplete(let copies): reports.report(copies)
      case .fail: end()
      }
    }
  }

  private func send(_ entry: EntryID, _ slot: Int, _ generation: UInt32) {
    generations[slot] = generation
    guard let bytes = entries[entry] else { return }
    let add = AddRequest(
      requestID: 1, masterKey: SimulatedBookie.key, ledgerID: ledgerID, entryID: entry, entry: bytes
    )
    network.call(client, writer.ensemble[slot], .add(add)) { [self] response in
      guard isAlive else { return }
      var code: BookieReturnCode?
      if case .add(let add)? = response { code = add.code }
      if code == .ok {
        let counted =
          region.mutation == .generationsIgnored ? generations[slot] ?? generation : generation
        writer.acknowledged(entry, slot: slot, generation: counted, &actions)
      } else {
        writer.failed(
          entry, slot: slot, generation: generation, LedgerWriter.Failure(code), &actions)
      }
      perform()
    }
  }

  private func changeEnsemble(_ change: LedgerWriter.EnsembleChange) {
    region.tally.note("ensemble changes")
    network.after(ms: 0...5) { [self] in
      guard isAlive else { return }
      var ensemble = change.ensemble
      var replaced: [Int] = []
      for slot in change.slots {
        let free = network.writable.filter {
          !ensemble.contains($0) || (change.vacant.contains(slot) && $0 == ensemble[slot])
        }
        guard !network.chance.percent(10), !free.isEmpty else { continue }
        ensemble[slot] = network.chance.pick(free)
        replaced.append(slot)
      }
      guard !replaced.isEmpty else {
        writer.ensembleChanged(ensemble, replaced: [], now: network.now, &actions)
        return perform()
      }
      reports.whenStored { [self] in record(change, ensemble, replaced) }
    }
  }

  private func record(
    _ change: LedgerWriter.EnsembleChange, _ ensemble: [String], _ replaced: [Int]
  ) {
    var new = metadata
    guard new.state == .open else {
      writer.ensembleChangeFailed(.fenced(ledgerID), &actions)
      return perform()
    }
    var first = change.firstEntry
    if region.mutation == .segmentStartsLate { first += 2 }
    if region.mutation == .confirmedMovesWhileSegmentStarts {
      first = max(first - 2, (new.segments.last?.firstEntry ?? 0) + 1)
    }
    new.setEnsemble(ensemble, from: first)
    region.metadata.write(ledgerID, new, over: version) { [self] written in
      guard isAlive else { return }
      switch written {
      case .version(let current):
        metadata = new
        version = current
        writer.ensembleChanged(ensemble, replaced: replaced, now: network.now, &actions)
        perform()
      case .unknown:
        writer.ensembleChangeFailed(.metadata("no answer"), &actions)
        perform()
      case .conflict:
        region.metadata.read(ledgerID) { [self] found in
          guard isAlive else { return }
          guard case .ledger(let current) = found else {
            writer.ensembleChangeFailed(.metadata("no answer"), &actions)
            return perform()
          }
          metadata = current.metadata
          version = current.version
          record(change, ensemble, replaced)
        }
      }
    }
  }

  /// Sometimes the writer closes the ledger itself once everything is confirmed.
  private func finish() {
    guard isAlive, writer.failure == nil, network.chance.percent(40) else { return end() }
    guard writer.isIdle else { return network.after(ms: 5...10) { [self] in finish() } }
    writer.finish(&actions)
    perform()
    reports.whenStored { [self] in close() }
  }

  private func close() {
    guard isAlive else { return }
    var new = metadata
    guard new.state == .open else { return end() }
    new.state = .closed
    new.lastEntry = writer.lastAddConfirmed
    new.length = writer.confirmedLength
    region.metadata.write(ledgerID, new, over: version) { [self] _ in
      if isAlive { end() }
    }
  }
}
