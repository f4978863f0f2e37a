import BookieWire
import NIOCore

@testable import Ledgers

/// Drives the real ``LedgerRecovery`` of one ledger, again and again until it is closed.
final class SimulatedRecovery {
  private unowned let region: RegionSimulation
  private let client: String
  private let ledgerID: LedgerID
  private let onClosed: () -> Void
  private var recovery: LedgerRecovery?
  private var run = 0
  private var version: Int64 = 0
  private var actions: [LedgerRecovery.Action] = []
  private var isPerforming = false
  private var hasCoverage = false
  private var found: [EntryID: ByteBuffer] = [:]
  private lazy var reports = SimulatedReports(region, ledgerID) { [weak self] in self?.isAlive == true }
  var isAlive = true

  private var network: SimulatedNetwork { region.network }

  init(
    _ region: RegionSimulation, client: String, ledgerID: LedgerID, onClosed: @escaping () -> Void
  ) {
    self.region = region
    self.client = client
    self.ledgerID = ledgerID
    self.onClosed = onClosed
  }

  func start() {
    guard isAlive else { return }
    run += 1
    let current = run
    region.metadata.read(ledgerID) { [self] answer in
      guard isAlive, current == run else { return }
      let ledger: SimulatedMetadata.Ledger
      switch answer {
      case .unknown: return again()
      case .gone:
        run += 1
        return onClosed()
      case .ledger(let found): ledger = found
      }
      version = ledger.version
      found = [:]
      actions = []
      hasCoverage = false
      recovery = LedgerRecovery(
        ledgerID: ledgerID, metadata: mistaken(ledger.metadata), batchSize: network.chance.number(1...8),
        addTimeout: .milliseconds(120))
      recovery?.start(now: network.now, &actions)
      perform()
      tick(current)
    }
  }

  /// The mistake: as if the last segment began earlier.
  private func mistaken(_ metadata: LedgerMetadata) -> LedgerMetadata {
    guard region.mutation == .recoveryStartsBelowSegment, metadata.segments.count > 1, metadata.state != .closed else {
      return metadata
    }
    var changed = metadata
    let before = metadata.segments[metadata.segments.count - 2].firstEntry
    changed.segments[changed.segments.count - 1].firstEntry = max(before + 1, metadata.lastSegment.firstEntry - 2)
    return changed
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
    network.after(ms: 5...50) { [self] in start() }
  }

  private func perform() {
    guard !isPerforming else { return }
    isPerforming = true
    defer { isPerforming = false }
    while !actions.isEmpty {
      switch actions.removeFirst() {
      case .writeMetadata(let metadata): write(metadata)
      case .fence(let slot, let bookie): fence(slot, bookie)
      case .read(let entry, let bookie):
        if !hasCoverage {
          hasCoverage = true
          region.passedFence(ledgerID)
        }
        read(entry, bookie)
      case .write(let entry, let slot, let generation): write(entry, slot, generation)
      case .release(let through): found = found.filter { $0.key > through }
      case .changeEnsemble(let change): changeEnsemble(change)
      case .incomplete(let copies): reports.report(copies)
      case .finished:
        region.tally.note("recoveries")
        run += 1
        onClosed()
      case .restart:
        region.tally.note("recoveries that lost a race")
        again()
      case .fail:
        region.tally.note("recoveries that could not decide")
        again()
      }
    }
  }

  private func write(_ metadata: LedgerMetadata) {
    let current = run
    reports.whenStored { [self] in
      guard isAlive, current == run else { return }
      region.metadata.write(ledgerID, metadata, over: version) { [self] written in
        guard isAlive, current == run else { return }
        switch written {
        case .version(let new):
          version = new
          recovery?.metadataWritten(now: network.now, &actions)
        case .conflict: recovery?.metadataConflicted(&actions)
        case .unknown: recovery?.metadataFailed(.metadata("no answer"), &actions)
        }
        perform()
      }
    }
  }

  private func ask(
    _ entry: EntryID, _ bookie: String, fencing: Bool,
    _ answer: @escaping (BookieReturnCode?, ByteBuffer?) -> Void
  ) {
    let current = run
    let fencing = fencing && !(region.mutation == .recoveryReadsDoNotFence && entry != ReadRequest.lastEntry)
    let request = ReadRequest(
      requestID: 1, flags: fencing ? [.fencing, .highPriority] : [], ledgerID: ledgerID, entryID: entry,
      masterKey: fencing ? SimulatedBookie.key : nil)
    network.call(client, bookie, .read(request)) { [self] response in
      guard isAlive, current == run else { return }
      if case .read(let read)? = response {
        if read.code.isNegative { region.rules.deniedToRecovery(bookie, ledgerID) }
        let isMistaken = region.mutation == .doubtIsNegative && read.code != .ok
        answer(isMistaken ? .noEntry : read.code, read.entry)
      } else {
        answer(region.mutation == .silenceIsNegative ? .noEntry : nil, nil)
      }
      perform()
    }
  }

  private func fence(_ slot: Int, _ bookie: String) {
    ask(ReadRequest.lastEntry, bookie, fencing: true) { [self] code, bytes in
      var answer = LedgerRecovery.FenceAnswer.unknown
      if code == .ok, let bytes,
        let (header, _) = try? SimulatedBookie.codec.decode(bytes, ledgerID: ledgerID, entryID: nil)
      {
        answer = .lastConfirmed(header.lastAddConfirmed, last: header.entryID)
      } else if code?.isNegative == true {
        answer = .nothing
      }
      recovery?.fenceAnswered(slot: slot, answer, now: network.now, &actions)
    }
  }

  private func read(_ entry: EntryID, _ bookie: String) {
    ask(entry, bookie, fencing: true) { [self] code, bytes in
      var answer = LedgerRecovery.ReadAnswer.unknown
      if code == .ok, let bytes,
        let (header, _) = try? SimulatedBookie.codec.decode(
          bytes, ledgerID: ledgerID, entryID: entry)
      {
        answer = .found(cumulativeLength: header.length)
        if found[entry] == nil { found[entry] = bytes }
      } else if code?.isNegative == true {
        answer = .absent
      }
      recovery?.readAnswered(entry, bookie: bookie, answer, now: network.now, &actions)
    }
  }

  private func write(_ entry: EntryID, _ slot: Int, _ generation: UInt32) {
    let current = run
    guard let bytes = found[entry], let ensemble = recovery?.writer?.ensemble else { return }
    let add = AddRequest(
      requestID: 1, flags: [.recoveryAdd, .highPriority], masterKey: SimulatedBookie.key,
      ledgerID: ledgerID,
      entryID: entry, entry: EntryBytes(head: bytes))
    network.call(client, ensemble[slot], .add(add)) { [self] response in
      guard isAlive, current == run else { return }
      if case .add(let add)? = response, add.code == .ok {
        recovery?.addAcknowledged(
          entry, slot: slot, generation: generation, now: network.now, &actions)
      } else {
        recovery?.addFailed(
          entry, slot: slot, generation: generation, .bookie, now: network.now, &actions)
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
        let free = network.writable.filter { !ensemble.contains($0) }
        guard !free.isEmpty else { continue }
        ensemble[slot] = network.chance.pick(free)
        replaced.append(slot)
      }
      recovery?.ensembleChanged(ensemble, replaced: replaced, now: network.now, &actions)
      perform()
    }
  }
}
