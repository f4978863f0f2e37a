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
  ///   - lost: whether a bookie is gone, or being emptied.
  ///   - suspects: copies in doubt.
  ///   - openSegmentEnd: the last entry of the open segment that is certainly acknowledged; copies in doubt up to it are
  ///     restored too. Those who report a copy in doubt know it to be acknowledged.
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

  /// Whether nothing is to be done, nor waited for.
  var isEmpty: Bool { replacements.isEmpty && restorations.isEmpty && lostFromOpenSegment.isEmpty && !waitsForRecovery }
}
