import BookieWire

/// Whether a part of the journal was lost.
enum LimboState: Equatable, Sendable {
  case none
  /// Yes. A ledger up to this number that is unknown here may have been in that part.
  case through(Int64)
}

/// What is known of ledgers that have no record here, after something was lost.
struct UnknownLedgers: Equatable, Sendable {
  var limbo = LimboState.none
  /// Up to this number they are fenced, also when everything has been repaired: a fence of a ledger without entries is nowhere
  /// else. New ledgers have higher numbers. -1: none.
  var fencedThrough: Int64 = -1
}

/// What a bookie knows of each ledger: its key, whether it is fenced, whether it was deleted, its last entry. Decides who may
/// write. A decision and the insertion that follows it happen under one lock, so that no add slips past a fence.
struct LedgerFenceTable {
  /// How far a fence has come.
  enum Fence: UInt8 {
    case none
    /// In force, but the journal could not take it.
    case pending
    /// In force, and on its way to the journal.
    case journaling
    /// In force, and it survives a crash.
    case durable
  }

  /// One ledger.
  struct Ledger {
    /// Nil until a client has shown it.
    var key: LedgerMasterKey?
    var fence = Fence.none
    /// Metadata has no such ledger any more. Kept so that a late write cannot bring it back.
    var isDeleted = false
    /// A part of the journal was lost that may have held entries of it: nothing negative may be said about it.
    var isInLimbo = false
    /// The highest entry ever added; -1 if none. Of a deleted ledger the time of its deletion, in ms since 1970.
    var lastEntry: Int64 = -1
    /// The highest entry in an entry log; -1 if none.
    var lastFlushed: Int64 = -1
    /// Whether it differs from the ledger index.
    var isDirty = false
  }

  /// May this entry be added?
  enum AddDecision: Equatable {
    /// Yes; `isNew`: the key must be journaled with it.
    case accept(isNew: Bool)
    case fenced
    case unauthorized
  }

  /// What must happen before a fencing read is answered?
  enum FenceDecision: Equatable {
    /// Nothing: the fence is durable.
    case durable
    /// The fence must be journaled.
    case journal
    /// Another request has sent the fence to the journal; wait until what is queued there is synced.
    case wait
    case unauthorized
  }

  private var ledgers: [Int64: Ledger] = [:]
  private var dirty: [Int64] = []
  /// What holds for ledgers that are not in the table.
  private(set) var unknown = UnknownLedgers()
  /// Of which unknown ledgers nothing negative may be said.
  var limbo: LimboState { unknown.limbo }
  /// Whether `unknown` differs from the index.
  private var isLimboDirty = false

  /// Number of ledgers, deleted ones not counted.
  private(set) var count = 0

  /// Whether anything differs from the index.
  var hasDirty: Bool { !dirty.isEmpty || isLimboDirty }

  /// Whether it is unknown what was once stored of the ledger.
  func isInLimbo(_ ledgerID: Int64) -> Bool {
    if let ledger = ledgers[ledgerID] { return ledger.isInLimbo }
    return isUnknownInLimbo(ledgerID)
  }

  private func isUnknownInLimbo(_ ledgerID: Int64) -> Bool {
    if case .through(let last) = limbo { return ledgerID <= last }
    return false
  }

  /// The ledgers of which a part may be lost.
  var limboIDs: [Int64] { ledgers.filter { $0.value.isInLimbo && !$0.value.isDeleted }.map(\.key).sorted() }

  subscript(ledgerID: Int64) -> Ledger? { ledgers[ledgerID] }

  /// The ledgers that are not deleted.
  var ids: [Int64] { ledgers.filter { !$0.value.isDeleted }.map(\.key) }

  /// Decides over an add and, if it is accepted, remembers it.
  mutating func add(
    _ ledgerID: Int64, entryID: Int64, key: LedgerMasterKey, isRecovery: Bool
  ) -> AddDecision {
    guard let index = ledgers.index(forKey: ledgerID) else {
      var ledger = newLedger(ledgerID)
      // Its fence may have been in what is lost.
      if ledger.fence != .none && !isRecovery { return .fenced }
      ledger.key = key
      ledger.lastEntry = entryID
      markDirty(&ledger, ledgerID)
      ledgers[ledgerID] = ledger
      count += 1
      return .accept(isNew: true)
    }
    var ledger = ledgers.values[index]
    if ledger.isDeleted { return .fenced }
    if let known = ledger.key, known != key { return .unauthorized }
    if ledger.fence != .none && !isRecovery { return .fenced }
    let isNew = ledger.key == nil
    if isNew {
      ledger.key = key
      markDirty(&ledger, ledgerID)
    }
    if isNew || entryID > ledger.lastEntry {
      ledger.lastEntry = max(ledger.lastEntry, entryID)
      // By its place: the ledger was looked up already.
      ledgers.values[index] = ledger
    }
    return .accept(isNew: isNew)
  }

  /// Fences a ledger, which is created if it is unknown.
  mutating func fence(_ ledgerID: Int64, key: LedgerMasterKey) -> FenceDecision {
    let known = ledgers[ledgerID]
    var ledger = known ?? newLedger(ledgerID)
    if ledger.isDeleted { return .durable }
    if let known = ledger.key, known != key { return .unauthorized }
    // Whatever holds for unknown ledgers: this one's fence is in the journal before anybody counts on it.
    if known == nil {
      ledger.fence = .none
      count += 1
    }
    ledger.key = key
    defer { ledgers[ledgerID] = ledger }
    switch ledger.fence {
    case .durable: return .durable
    case .journaling: return .wait
    case .none, .pending:
      ledger.fence = .journaling
      markDirty(&ledger, ledgerID)
      return .journal
    }
  }

  /// The fence of this ledger is in the journal.
  mutating func fenceSynced(_ ledgerID: Int64) {
    guard ledgers[ledgerID]?.fence == .journaling else { return }
    ledgers[ledgerID]?.fence = .durable
  }

  /// The journal could not take the fence of this ledger. It stays in force, and the next request journals it again.
  mutating func fenceFailed(_ ledgerID: Int64) {
    guard ledgers[ledgerID]?.fence == .journaling else { return }
    ledgers[ledgerID]?.fence = .pending
  }

  /// A part of the journal was lost. Nothing negative may be said about any ledger, and all are fenced: the lost part may have
  /// held a fence, and one too many only costs availability.
  /// - Parameter ledgerID: the highest ledger that may have been in it.
  mutating func enterLimbo(through ledgerID: Int64) {
    if case .through(let last) = limbo, last > ledgerID {
      unknown.limbo = .through(last)
    } else {
      unknown.limbo = .through(ledgerID)
    }
    unknown.fencedThrough = max(unknown.fencedThrough, ledgerID)
    isLimboDirty = true
    for (id, var ledger) in ledgers where id <= ledgerID && !ledger.isDeleted {
      ledger.fence = .durable
      ledger.isInLimbo = true
      markDirty(&ledger, id)
      ledgers[id] = ledger
    }
  }

  /// Takes from the index what holds for unknown ledgers.
  mutating func load(_ unknown: UnknownLedgers) {
    self.unknown = unknown
  }

  /// No ledger above this number existed when something was lost.
  mutating func boundLimbo(through ledgerID: Int64) {
    // Those that are known here did exist, whatever their numbers are.
    let bound = max(ledgerID, limboIDs.last ?? -1)
    guard case .through(let last) = limbo, last > bound else { return }
    unknown = UnknownLedgers(limbo: .through(bound), fencedThrough: min(unknown.fencedThrough, bound))
    isLimboDirty = true
  }

  /// Forgets the entries of a ledger that are not to be here. It stays fenced, and may be written to by recovery again.
  /// - Returns: the ledger as it is now; nil if there is nothing to forget, or if nobody may.
  mutating func vacate(_ ledgerID: Int64) -> Ledger? {
    guard var ledger = ledgers[ledgerID], !ledger.isDeleted, !ledger.isInLimbo, ledger.lastEntry >= 0 else {
      return nil
    }
    ledger.lastEntry = -1
    ledger.lastFlushed = -1
    ledger.fence = .durable
    ledgers[ledgerID] = ledger
    return ledger
  }

  /// The ledger's entries were compared with those of its other replicas, and what was missing is here again.
  mutating func leaveLimbo(_ ledgerID: Int64) {
    guard var ledger = ledgers[ledgerID], ledger.isInLimbo else { return }
    ledger.isInLimbo = false
    markDirty(&ledger, ledgerID)
    ledgers[ledgerID] = ledger
  }

  /// As `leaveLimbo`, of every ledger, also those that are unknown here.
  mutating func leaveLimbo() {
    guard limbo != .none else { return }
    for id in limboIDs { leaveLimbo(id) }
    unknown.limbo = .none
    isLimboDirty = true
  }

  /// Takes a ledger from the index.
  mutating func load(_ ledgerID: Int64, _ ledger: Ledger) {
    ledgers[ledgerID] = ledger
    if !ledger.isDeleted { count += 1 }
  }

  /// Takes an entry from the journal; false if the ledger is deleted.
  mutating func replayEntry(_ ledgerID: Int64, entryID: Int64) -> Bool {
    var ledger = known(ledgerID)
    guard !ledger.isDeleted else { return false }
    ledger.lastEntry = max(ledger.lastEntry, entryID)
    markDirty(&ledger, ledgerID)
    ledgers[ledgerID] = ledger
    return true
  }

  /// Takes a key, and maybe a fence, from the journal.
  mutating func replayLedger(_ ledgerID: Int64, key: LedgerMasterKey, isFenced: Bool) {
    var ledger = known(ledgerID)
    guard !ledger.isDeleted else { return }
    ledger.key = ledger.key ?? key
    if isFenced { ledger.fence = .durable }
    markDirty(&ledger, ledgerID)
    ledgers[ledgerID] = ledger
  }

  /// Entries up to `entryID` are in an entry log.
  mutating func flushed(_ ledgerID: Int64, through entryID: Int64) {
    guard var ledger = ledgers[ledgerID], entryID > ledger.lastFlushed else { return }
    ledger.lastFlushed = entryID
    ledgers[ledgerID] = ledger
  }

  /// Metadata has no such ledger any more.
  /// - Parameter now: milliseconds since 1970.
  mutating func delete(_ ledgerID: Int64, now: Int64) {
    guard var ledger = ledgers[ledgerID], !ledger.isDeleted else { return }
    ledger.isDeleted = true
    ledger.isInLimbo = false
    ledger.lastEntry = now
    ledger.lastFlushed = -1
    ledgers[ledgerID] = ledger
    count -= 1
  }

  /// Forgets ledgers that were deleted before `time`: no write can be that late. Returns them.
  mutating func forgetDeleted(before time: Int64) -> [Int64] {
    let old = ledgers.filter { $0.value.isDeleted && $0.value.lastEntry < time }.map(\.key).sorted()
    for id in old { ledgers[id] = nil }
    return old
  }

  /// What differs from the index, which the caller writes before the journal is released. Put it back with `markDirty` if it
  /// cannot.
  mutating func takeDirty() -> [(id: Int64, ledger: Ledger)] {
    var taken: [(id: Int64, ledger: Ledger)] = []
    for id in dirty {
      guard var ledger = ledgers[id], ledger.isDirty else { continue }
      ledger.isDirty = false
      ledgers[id] = ledger
      taken.append((id, ledger))
    }
    dirty = []
    return taken
  }

  /// What holds for unknown ledgers, if it differs from the index.
  mutating func takeDirtyLimbo() -> UnknownLedgers? {
    defer { isLimboDirty = false }
    return isLimboDirty ? unknown : nil
  }

  /// The ledgers must be written to the index again.
  mutating func markDirty(_ ids: [Int64]) {
    for id in ids {
      guard var ledger = ledgers[id] else { continue }
      markDirty(&ledger, id)
      ledgers[id] = ledger
    }
  }

  /// The ledger as it is known, or a new one, which is counted.
  private mutating func known(_ ledgerID: Int64) -> Ledger {
    if let known = ledgers[ledgerID] { return known }
    count += 1
    return newLedger(ledgerID)
  }

  /// A ledger that has no record here.
  private func newLedger(_ ledgerID: Int64) -> Ledger {
    let isInLimbo = isUnknownInLimbo(ledgerID)
    return Ledger(fence: isInLimbo || ledgerID <= unknown.fencedThrough ? .durable : .none, isInLimbo: isInLimbo)
  }

  private mutating func markDirty(_ ledger: inout Ledger, _ id: Int64) {
    guard !ledger.isDirty else { return }
    ledger.isDirty = true
    dirty.append(id)
  }
}
