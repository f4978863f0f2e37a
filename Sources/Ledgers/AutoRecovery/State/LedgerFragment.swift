/// The entries of one segment that are there to stay: they can be copied, and their bookies replaced, without the writer.
struct LedgerFragment: Equatable {
  /// The segment's first entry, which names it.
  var firstEntry: EntryID
  var lastEntry: EntryID
  var ensemble: [String]
  let striping: LedgerStriping

  /// The entries of the fragment that the place `slot` holds, from `start` on.
  func entries(of slot: Int, from start: EntryID? = nil) -> some Sequence<EntryID> {
    let first = max(firstEntry, start ?? firstEntry)
    return stride(from: first, to: max(first, lastEntry + 1), by: 1).lazy.filter { [striping] entry in
      striping.contains(slot, for: entry)
    }
  }

  /// Whether the place holds any entry at all.
  func isUsed(_ slot: Int) -> Bool {
    // After as many entries as there are places each has had its turn.
    let probe = min(lastEntry, firstEntry.addingReportingOverflow(EntryID(striping.ensembleSize)).partialValue)
    return firstEntry <= probe && (firstEntry...probe).contains { striping.contains(slot, for: $0) }
  }

  /// The bookies that should have the entry, those behind `slot` in the ring first.
  func holders(of entry: EntryID) -> [String] { striping.writeSet(of: entry).map { ensemble[$0] } }
}

extension LedgerMetadata {
  var striping: LedgerStriping {
    LedgerStriping(ensembleSize: ensembleSize, writeQuorum: writeQuorumSize, ackQuorum: ackQuorumSize)
  }

  /// The fragments whose entries are final, those without entries left out: all of a closed ledger, all but the last
  /// segment of one that is not.
  var fragments: [LedgerFragment] {
    var result: [LedgerFragment] = []
    for (index, segment) in segments.enumerated() {
      let last: EntryID
      if index + 1 < segments.count {
        last = segments[index + 1].firstEntry - 1
      } else if state == .closed {
        last = lastEntry
      } else {
        break
      }
      let end = state == .closed ? min(last, lastEntry) : last
      guard end >= segment.firstEntry else { continue }
      result.append(
        LedgerFragment(
          firstEntry: segment.firstEntry, lastEntry: end, ensemble: segment.ensemble, striping: striping))
    }
    return result
  }

  /// The bookies that hold final entries, or may be getting new ones.
  var bookiesInUse: Set<String> {
    var result = Set<String>()
    for fragment in fragments {
      for (slot, bookie) in fragment.ensemble.enumerated() where fragment.isUsed(slot) { result.insert(bookie) }
    }
    if state != .closed { result.formUnion(lastSegment.ensemble) }
    return result
  }
}
