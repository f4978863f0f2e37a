import BookieWire

/// What a bookie knows of each ledger: its key, whether it is fenced, whether it was deleted, its last entry. Decides who may
/// write. A decision and the insertion that follows it happen under one lock, so that no add slips past a fence.
struct LedgerFenceTable {
  /// How far a fence has come.
  enum Fence: UInt8 {
    case none
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
    /// The highest entry ever added; -1 if none.
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

  /// Number of ledgers, deleted ones not counted.
  private(set) var count = 0

  /// Whether anything differs from the index.
  var hasDirty: Bool { !dirty.isEmpty }

  subscript(ledgerID: Int64) -> Ledger? { ledgers[ledgerID] }

  /// The ledgers that are not deleted.
  var ids: [Int64] { ledgers.filter { !$0.value.isDeleted }.map(\.key) }

  /// Decides over an add and, if it is accepted, remembers it.
  mutating func add(
    _ ledgerID: Int64, entryID: Int64, key: LedgerMasterKey, isRecovery: Bool
  ) -> AddDecision {
    guard var ledger = ledgers[ledgerID] else {
      ledgers[ledgerID] = Ledger(key: key, lastEntry: entryID, isDirty: true)
      dirty.append(ledgerID)
      count += 1
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
    if isNew || entryID > ledger.lastEntry {
      ledger.lastEntry = max(ledger.lastEntry, entryID)
      ledgers[ledgerID] = ledger
    }
    return .accept(isNew: isNew)
  }

  /// Fences a ledger, which is created if it is unknown.
  mutating func fence(_ ledgerID: Int64, key: LedgerMasterKey) -> FenceDecision {
    var ledger = ledgers[ledgerID] ?? newLedger()
    if ledger.isDeleted { return .durable }
    if let known = ledger.key, known != key { return .unauthorized }
    ledger.key = key
    defer { ledgers[ledgerID] = ledger }
    switch ledger.fence {
    case .durable: return .durable
    case .journaling: return .wait
    case .none:
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

  /// Fences every ledger: what was lost of the journal may have held a fence, and one too many only costs availability.
  mutating func fenceAll() {
    for (id, var ledger) in ledgers where ledger.fence != .durable && !ledger.isDeleted {
      ledger.fence = .durable
      markDirty(&ledger, id)
      ledgers[id] = ledger
    }
  }

  /// Takes a ledger from the index.
  mutating func load(_ ledgerID: Int64, _ ledger: Ledger) {
    ledgers[ledgerID] = ledger
    if !ledger.isDeleted { count += 1 }
  }

  /// Takes an entry from the journal; false if the ledger is deleted.
  mutating func replayEntry(_ ledgerID: Int64, entryID: Int64) -> Bool {
    var ledger = ledgers[ledgerID] ?? newLedger()
    guard !ledger.isDeleted else { return false }
    ledger.lastEntry = max(ledger.lastEntry, entryID)
    markDirty(&ledger, ledgerID)
    ledgers[ledgerID] = ledger
    return true
  }

  /// Takes a key, and maybe a fence, from the journal.
  mutating func replayLedger(_ ledgerID: Int64, key: LedgerMasterKey, isFenced: Bool) {
    var ledger = ledgers[ledgerID] ?? newLedger()
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
  mutating func delete(_ ledgerID: Int64) {
    guard var ledger = ledgers[ledgerID], !ledger.isDeleted else { return }
    ledger.isDeleted = true
    ledgers[ledgerID] = ledger
    count -= 1
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

  /// The ledgers must be written to the index again.
  mutating func markDirty(_ ids: [Int64]) {
    for id in ids {
      guard var ledger = ledgers[id] else { continue }
      markDirty(&ledger, id)
      ledgers[id] = ledger
    }
  }

  private mutating func newLedger() -> Ledger {
    count += 1
    return Ledger()
  }

  private mutating func markDirty(_ ledger: inout Ledger, _ id: Int64) {
    guard !ledger.isDirty else { return }
    ledger.isDirty = true
    dirty.append(id)
  }
}
