/// Which places of an ensemble hold an entry.
///
/// Entry e is written to the places (e + i) mod ensembleSize for i in 0..<writeQuorum.
struct LedgerStriping: Equatable, Sendable {
  let ensembleSize: Int
  let writeQuorum: Int
  let ackQuorum: Int

  /// The first place of the entry's write set.
  @inline(__always)
  func firstSlot(of entry: EntryID) -> Int { Int(entry % Int64(ensembleSize)) }

  /// The place number `index` (0..<writeQuorum) of the entry's write set.
  @inline(__always)
  func slot(_ index: Int, of entry: EntryID) -> Int {
    let slot = firstSlot(of: entry) + index
    return slot < ensembleSize ? slot : slot - ensembleSize
  }

  /// Whether the place `slot` belongs to the entry's write set.
  @inline(__always)
  func contains(_ slot: Int, for entry: EntryID) -> Bool {
    var distance = slot - firstSlot(of: entry)
    if distance < 0 { distance += ensembleSize }
    return distance < writeQuorum
  }

  /// The places of the entry's write set, in order.
  func writeSet(of entry: EntryID) -> [Int] { (0..<writeQuorum).map { slot($0, of: entry) } }

  /// Whether each write set has at least an ack quorum of the places that `isUsable` allows.
  func everyWriteSetReachesAckQuorum(_ isUsable: (Int) -> Bool) -> Bool {
    (0..<ensembleSize).allSatisfy { start in
      (0..<writeQuorum).count { isUsable((start + $0) % ensembleSize) } >= ackQuorum
    }
  }

  /// Whether answers from the places that `hasAnswered` names prove something of every write set: no entry can have been,
  /// or still become, acknowledged by the silent places alone.
  func covers(_ hasAnswered: (Int) -> Bool) -> Bool {
    (0..<ensembleSize).allSatisfy { start in
      (0..<writeQuorum).count { hasAnswered((start + $0) % ensembleSize) } >= writeQuorum - ackQuorum + 1
    }
  }

  /// Negative answers that prove that an entry was never acknowledged.
  var negativesThatProveAbsence: Int { writeQuorum - ackQuorum + 1 }
}
