/// Deleted ledgers by the time of their deletion, so that those that may be forgotten are found without looking at all others.
struct DeletionQueue {
  private struct Deletion {
    var time: Int64
    var ledgerID: Int64
  }

  private var list: [Deletion] = []
  private var start = 0
  private var isSorted = true

  /// A ledger was deleted at a time. They come in order, but for those that are found at the start, and a clock set back.
  mutating func append(_ ledgerID: Int64, at time: Int64) {
    if let last = list.last, last.time > time { isSorted = false }
    list.append(Deletion(time: time, ledgerID: ledgerID))
  }

  /// Takes out some ledgers that were deleted before `time`, in the order of their deletion.
  mutating func take(before time: Int64, limit: Int) -> [Int64] {
    if !isSorted {
      list.removeFirst(start)
      start = 0
      list.sort { ($0.time, $0.ledgerID) < ($1.time, $1.ledgerID) }
      isSorted = true
    }
    var taken: [Int64] = []
    while start < list.count, list[start].time < time, taken.count < limit {
      taken.append(list[start].ledgerID)
      start += 1
    }
    if start > list.count / 2 {
      list.removeFirst(start)
      start = 0
    }
    return taken
  }
}
