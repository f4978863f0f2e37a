import BookieWire
import NIOCore

@testable import Bookie

/// One bookie's real storage over a simulated disk: adds, fences, reads, checkpoints, compaction and deletion at random, killed
/// and started again at random, checked against what it has promised.
final class StorageSimulation {
  /// Deliberate mistakes, to prove that the checks find them.
  enum Mutation: String, CaseIterable, Sendable {
    case acknowledgementBeforeSync, fenceNotDurable, negativeAnswerBeforeFence, markPastUnflushedEntry
    case marksComparedAcrossJournals, checkpointWithoutLedgerIndex, entryLogNotSynced, directoryNotSynced
    case indexNotSynced, sourceRemovedBeforeCopiesAreSynced, damageIsNegative, limboIsNegative
    case deletedLedgersAreForgotten

    /// The first of the seeds that are tried; one near by finds it.
    var firstSeed: UInt64 { self == .limboIsNegative ? 160 : 0 }
  }

  private struct ID: Hashable {
    var ledger: Int64
    var entry: Int64
  }

  let chance: Chance
  let tally: Tally
  private let bookie: SimulatedBookie
  private var acknowledged: Set<ID> = []
  /// The same in the order in which they came, which a seed repeats.
  private var inOrder: [ID] = []
  private var fenced: Set<Int64> = []
  /// Ledgers of which nothing is known any more.
  private var deleted: Set<Int64> = []
  /// Those of them whose deletion is on the disk.
  private var deletedForGood: [Int64] = []
  /// Bits were flipped: an entry may be unknown, but never altered, and never said not to exist.
  private var isDamaged = false
  private var violation: String?
  private var nextLedger: Int64 = 6

  init(seed: UInt64, tally: Tally = Tally(), mutation: Mutation? = nil) throws {
    chance = Chance(seed)
    self.tally = tally
    bookie = try SimulatedBookie(id: "b", chance: chance, tally: tally, clock: SimulatedClock()) {
      if mutation == .deletedLedgersAreForgotten { $0.deletedLedgerMemory = .zero }
    }
    if let mutation { make(mutation) }
  }

  private func make(_ mutation: Mutation) {
    switch mutation {
    case .acknowledgementBeforeSync: bookie.disk.lies = .journalSync
    case .fenceNotDurable: bookie.mistakes.answersBeforeFence = true
    case .negativeAnswerBeforeFence: bookie.mistakes.deniesBeforeFence = true
    case .markPastUnflushedEntry: bookie.changeMarks { $0 }
    case .marksComparedAcrossJournals:
      bookie.changeMarks { marks in
        let last = marks.map(\.sequence).max() ?? 0
        return marks.map { JournalMark(sequence: max($0.sequence, last)) }
      }
    case .checkpointWithoutLedgerIndex: bookie.disk.lies = .ledgersAlone
    case .entryLogNotSynced: bookie.disk.lies = .entryLogSync
    case .directoryNotSynced: bookie.disk.lies = .directorySync
    case .indexNotSynced: bookie.disk.lies = .indexSync
    case .sourceRemovedBeforeCopiesAreSynced:
      bookie.disk.lies = .compactionSource
      bookie.disk.isCompacting = { [weak bookie] in
        bookie?.storage?.state.withLockedValue { $0.compaction != nil } == true
      }
    case .damageIsNegative: bookie.mistakes.damageIsNegative = true
    case .limboIsNegative: bookie.mistakes.limboIsNegative = true
    case .deletedLedgersAreForgotten: break
    }
  }

  static func payload(_ ledger: Int64, _ entry: Int64) -> ByteBuffer {
    ByteBuffer(repeating: UInt8(truncatingIfNeeded: ledger &* 31 &+ entry), count: 20 + Int(entry % 7) * 90)
  }

  func run() throws {
    defer { bookie.crash() }
    for _ in 0..<chance.number(2...4) {
      if chance.percent(60) { bookie.disk.diesAt = bookie.disk.changes + chance.number(1...90) }
      bookie.disk.capacity = chance.percent(25) ? bookie.disk.totalBytes + chance.number(0...40_000) : .max
      bookie.disk.failingReads = chance.percent(20) ? 100 : 0
      for _ in 0..<chance.number(5...30) where !bookie.hasDied { act() }
      // An end in the middle of everything: what was handed over is not worked off.
      if chance.percent(50) { settle() }
      try check()
      try restart()
      verify()
      try check()
    }
    // A sign of life: with faults gone it takes an add, and keeps it.
    let ledger = nextLedger + 1
    bookie.clock.nanoseconds += 20_000_000_000
    settle()
    guard bookie.hasDied || isDamaged || add(ledger, 0) == .ok else { throw Violation("it takes no adds any more") }
  }

  private func check() throws {
    if let violation { throw Violation(violation) }
  }

  // MARK: Work

  private func act() {
    if !deletedForGood.isEmpty, chance.percent(10) { return addLate() }
    let ledger = Int64(chance.number(0...3))
    let target = deleted.contains(ledger) ? nextLedger : ledger
    switch chance.number(0...99) {
    case 0..<62:
      for _ in 0..<chance.number(1...6) { submitAdd(target, Int64(chance.number(0...24))) }
      if chance.percent(50) { settle() }
    case 62..<70: settle()
    case 70..<77:
      fence(target)
      if chance.percent(70) { settle() }
    case 77..<82:
      bookie.storage?.flusher?.submit(.checkpoint {})
      settle()
    case 82..<86:
      bookie.storage?.compactor?.mailbox.push(.trigger(.major) {})
      settle()
    case 86..<88:
      deleted.insert(target)
      nextLedger += 1
      tally.note("deleted ledgers")
      let isKnown = bookie.storage?.ledgerIDs.contains(target) == true
      bookie.storage?.flusher?.submit(.delete([target]) {})
      settle()
      if isKnown, !bookie.hasDied { deletedForGood.append(target) }
    case 88..<92:
      readBack()
    case 92..<94:
      bookie.clock.skewMs += Int64(chance.number(0...200_000_000)) - 100_000_000
      tally.note("jumps of the clock")
    case 94..<96: damage()
    default:
      bookie.clock.nanoseconds += UInt64(chance.number(1...600)) * 1_000_000
      settle()
    }
  }

  private func settle() { bookie.step() }

  private func submitAdd(_ ledger: Int64, _ entry: Int64) {
    let isRecovery = chance.percent(40)
    let wasFenced = fenced.contains(ledger)
    let request = addRequest(ledger, entry, isRecovery: isRecovery)
    bookie.submit(request) { [weak self] response in
      guard let self, case .add(let add) = response, add.code == .ok else { return }
      if wasFenced, !isRecovery { violation = "ledger \(ledger) took entry \(entry) although it was fenced" }
      let id = ID(ledger: ledger, entry: entry)
      if acknowledged.insert(id).inserted { inOrder.append(id) }
      tally.note("entries acknowledged")
    }
  }

  private func addRequest(_ ledger: Int64, _ entry: Int64, isRecovery: Bool) -> BookieRequest {
    .add(
      AddRequest(
        requestID: 1, flags: isRecovery ? .recoveryAdd : [], masterKey: SimulatedBookie.key, ledgerID: ledger,
        entryID: entry,
        entry: SimulatedBookie.codec.encode(
          LedgerEntryHeader(ledgerID: ledger, entryID: entry, lastAddConfirmed: entry - 1, length: entry),
          Self.payload(ledger, entry))))
  }

  private func add(_ ledger: Int64, _ entry: Int64) -> BookieReturnCode? {
    guard case .add(let add)? = bookie.call(addRequest(ledger, entry, isRecovery: false)) else { return nil }
    return add.code
  }

  private func fence(_ ledger: Int64) {
    let read = ReadRequest(
      requestID: 2, flags: .fencing, ledgerID: ledger, entryID: ReadRequest.lastEntry, masterKey: SimulatedBookie.key)
    let known = acknowledged.filter { $0.ledger == ledger }.map(\.entry).max()
    bookie.submit(.read(read)) { [weak self] response in
      guard let self, case .read(let read) = response, read.code == .ok || read.code.isNegative else { return }
      fenced.insert(ledger)
      tally.note("fences promised")
      if let known, read.code.isNegative, !deleted.contains(ledger) {
        violation = "ledger \(ledger) is said to be empty, and has entry \(known)"
      }
    }
  }

  /// Something that was on its way for long must not bring a deleted ledger back.
  private func addLate() {
    let ledger = chance.pick(deletedForGood)
    bookie.submit(addRequest(ledger, Int64(chance.number(0...24)), isRecovery: chance.percent(50))) { [weak self] in
      guard case .add(let add) = $0 else { return }
      self?.tally.note("adds to deleted ledgers")
      if add.code == .ok { self?.violation = "ledger \(ledger) was deleted, and takes entries" }
    }
    settle()
  }

  private func readBack() {
    guard !inOrder.isEmpty else { return }
    settle()
    verify(chance.pick(inOrder))
  }

  /// Flips a bit of what was synced.
  private func damage() {
    guard chance.percent(40) else { return }
    settle()
    if chance.percent(50) ? bookie.disk.flipLog() : bookie.disk.flipJournal() { isDamaged = true }
  }

  // MARK: Crashes and checks

  private func restart() throws {
    tally.note("crashes")
    bookie.crash()
    bookie.disk.capacity = .max
    bookie.disk.failingReads = 0
    for _ in 0..<3 where chance.percent(25) {
      bookie.disk.diesAt = bookie.disk.changes + chance.number(1...30)
      tally.note("starts that were cut short")
      try? bookie.start()
      bookie.crash()
    }
    do { try bookie.start() } catch {
      guard isDamaged else { throw Violation("it does not start: \(error)") }
      tally.note("damaged bookies that refuse to start")
      throw Refused()
    }
    if bookie.hasDied { throw Violation("it ends right after its start") }
    let isInLimbo = bookie.storage?.statistics().isInLimbo == true
    if isInLimbo, !isDamaged { throw Violation("a crash is taken for damage") }
    if isInLimbo { tally.note("starts into limbo") }
  }

  /// A start was refused for damage, which is right.
  struct Refused: Error {}

  private func verify() {
    for id in inOrder { verify(id) }
    for ledger in fenced.sorted() where !deleted.contains(ledger) {
      let code = add(ledger, 90)
      if code == .ok { violation = "the fence of ledger \(ledger) is forgotten" }
    }
  }

  private func verify(_ id: ID) {
    guard violation == nil, !deleted.contains(id.ledger), !bookie.hasDied else { return }
    guard let read = bookie.read(id.ledger, id.entry) else {
      if !bookie.hasDied { violation = "a read of entry \(id.ledger):\(id.entry) is not answered" }
      return
    }
    switch read.code {
    case .ok:
      tally.note("entries verified")
      guard let entry = read.entry,
        let decoded = try? SimulatedBookie.codec.decode(entry, ledgerID: id.ledger, entryID: id.entry),
        decoded.payload == Self.payload(id.ledger, id.entry)
      else { return violation = "entry \(id.ledger):\(id.entry) is altered" }
    case .ioError where isDamaged || bookie.disk.failingReads > 0: tally.note("entries said to be unknown")
    case .unknownLedgerState where isDamaged: tally.note("entries said to be unknown")
    default: violation = "entry \(id.ledger):\(id.entry) was acknowledged, and is answered with: \(read.code)"
    }
  }
}
