import NIOCore

/// Since when there have been bookies that could replace the lost ones of a ledger that is being written. Before there are any
/// its writer can do nothing: it gets its time, too, from when there are. A value without I/O.
struct SpareSightings {
  private enum Sighting {
    case missing
    case since(NIODeadline)
  }

  /// Ledgers beyond which all is forgotten, which costs a writer its time and loses nothing.
  private static let limit = 10_000

  private var sightings: [LedgerID: Sighting] = [:]

  /// Notes whether there are bookies now. Returns whether the writer has had its time since there are.
  mutating func note(_ id: LedgerID, areThere: Bool, now: NIODeadline, grace: TimeAmount) -> Bool {
    if sightings.count >= Self.limit, sightings[id] == nil { sightings.removeAll() }
    guard areThere else {
      sightings[id] = Sighting.missing
      return false
    }
    switch sightings[id] {
    case nil: return true
    case .some(.missing):
      sightings[id] = .since(now)
      return false
    case .some(.since(let first)):
      guard first + grace <= now else { return false }
      sightings[id] = nil
      return true
    }
  }
}
