/// What has to be done so that every final entry of a ledger has all its copies where they belong. A value without I/O.
struct RepairPlan: Equatable {
  /// A bookie of a fragment has to be replaced by another, which gets copies of all that its place holds.
  struct Replacement: Equatable {
    var fragment: LedgerFragment
    var slot: Int
    /// Another failure domain is wanted, not another bookie: without a better one nothing is done.
    var isForPlacement = false
  }

  /// Copies on a bookie that is there have to be looked at, and made again where they are missing or damaged.
  struct Restoration: Equatable {
    var fragment: LedgerFragment
    var slot: Int
    var first: EntryID
    var last: EntryID
  }

  var replacements: [Replacement] = []
  var restorations: [Restoration] = []
  /// Bookies of the segment that is being written which are gone: nobody but the ledger's writer, or a recovery, may
  /// replace them.
  var lostFromOpenSegment: [String] = []
  /// Whether copies are in doubt on bookies that a recovery may be about to name.
  var waitsForRecovery = false

  /// - Parameters:
  ///   - suspects: copies in doubt, which those who report them know to be acknowledged.
  ///   - misplaced: the places of a fragment whose bookies should be in another failure domain.
  ///   - isLost: whether a bookie is gone, or being emptied.
  init(
    metadata: LedgerMetadata, suspects: [SuspectCopies], misplaced: (LedgerFragment) -> [Int],
    isLost: (String) -> Bool
  ) {
    let fragments = metadata.fragments
    for fragment in fragments {
      var replaced: Set<Int> = []
      for (slot, bookie) in fragment.ensemble.enumerated() where isLost(bookie) && fragment.isUsed(slot) {
        replacements.append(Replacement(fragment: fragment, slot: slot))
        replaced.insert(slot)
      }
      if replaced.isEmpty {
        for slot in misplaced(fragment) where fragment.isUsed(slot) {
          replacements.append(Replacement(fragment: fragment, slot: slot, isForPlacement: true))
        }
      }
    }
    if metadata.state != .closed { lostFromOpenSegment = metadata.lastSegment.ensemble.filter(isLost) }
    var reachable = fragments
    if metadata.state != .closed {
      reachable.append(
        LedgerFragment(
          firstEntry: metadata.lastSegment.firstEntry, lastEntry: EntryID.max - 1,
          ensemble: metadata.lastSegment.ensemble, striping: metadata.striping))
    }
    for copies in suspects {
      waitsForRecovery =
        waitsForRecovery || (metadata.state == .inRecovery && !metadata.bookiesInUse.contains(copies.bookie))
      for fragment in reachable {
        let first = max(copies.first, fragment.firstEntry)
        let last = min(copies.last, fragment.lastEntry)
        guard first <= last, let slot = fragment.ensemble.firstIndex(of: copies.bookie), !isLost(copies.bookie) else {
          continue
        }
        restorations.append(Restoration(fragment: fragment, slot: slot, first: first, last: last))
      }
    }
  }

  /// Whether `grace` has passed since a time, both in ms since 1970. A time that is further ahead than that was noted by a
  /// clock that was wrong: waiting for it could take for ever.
  static func isOverdue(since: Int64, now: Int64, grace: Duration) -> Bool {
    let passed = Duration.milliseconds(now - since)
    return passed >= grace || passed < .zero - grace
  }

  /// Whether nothing is to be done, nor waited for.
  var isEmpty: Bool { replacements.isEmpty && restorations.isEmpty && lostFromOpenSegment.isEmpty && !waitsForRecovery }
}
