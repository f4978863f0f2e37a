import DequeModule
import NIOCore

/// Decides what a ledger's writer does: whom to send an entry, when it counts as written, when bookies are replaced.
///
/// A value without I/O: each event appends the actions that follow from it. The rules:
/// - An entry is confirmed when its ack quorum is in **and** every entry before it is confirmed.
/// - While bookies are being replaced the last confirmed entry does not move, so the new segment starts exactly behind it.
/// - Each place of the ensemble has a generation. Answers to sends of an older generation never count.
/// - A failure of an entry that is already confirmed is acted upon with the next append, or after a while without one.
/// - Without a replacement the place stays empty as long as every write set still has its ack quorum.
/// - Which confirmed entries a bookie may not have is known, and said when the bookie has failed. Before a segment may
///   end everything is said that is known of any bookie: whoever comes after this writer looks at the last segment only.
struct LedgerWriter {
  private enum SlotState { case healthy, failed, absent }

  private struct Slot {
    var generation: UInt32 = 0
    var state = SlotState.healthy
    /// Confirmed entries that the bookie was sent and has not acknowledged yet, rising; none that were said.
    var late = Deque<EntryID>()
    /// Confirmed entries that it may never get; not said yet.
    var incomplete: SuspectCopies?
  }

  private struct Pending {
    var acks: UInt64 = 0
    var size: Int
    var cumulativeLength: Int64
    var appendedAt: NIODeadline
    var sentAt: NIODeadline
  }

  let ledgerID: LedgerID
  let striping: LedgerStriping
  private let confirmation: Confirmation
  private let addTimeout: TimeAmount
  private let quorumTimeout: TimeAmount?
  private let retryDelay: TimeAmount

  private(set) var ensemble: [String]
  private(set) var lastAddConfirmed: EntryID
  /// Payload bytes up to the last confirmed entry.
  private(set) var confirmedLength: Int64
  /// Payload bytes of all entries, confirmed or not.
  private(set) var length: Int64
  private(set) var nextEntry: EntryID
  private(set) var pendingBytes = 0
  private(set) var failure: LedgerError?
  private(set) var change: EnsembleChange?

  private var slots: [Slot]
  private var pending = Deque<Pending>()
  private var retryAt = NIODeadline.distantFuture

  init(
    ledgerID: LedgerID, striping: LedgerStriping, ensemble: [String], lastAddConfirmed: EntryID = -1,
    confirmedLength: Int64 = 0, confirmation: Confirmation = .ackQuorum, addTimeout: TimeAmount = .seconds(5),
    quorumTimeout: TimeAmount? = nil, retryDelay: TimeAmount = .seconds(5)
  ) {
    precondition(ensemble.count == striping.ensembleSize && striping.ensembleSize <= 64)
    self.ledgerID = ledgerID
    self.striping = striping
    self.confirmation = confirmation
    self.addTimeout = addTimeout
    self.quorumTimeout = quorumTimeout
    self.retryDelay = retryDelay
    self.ensemble = ensemble
    self.lastAddConfirmed = lastAddConfirmed
    self.confirmedLength = confirmedLength
    self.length = confirmedLength
    self.nextEntry = lastAddConfirmed + 1
    self.slots = Array(repeating: Slot(), count: ensemble.count)
  }

  private var isFinished = false

  /// Whether nothing is outstanding: no entry, no change of bookies.
  var isIdle: Bool { pending.isEmpty && change == nil }
  var pendingCount: Int { pending.count }
  /// Whether `tick` has something to watch.
  var needsTicks: Bool {
    failure == nil && !isFinished && (!pending.isEmpty || slots.contains { $0.state != .healthy })
  }
  /// The places that have no bookie at present.
  var absentSlots: [Int] { slots.indices.filter { slots[$0].state == .absent } }

  // MARK: Events

  /// An entry of `size` payload bytes is appended: its number, or nil if the ledger has failed.
  mutating func append(size: Int, now: NIODeadline, _ actions: inout [Action]) -> EntryID? {
    guard failure == nil else { return nil }
    if change == nil, slots.contains(where: { $0.state == .failed }) { startChange(&actions) }
    let entry = nextEntry
    nextEntry += 1
    length += Int64(size)
    pendingBytes += size
    pending.append(Pending(size: size, cumulativeLength: length, appendedAt: now, sentAt: now))
    for index in 0..<striping.writeQuorum {
      let slot = striping.slot(index, of: entry)
      if slots[slot].state == .healthy {
        actions.append(.send(entry, slot: slot, generation: slots[slot].generation))
      }
    }
    return entry
  }

  /// The bookie at `slot` has the entry durably.
  mutating func acknowledged(_ entry: EntryID, slot: Int, generation: UInt32, _ actions: inout [Action]) {
    guard failure == nil, slots.indices.contains(slot), slots[slot].generation == generation else { return }
    let index = entry - lastAddConfirmed - 1
    guard index >= 0 else { return arrived(entry, slot) }
    guard index < Int64(pending.count), striping.contains(slot, for: entry) else { return }
    pending[Int(index)].acks |= 1 << UInt64(slot)
    if index == 0 { advance(&actions) }
  }

  /// The bookie at `slot` refused the entry, did not answer in time, or is gone.
  mutating func failed(
    _ entry: EntryID, slot: Int, generation: UInt32, _ reason: Failure, _ actions: inout [Action]
  ) {
    guard failure == nil else { return }
    switch reason {
    case .fenced where !isFinished: return fail(.fenced(ledgerID), &actions)
    case .unauthorized where !isFinished: return fail(.unauthorized(ledgerID), &actions)
    case .bookie, .fenced, .unauthorized: break
    }
    guard slots.indices.contains(slot), slots[slot].generation == generation, slots[slot].state == .healthy else {
      return
    }
    fail(slot)
    if !isFinished, change == nil, !pending.isEmpty {
      startChange(&actions)
    } else {
      // Nothing may follow for long, or ever.
      sayIncomplete(slot, &actions)
    }
  }

  /// The bookies at these places have gone for good, as far as one can know: they are replaced without waiting for an add
  /// that fails, or for the next append.
  mutating func gone(_ places: [Int], _ actions: inout [Action]) {
    guard failure == nil, !isFinished else { return }
    var isNews = false
    for slot in places where slots.indices.contains(slot) && slots[slot].state != .absent {
      if slots[slot].state == .healthy { fail(slot) }
      isNews = true
    }
    if isNews, change == nil { startChange(&actions) }
  }

  /// There may be bookies now for the places that have none.
  mutating func lookAgain(_ actions: inout [Action]) {
    guard failure == nil, !isFinished, change == nil, !absentSlots.isEmpty else { return }
    startChange(&actions)
  }

  /// The ledger is about to be closed: nothing is appended any more. All copies are said that no bookie has acknowledged;
  /// late acknowledgements may still come, and do not matter.
  mutating func finish(_ actions: inout [Action]) {
    guard !isFinished else { return }
    isFinished = true
    sayAllThatIsMissing(&actions)
  }

  /// Whether some bookie has not acknowledged all that is confirmed, and still may.
  var hasLateCopies: Bool { slots.contains { !$0.late.isEmpty } }

  /// The client ends: no answer will come any more.
  mutating func shutDown(_ actions: inout [Action]) {
    guard failure == nil else { return }
    if isFinished { sayAllThatIsMissing(&actions) } else { fail(.shutDown, &actions) }
  }

  /// The segment from `change.firstEntry` on is recorded with `newEnsemble`. Places of the change that are not in
  /// `replaced` found no other bookie.
  mutating func ensembleChanged(
    _ newEnsemble: [String], replaced: [Int], now: NIODeadline, _ actions: inout [Action]
  ) {
    guard failure == nil, let change else { return }
    precondition(newEnsemble.count == ensemble.count)
    self.change = nil
    var replacedBits: UInt64 = 0
    for slot in change.slots {
      sayIncomplete(slot, &actions)
      if replaced.contains(slot) {
        slots[slot].generation += 1
        slots[slot].state = .healthy
        replacedBits |= 1 << UInt64(slot)
      } else {
        slots[slot].state = .absent
      }
    }
    ensemble = newEnsemble
    resend(to: replacedBits, now: now, &actions)
    guard striping.everyWriteSetReachesAckQuorum({ slots[$0].state != .absent }) else {
      return fail(
        .notEnoughBookies(
          needed: striping.ensembleSize, available: slots.count { $0.state != .absent }), &actions)
    }
    retryAt = slots.contains { $0.state == .absent } ? now + retryDelay : .distantFuture
    if !pending.isEmpty, slots.contains(where: { $0.state == .failed }) {
      startChange(&actions)
    } else {
      advance(&actions)
    }
  }

  /// The segment could not be recorded: the ledger is no longer ours to write, or the metadata store failed.
  mutating func ensembleChangeFailed(_ error: LedgerError, _ actions: inout [Action]) {
    guard failure == nil, change != nil else { return }
    change = nil
    fail(error, &actions)
  }

  /// Time has passed.
  mutating func tick(now: NIODeadline, _ actions: inout [Action]) {
    guard failure == nil, !isFinished else { return }
    if let quorumTimeout, let oldest = pending.first, oldest.appendedAt + quorumTimeout <= now {
      return fail(
        .timeout("entry \(lastAddConfirmed + 1) of ledger \(ledgerID) did not reach its ack quorum."), &actions)
    }
    var timedOut = false
    for index in pending.indices {
      guard pending[index].sentAt + addTimeout <= now else { break }
      let entry = lastAddConfirmed + 1 + EntryID(index)
      for position in 0..<striping.writeQuorum {
        let slot = striping.slot(position, of: entry)
        if slots[slot].state == .healthy, pending[index].acks & (1 << UInt64(slot)) == 0 {
          fail(slot)
          timedOut = true
        }
      }
    }
    guard change == nil else { return }
    if timedOut {
      startChange(&actions)
    } else if retryAt <= now {
      retryAt = now + retryDelay
      // No segment ends before there are other bookies: what is late for those that are there may still come.
      if absentSlots.count == slots.count(where: { $0.state != .healthy }) {
        actions.append(.lookForBookies)
      } else {
        startChange(&actions)
      }
    } else if retryAt == .distantFuture, slots.contains(where: { $0.state == .failed }) {
      retryAt = now + retryDelay
    }
  }

  // MARK: Rules

  private mutating func startChange(_ actions: inout [Action]) {
    retryAt = .distantFuture
    let started = EnsembleChange(
      firstEntry: lastAddConfirmed + 1, ensemble: ensemble,
      slots: slots.indices.filter { slots[$0].state != .healthy }, vacant: absentSlots)
    change = started
    sayAllThatIsMissing(&actions)
    actions.append(.changeEnsemble(started))
  }

  private mutating func resend(to replaced: UInt64, now: NIODeadline, _ actions: inout [Action]) {
    guard replaced != 0 else { return }
    for index in pending.indices {
      let entry = lastAddConfirmed + 1 + EntryID(index)
      for position in 0..<striping.writeQuorum {
        let slot = striping.slot(position, of: entry)
        guard replaced & (1 << UInt64(slot)) != 0 else { continue }
        pending[index].acks &= ~(1 << UInt64(slot))
        pending[index].sentAt = now
        actions.append(.send(entry, slot: slot, generation: slots[slot].generation))
      }
    }
  }

  private func isWritten(_ entry: EntryID, _ acks: UInt64) -> Bool {
    guard acks.nonzeroBitCount >= striping.ackQuorum else { return false }
    switch confirmation {
    case .ackQuorum: return true
    case .everyReachable:
      return (0..<striping.writeQuorum).allSatisfy { position in
        let slot = striping.slot(position, of: entry)
        return acks & (1 << UInt64(slot)) != 0 || slots[slot].state == .absent
      }
    }
  }

  private mutating func advance(_ actions: inout [Action]) {
    guard change == nil else { return }
    let before = lastAddConfirmed
    while let first = pending.first, isWritten(lastAddConfirmed + 1, first.acks) {
      pending.removeFirst()
      pendingBytes -= first.size
      confirmedLength = first.cumulativeLength
      lastAddConfirmed += 1
      if first.acks.nonzeroBitCount < striping.writeQuorum { noteMissing(lastAddConfirmed, first.acks) }
    }
    if lastAddConfirmed != before { actions.append(.confirm(through: lastAddConfirmed)) }
  }

  // MARK: Copies

  /// The entry is confirmed, and not all of its write set have acknowledged it.
  private mutating func noteMissing(_ entry: EntryID, _ acks: UInt64) {
    for position in 0..<striping.writeQuorum {
      let slot = striping.slot(position, of: entry)
      guard acks & (1 << UInt64(slot)) == 0 else { continue }
      if slots[slot].state == .healthy {
        slots[slot].late.append(entry)
      } else {
        noteIncomplete(slot, entry)
      }
    }
  }

  /// A bookie acknowledged an entry that is confirmed already.
  private mutating func arrived(_ entry: EntryID, _ slot: Int) {
    if slots[slot].late.first == entry {
      slots[slot].late.removeFirst()
      return
    }
    // There may be a million of them.
    var low = 0
    var high = slots[slot].late.count
    while low < high {
      let middle = (low + high) / 2
      if slots[slot].late[middle] < entry { low = middle + 1 } else { high = middle }
    }
    if low < slots[slot].late.count, slots[slot].late[low] == entry { slots[slot].late.remove(at: low) }
  }

  private mutating func fail(_ slot: Int) {
    slots[slot].state = .failed
    giveUpLate(slot)
  }

  private mutating func giveUpLate(_ slot: Int) {
    for entry in [slots[slot].late.first, slots[slot].late.last].compactMap({ $0 }) { noteIncomplete(slot, entry) }
    slots[slot].late.removeAll()
  }

  private mutating func sayAllThatIsMissing(_ actions: inout [Action]) {
    for slot in slots.indices {
      giveUpLate(slot)
      sayIncomplete(slot, &actions)
    }
  }

  private mutating func noteIncomplete(_ slot: Int, _ entry: EntryID) {
    var copies = slots[slot].incomplete ?? SuspectCopies(bookie: ensemble[slot], first: entry, last: entry)
    copies.first = min(copies.first, entry)
    copies.last = max(copies.last, entry)
    slots[slot].incomplete = copies
  }

  private mutating func sayIncomplete(_ slot: Int, _ actions: inout [Action]) {
    guard let copies = slots[slot].incomplete else { return }
    slots[slot].incomplete = nil
    actions.append(.incomplete(copies))
  }

  private mutating func fail(_ error: LedgerError, _ actions: inout [Action]) {
    // What is late may still arrive, but nobody will hear of it.
    sayAllThatIsMissing(&actions)
    failure = error
    change = nil
    pending.removeAll()
    pendingBytes = 0
    actions.append(.fail(from: lastAddConfirmed + 1, error))
  }
}
