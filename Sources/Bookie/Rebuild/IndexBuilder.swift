import BookieWire

/// Fills an empty index with what entry logs hold, log after log in the order of their numbers: an entry that is found again
/// replaces the earlier one.
struct IndexBuilder {
  /// Changes that are written at once.
  private static let batchSize = 4096

  private let index: LocationIndex
  private var batch = LocationIndex.Batch()
  private var changes = 0
  /// What the batch, which the index does not show yet, covers of each ledger.
  private var pending: [Int64: ClosedRange<Int64>] = [:]
  private var open: (ledgerID: Int64, run: LocationRun)?
  /// The last entry of each ledger.
  private(set) var lastEntries: [Int64: Int64] = [:]

  init(index: LocationIndex) {
    self.index = index
  }

  /// A record of `logID` follows.
  mutating func add(_ record: EntryLogScan.Record, logID: UInt32) throws(BookieError) {
    if let (ledgerID, run) = open {
      let end = run.offset + UInt64(run.byteCount)
      if ledgerID != record.ledgerID || run.logID != logID || run.isFull || run.last >= record.entryID
        || end != record.offset
      {
        try close()
      }
    }
    var run = open?.run ?? LocationRun(logID: logID, offset: record.offset)
    run.append(LocationRun.Item(entryID: record.entryID, size: record.size))
    open = (record.ledgerID, run)
    lastEntries[record.ledgerID] = max(lastEntries[record.ledgerID] ?? -1, record.entryID)
  }

  /// Writes what is left, the ledgers and what each log holds.
  /// - Parameter ledger: the record of a ledger with this last entry.
  mutating func finish(_ ledger: (Int64) -> LedgerFenceTable.Ledger) throws(BookieError) {
    try close()
    try write()
    var usage: [UInt32: [Int64: Int64]] = [:]
    var place: LocationPlace? = LocationPlace()
    while let from = place {
      let (runs, next) = try index.runs(after: from, limit: Self.batchSize)
      for (ledgerID, run) in runs { usage[run.logID, default: [:]][ledgerID, default: 0] += Int64(run.byteCount) }
      place = next
    }
    for (logID, ledgers) in usage { index.put(usage: LogLedgers(ledgers), logID: logID, batch) }
    for (id, last) in lastEntries {
      index.put(ledger(last), id: id, batch)
      changes += 1
      if changes >= Self.batchSize { try write() }
    }
    try write()
  }

  private mutating func close() throws(BookieError) {
    guard let (ledgerID, run) = open else { return }
    open = nil
    if let covered = pending[ledgerID], covered.overlaps(run.first...run.last) { try write() }
    // Runs never overlap: what is there in between is split around the new entries, and the new ones around what stays.
    var former: [LocationRun] = []
    try index.forEachRun(ledgerID: ledgerID, from: run.first) { other throws(BookieError) in
      guard other.first <= run.last else { return false }
      former.append(other)
      return true
    }
    let entries = run.items.map(\.entryID)
    var kept: [Int64] = []
    for other in former {
      index.remove(other, ledgerID: ledgerID, batch)
      for piece in other.split(around: entries) {
        index.put(piece, ledgerID: ledgerID, batch)
        kept += piece.items.map(\.entryID)
      }
    }
    for piece in run.split(around: kept) { index.put(piece, ledgerID: ledgerID, batch) }
    // What is pending covers all that it has touched.
    var covered = run.first...run.last
    for other in former { covered = Self.hull(covered, other.first...other.last) }
    pending[ledgerID] = pending[ledgerID].map { Self.hull($0, covered) } ?? covered
    changes += 1
    if changes >= Self.batchSize { try write() }
  }

  private static func hull(_ one: ClosedRange<Int64>, _ other: ClosedRange<Int64>) -> ClosedRange<Int64> {
    min(one.lowerBound, other.lowerBound)...max(one.upperBound, other.upperBound)
  }

  private mutating func write() throws(BookieError) {
    try index.write(batch)
    batch = LocationIndex.Batch()
    changes = 0
    pending = [:]
  }
}
