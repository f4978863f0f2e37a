/// How far the repair of one bookie in limbo has come. A value: it is told what is marked and what was repaired.
///
/// Every ledger that may be concerned is marked first. The mark of a ledger goes only when all that the bookie should have of it
/// was looked at and is there. When all marks are gone the bookie may leave its limbo.
struct LimboRepair<Version: Equatable> {
  /// What has to be done next.
  enum Action: Equatable {
    /// Mark every ledger up to this one that names the bookie, and tell which those are.
    case mark(through: LedgerID)
    /// See whether the mark of this ledger is still there.
    case check(LedgerID)
    /// Tell the bookie that everything up to this ledger is repaired.
    case tell(through: LedgerID)
  }

  private var version: Version?
  private var through: LedgerID = -1
  private var waiting: [LedgerID] = []
  private var isMarked = false

  /// The bookie's record as it is now. Another one than before is another loss: everything is looked at again.
  mutating func found(_ version: Version, through: LedgerID) {
    guard version != self.version else { return }
    self.version = version
    self.through = through
    isMarked = false
    waiting = []
  }

  var next: Action {
    guard isMarked else { return .mark(through: through) }
    return waiting.last.map { .check($0) } ?? .tell(through: through)
  }

  /// These ledgers name the bookie, and are marked.
  mutating func marked(_ ledgers: [LedgerID]) {
    isMarked = true
    waiting = ledgers
  }

  /// The ledger has no such mark any more.
  mutating func repaired(_ ledger: LedgerID) {
    if waiting.last == ledger { waiting.removeLast() }
  }
}
