/// A ledger that may have too few copies of some entries, or has them in the wrong places: what auto-recovery is to repair.
/// Kept under `/ledgers/underreplicated/ledgers/<id>`.
public struct UnderReplicatedLedger: Codable, Equatable, Sendable {
  /// How far the replacement of one bookie has come; who goes on uses the same target.
  public struct Progress: Codable, Equatable, Sendable {
    /// The first entry of the segment being repaired.
    public var segment: EntryID
    /// The place in the segment's ensemble.
    public var slot: Int
    /// The bookie that gets the copies.
    public var target: String
    /// All entries of the place up to this one are there.
    public var through: EntryID
  }

  /// The ledger.
  public var ledgerID: LedgerID
  /// Bookies of the ledger that were found to be gone, or that are to be emptied.
  public var lostBookies: [String]
  /// Copies in doubt on bookies that are there.
  public var suspects: [SuspectCopies]
  /// Bookies of the ledger that may have lost entries of it without knowing which: all that they should have is looked at.
  /// The number, the highest ledger that existed then, tells one loss from the next. Nil: none.
  public var limbo: [String: LedgerID]?
  /// Whether what was known of the ledger could not be read: all copies are looked at.
  public var isUnreadable: Bool?
  /// Whether copies are in the same failure domain against the placement policy.
  public var isMisplaced: Bool
  /// When it was noticed first, ms since 1970.
  public var sinceMs: Int64
  /// Attempts to repair it that failed.
  public var attempts: Int
  /// No attempt before this time, ms since 1970.
  public var nextAttemptMs: Int64
  /// Why it is not repaired yet; nil if it was not tried.
  public var problem: String?
  /// Entries of which no copy was found on any bookie that answered, in the last attempt.
  public var unrecoverableEntries: Int64
  /// How far an attempt that was broken off has come.
  public var progress: Progress?
  /// When each of the lost bookies was found to be gone, ms since 1970.
  public var lostSinceMs: [String: Int64]?
  /// Counts what was reported, whether or not it was known already: what is reported while a worker repairs may have
  /// happened behind it. Nil: 0.
  public var reports: Int?

  /// In place of a mark that cannot be read.
  init(unreadable ledgerID: LedgerID, sinceMs: Int64) {
    self.init(ledgerID: ledgerID, sinceMs: sinceMs)
    isUnreadable = true
    problem = "what was known of the ledger cannot be read; all copies are looked at."
  }

  /// A mark without any finding.
  init(ledgerID: LedgerID, sinceMs: Int64) {
    self.ledgerID = ledgerID
    lostBookies = []
    suspects = []
    isMisplaced = false
    self.sinceMs = sinceMs
    attempts = 0
    nextAttemptMs = 0
    unrecoverableEntries = 0
  }

  /// Adds bookies that are gone. Returns whether that is news.
  @discardableResult
  mutating func add(lost: Set<String>, nowMs: Int64) -> Bool {
    let new = lost.subtracting(lostBookies)
    for bookie in new { lostSinceMs = (lostSinceMs ?? [:]).merging([bookie: nowMs]) { _, new in new } }
    return report(isNew: !new.isEmpty) { $0.lostBookies = Set($0.lostBookies).union(new).sorted() }
  }

  /// Whether the same is known to be wrong, however often it was reported and tried to repair.
  func hasSameFindings(as other: Self) -> Bool {
    lostBookies == other.lostBookies && suspects == other.suspects && limbo == other.limbo
      && isMisplaced == other.isMisplaced
  }

  /// Since when the bookie has been gone, as far as is known.
  func lostMs(_ bookie: String) -> Int64 { lostSinceMs?[bookie] ?? sinceMs }

  /// Forgets bookies that are back: should they go again, that is another loss.
  mutating func drop(lost isBack: (String) -> Bool) {
    lostBookies.removeAll(where: isBack)
    lostSinceMs = lostSinceMs?.filter { !isBack($0.key) }
  }

  /// Adds a bookie that may have lost entries of any ledger up to `through`. Returns whether that is news.
  @discardableResult
  mutating func add(limbo bookie: String, through: LedgerID) -> Bool {
    report(isNew: limbo?[bookie] != through) {
      $0.limbo = ($0.limbo ?? [:]).merging([bookie: through]) { _, new in new }
    }
  }

  /// Copies are in the same failure domain. Returns whether that is news.
  @discardableResult
  mutating func addMisplaced() -> Bool {
    report(isNew: !isMisplaced) { $0.isMisplaced = true }
  }

  private mutating func report(isNew: Bool, _ change: (inout Self) -> Void) -> Bool {
    reports = (reports ?? 0) + 1
    guard isNew else { return false }
    change(&self)
    nextAttemptMs = 0
    return true
  }

  /// All copies in doubt: those that are named, and whatever bookies in limbo should have.
  func suspects(of metadata: LedgerMetadata) -> [SuspectCopies] {
    let limbo = limbo ?? [:]
    guard isUnreadable == true || !limbo.isEmpty else { return suspects }
    let whole = metadata.fragments.flatMap { fragment in
      fragment.ensemble.filter { isUnreadable == true || limbo[$0] != nil }.map {
        SuspectCopies(bookie: $0, first: fragment.firstEntry, last: fragment.lastEntry)
      }
    }
    return SuspectCopies.merged(suspects + whole)
  }

  /// Adds copies in doubt. Returns whether that is news.
  @discardableResult
  mutating func add(suspects more: [SuspectCopies]) -> Bool {
    let merged = SuspectCopies.merged(suspects + more)
    return report(isNew: merged != suspects) { $0.suspects = merged }
  }
}
