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

  private var ledgers = LedgerShards()
  private var dirty: [Int64] = []
  private var deletions = DeletionQueue()
  /// What holds for ledgers that are not in the table.
  private(set) var unknown = UnknownLedgers()
  /// Of which unknown ledgers nothing negative may be said.
  var limbo: LimboState { unknown.limbo }
  /// Whether `unknown` differs from the index.
  private var isLimboDirty = false

  /// Number of ledgers, deleted ones not counted.
  var count: Int { ledgers.aliveCount }

  /// Number of ledgers of which a part may be lost.
  var limboCount: Int { ledgers.limboCount }

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

  subscript(ledgerID: Int64) -> Ledger? { ledgers[ledgerID] }

  /// The ledgers come in so many parts: who holds the lock goes through one of them at a time.
  static let partCount = LedgerShards.count

  /// Those ledgers of a part that are not deleted, in no order.
  func ids(inPart part: Int) -> [Int64] { ledgers.ids(in: part) }

  /// Those ledgers of a part of which something may be lost, in no order.
  func limboIDs(inPart part: Int) -> [Int64] { ledgers.limboIDs(in: part) }

  /// Decides over an add and, if it is accepted, remembers it.
  mutating func add(
    _ ledgerID: Int64, entryID: Int64, key: LedgerMasterKey, isRecovery: Bool
  ) -> AddDecision {
    if ledgers.raise(ledgerID, to: entryID, key: key) { return .accept(isNew: false) }
    guard var ledger = ledgers[ledgerID] else {
      var ledger = newLedger(ledgerID)
      // Its fence may have been in what is lost.
      if ledger.fence != .none && !isRecovery { return .fenced }
      ledger.key = key
      ledger.lastEntry = entryID
      markDirty(&ledger, ledgerID)
      ledgers[ledgerID] = ledger
      return .accept(isNew: true)
    }
    if ledger.isDeleted { return .fenced }
    if let known = ledger.key, known != key { return .unauthorized }
    if ledger.fence != .none && !isRecovery { return .fenced }
    let isNew = ledger.key == nil
    if isNew {
      ledger.key = key
      markDirty(&ledger, ledgerID)
    }
    ledger.lastEntry = max(ledger.lastEntry, entryID)
    ledgers[ledgerID] = ledger
    return .accept(isNew: isNew)
  }

  /// Fences a ledger, which is created if it is unknown.
  mutating func fence(_ ledgerID: Int64, key: LedgerMasterKey) -> FenceDecision {
    let known = ledgers[ledgerID]
    var ledger = known ?? newLedger(ledgerID)
    if ledger.isDeleted { return .durable }
    if let known = ledger.key, known != key { return .unauthorized }
    // Whatever holds for unknown ledgers: this one's fence is in the journal before anybody counts on it.
    if known == nil { ledger.fence = .none }
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
    guard var ledger = ledgers[ledgerID], ledger.fence == .journaling else { return }
    ledger.fence = .durable
    ledgers[ledgerID] = ledger
  }

  /// The journal could not take the fence of this ledger. It stays in force, and the next request journals it again.
  mutating func fenceFailed(_ ledgerID: Int64) {
    guard var ledger = ledgers[ledgerID], ledger.fence == .journaling else { return }
    ledger.fence = .pending
    ledgers[ledgerID] = ledger
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
    for part in 0..<Self.partCount {
      for id in ledgers.ids(in: part) where id <= ledgerID {
        guard var ledger = ledgers[id] else { continue }
        ledger.fence = .durable
        ledger.isInLimbo = true
        markDirty(&ledger, id)
        ledgers[id] = ledger
      }
    }
  }

  /// Takes from the index what holds for unknown ledgers.
  mutating func load(_ unknown: UnknownLedgers) {
    self.unknown = unknown
  }

  /// No ledger above this number existed when something was lost.
  mutating func boundLimbo(through ledgerID: Int64) {
    // Those that are known here did exist, whatever their numbers are.
    let highest = (0..<Self.partCount).compactMap { ledgers.limboIDs(in: $0).max() }.max()
    let bound = max(ledgerID, highest ?? -1)
    guard case .through(let last) = limbo, last > bound else { return }
    unknown = UnknownLedgers(limbo: .through(bound), fencedThrough: min(unknown.fencedThrough, bound))
    isLimboDirty = true
  }

  /// A ledger whose entries are not to be here, as the index is to have it: without entries, but fenced. Changes nothing yet.
  /// - Returns: nil if there is nothing to forget, or if nobody may.
  func vacated(_ ledgerID: Int64) -> Ledger? {
    guard var ledger = ledgers[ledgerID], !ledger.isDeleted, !ledger.isInLimbo, ledger.lastEntry >= 0 else {
      return nil
    }
    ledger.lastEntry = -1
    ledger.lastFlushed = -1
    ledger.fence = .durable
    return ledger
  }

  /// The index has no entries of the ledger any more. It stays fenced, and may be written to by recovery again.
  /// - Parameter lastEntry: the highest entry that recovery has added meanwhile; -1 if none.
  mutating func vacate(_ ledgerID: Int64, lastEntry: Int64 = -1) {
    guard var ledger = ledgers[ledgerID], !ledger.isDeleted else { return }
    ledger.lastEntry = lastEntry
    ledger.lastFlushed = -1
    ledger.fence = .durable
    ledgers[ledgerID] = ledger
  }

  /// The ledger's entries were compared with those of its other replicas, and what was missing is here again.
  mutating func leaveLimbo(_ ledgerID: Int64) {
    guard var ledger = ledgers[ledgerID], ledger.isInLimbo else { return }
    ledger.isInLimbo = false
    markDirty(&ledger, ledgerID)
    ledgers[ledgerID] = ledger
  }

  /// As `leaveLimbo`, of the ledgers of one part.
  mutating func leaveLimbo(part: Int) {
    for id in ledgers.limboIDs(in: part) { leaveLimbo(id) }
  }

  /// As `leaveLimbo`, of every ledger, also those that are unknown here.
  mutating func leaveLimbo() {
    guard limbo != .none else { return }
    for part in 0..<Self.partCount where limboCount > 0 { leaveLimbo(part: part) }
    unknown.limbo = .none
    isLimboDirty = true
  }

  /// Takes a ledger from the index.
  mutating func load(_ ledgerID: Int64, _ ledger: Ledger) {
    ledgers[ledgerID] = ledger
    if ledger.isDeleted { deletions.append(ledgerID, at: ledger.lastEntry) }
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
    deletions.append(ledgerID, at: now)
  }

  /// Forgets some of the ledgers that were deleted before `time`: no write can be that late. Returns them.
  mutating func forgetDeleted(before time: Int64, limit: Int = .max) -> [Int64] {
    let old = deletions.take(before: time, limit: limit)
    for id in old where ledgers[id]?.isDeleted == true { ledgers[id] = nil }
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

  /// The ledger as it is known, or a new one.
  private func known(_ ledgerID: Int64) -> Ledger {
    ledgers[ledgerID] ?? newLedger(ledgerID)
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
