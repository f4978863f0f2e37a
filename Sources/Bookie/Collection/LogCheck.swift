/// A look through all locations: which entry logs they name, and what is in those of which no record says it. It is done in
/// steps on the compactor's thread, while entries are flushed, moved and deleted.
///
/// A log in which nothing is alive may be removed when it is named neither here nor by what was written to the index since the
/// check began (`LocationIndex.watchNames`): a location that was there all the time was seen.
struct LogCheck {
  /// Locations that are looked at in one step.
  private static let stepSize = 4096

  /// Complete logs of which the records of usage say that nothing is in them, or say nothing.
  let candidates: Set<UInt32>
  /// Logs that compaction has emptied, with the bytes of their files.
  let compacted: [UInt32: Int64]
  /// The logs that a location names.
  private(set) var named: Set<UInt32> = []
  /// Bytes of each ledger in the candidates.
  private(set) var usage: [UInt32: [Int64: Int64]] = [:]
  private var place: LocationPlace? = LocationPlace()

  init(candidates: Set<UInt32>, compacted: [UInt32: Int64]) {
    self.candidates = candidates
    self.compacted = compacted
  }

  var isDone: Bool { place == nil }

  /// One step. Reads the index.
  mutating func advance(_ index: LocationIndex) throws(BookieError) {
    guard let from = place else { return }
    var named = named
    var usage = usage
    let candidates = candidates
    place = try index.forEachLocation(after: from, limit: Self.stepSize) { ledgerID, logID, run in
      named.insert(logID)
      guard candidates.contains(logID), let run = run() else { return }
      usage[logID, default: [:]][ledgerID, default: 0] += Int64(run.byteCount)
    }
    self.named = named
    self.usage = usage
  }
}
