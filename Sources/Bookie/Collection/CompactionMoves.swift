/// What compaction copied out of a log: for each run that was there, the runs that have its entries now.
struct CompactionMoves {
  struct Move {
    var ledgerID: Int64
    /// As the index had it when it was copied.
    var from: LocationRun
    /// The same entries, elsewhere.
    var to: [LocationRun]
  }

  var source: UInt32
  var moves: [Move] = []

  var isEmpty: Bool { moves.isEmpty }
}
