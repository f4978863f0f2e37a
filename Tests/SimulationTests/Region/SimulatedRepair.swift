import BookieWire
import NIOCore

@testable import Ledgers

/// One attempt to bring a ledger back to full replication, by the real ``RepairPlan``, while writers, recoveries and other
/// repairs go on.
final class SimulatedRepair {
  private unowned let region: RegionSimulation
  private let client: String
  private let mark: UnderReplicatedLedger
  private let onEnd: (_ isRepaired: Bool) -> Void
  private var steps: [Step] = []
  private var isComplete = true
  var isAlive = true

  private enum Step {
    case replace(RepairPlan.Replacement)
    case restore(RepairPlan.Restoration)
  }

  private var network: SimulatedNetwork { region.network }
  private var namesFirst: Bool { region.mutation == .repairNamesBeforeItCopies }

  init(_ region: RegionSimulation, client: String, _ mark: UnderReplicatedLedger, onEnd: @escaping (Bool) -> Void) {
    self.region = region
    self.client = client
    self.mark = mark
    self.onEnd = onEnd
  }

  func start() {
    region.metadata.read(mark.ledgerID) { [self] found in
      guard isAlive else { return }
      switch found {
      case .unknown: onEnd(false)
      case .gone: onEnd(true)
      case .ledger(let ledger): plan(ledger.metadata)
      }
    }
  }

  private func plan(_ metadata: LedgerMetadata) {
    let registered = Set(network.registered)
    let plan = RepairPlan(
      metadata: metadata, suspects: mark.suspects, misplaced: { _ in [] },
      isLost: { [mark] in mark.lostBookies.contains($0) && !registered.contains($0) })
    if !plan.lostFromOpenSegment.isEmpty {
      isComplete = false
      let since = plan.lostFromOpenSegment.map(mark.lostMs).min() ?? mark.sinceMs
      if region.metadata.milliseconds - since > region.shape.graceMs { return recover() }
    }
    if plan.waitsForRecovery {
      isComplete = false
      if region.metadata.milliseconds - mark.sinceMs > region.shape.graceMs { return recover() }
    }
    steps = plan.replacements.map(Step.replace) + plan.restorations.map(Step.restore)
    next()
  }

  /// Its writer seems to be dead.
  private func recover() {
    region.tally.note("ledgers closed by repairs")
    region.recover(mark.ledgerID, client) { [self] in
      if isAlive { onEnd(false) }
    }
  }

  private func next() {
    guard isAlive else { return }
    guard !steps.isEmpty else { return onEnd(isComplete) }
    switch steps.removeFirst() {
    case .replace(let replacement): replace(replacement)
    case .restore(let restoration): restore(restoration)
    }
  }

  private func failed() {
    isComplete = false
    next()
  }

  // MARK: Replacing a bookie

  private func replace(_ replacement: RepairPlan.Replacement) {
    let fragment = replacement.fragment
    let others = network.writable.filter { !fragment.ensemble.contains($0) }
    guard !others.isEmpty else { return failed() }
    let target = network.chance.pick(others)
    let entries = Array(fragment.entries(of: replacement.slot))
    let name = { [self] in self.name(target, replacement) }
    if namesFirst { return name() }
    copy(entries[...], fragment, to: target, onlyMissing: false) { [self] isDone in isDone ? name() : failed() }
  }

  private func name(_ target: String, _ replacement: RepairPlan.Replacement) {
    region.metadata.read(mark.ledgerID) { [self] found in
      guard isAlive else { return }
      guard case .ledger(let ledger) = found else { return failed() }
      var new = ledger.metadata
      guard new.replaceMember(of: replacement.fragment, slot: replacement.slot, with: target) else { return failed() }
      region.metadata.write(mark.ledgerID, new, over: ledger.version) { [self] written in
        guard isAlive else { return }
        switch written {
        case .conflict: name(target, replacement)
        case .unknown: failed()
        case .version:
          region.tally.note("bookies replaced by a repair")
          next()
        }
      }
    }
  }

  // MARK: Restoring copies

  private func restore(_ restoration: RepairPlan.Restoration) {
    let entries = Array(
      restoration.fragment.entries(of: restoration.slot, from: restoration.first).prefix { $0 <= restoration.last })
    let bookie = restoration.fragment.ensemble[restoration.slot]
    copy(entries[...], restoration.fragment, to: bookie, onlyMissing: true) { [self] isDone in
      isDone ? next() : failed()
    }
  }

  // MARK: Copying

  private func copy(
    _ entries: ArraySlice<EntryID>, _ fragment: LedgerFragment, to target: String, onlyMissing: Bool,
    _ then: @escaping (Bool) -> Void
  ) {
    guard isAlive else { return }
    guard let entry = entries.first else { return then(true) }
    let goOn = { [self] in copy(entries.dropFirst(), fragment, to: target, onlyMissing: onlyMissing, then) }
    let fetchAndWrite = { [self] in
      let registered = Set(network.registered)
      let holders = fragment.holders(of: entry).filter { $0 != target }
      let sources = holders.filter { registered.contains($0) } + holders.filter { !registered.contains($0) }
      fetch(entry, sources[...]) { [self] bytes in
        guard let bytes else {
          return region.mutation == .repairSkipsWhatItCannotRead ? goOn() : then(false)
        }
        write(entry, bytes, to: target) { $0 ? goOn() : then(false) }
      }
    }
    guard onlyMissing else { return fetchAndWrite() }
    read(entry, from: target) { answer in
      switch answer {
      case .good: goOn()
      case .bad: fetchAndWrite()
      case .silent: then(false)
      }
    }
  }

  private enum Copy {
    case good(ByteBuffer)
    case bad, silent
  }

  private func fetch(_ entry: EntryID, _ sources: ArraySlice<String>, _ answer: @escaping (ByteBuffer?) -> Void) {
    guard let source = sources.first else { return answer(nil) }
    read(entry, from: source) { [self] copy in
      guard case .good(let bytes) = copy else { return fetch(entry, sources.dropFirst(), answer) }
      answer(bytes)
    }
  }

  private func read(_ entry: EntryID, from bookie: String, _ answer: @escaping (Copy) -> Void) {
    let request = ReadRequest(requestID: 1, ledgerID: mark.ledgerID, entryID: entry)
    once(bookie, .read(request)) { [self] response in
      guard case .read(let read)? = response else { return answer(.silent) }
      guard read.code == .ok, let bytes = read.entry,
        (try? SimulatedBookie.codec.decode(bytes, ledgerID: mark.ledgerID, entryID: entry)) != nil
      else { return answer(read.code == .tooManyRequests ? .silent : .bad) }
      answer(.good(bytes))
    }
  }

  private func write(_ entry: EntryID, _ bytes: ByteBuffer, to target: String, _ answer: @escaping (Bool) -> Void) {
    let add = AddRequest(
      requestID: 1, flags: [.recoveryAdd], masterKey: SimulatedBookie.key, ledgerID: mark.ledgerID, entryID: entry,
      entry: EntryBytes(head: bytes))
    once(target, .add(add)) { [self] response in
      guard case .add(let add)? = response, add.code == .ok else { return answer(false) }
      region.tally.note("entries copied by repairs")
      answer(true)
    }
  }

  /// Only the first answer counts.
  private func once(_ bookie: String, _ request: BookieRequest, _ answer: @escaping (BookieResponse?) -> Void) {
    var isAnswered = false
    network.call(client, bookie, request) { [self] response in
      guard isAlive, !isAnswered else { return }
      isAnswered = true
      answer(response)
    }
  }
}
