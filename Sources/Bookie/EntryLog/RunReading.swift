import NIOCore

/// A run as it was read from its log: the pieces whose records are whole, and those whose are not.
struct RunReading {
  /// Times that a record is asked for before it counts as damaged.
  private static let attempts = 3

  private let run: LocationRun
  private let ledgerID: Int64
  private(set) var whole: [(run: LocationRun, entries: [ByteBuffer])] = []
  private(set) var damaged: [LocationRun] = []

  /// Reads a run. Damage is what the log does not have, and what the disk does not give even when it is asked again.
  /// - Throws: if nothing could be asked, for want of memory or files that may be open: that says nothing about the records.
  init(_ run: LocationRun, ledgerID: Int64, storage: BookieStorage) throws(BookieError) {
    self.run = run
    self.ledgerID = ledgerID
    guard let reader = try Self.asked({ () throws(BookieError) in try storage.logs.reader(run.logID) }) else {
      damaged = [run]
      return
    }
    if let entries = try? reader.entries(run.items[...], ledgerID: ledgerID, at: run.offset) {
      whole = [(run, entries)]
      return
    }
    var offset = run.offset
    var piece: (run: LocationRun, entries: [ByteBuffer])?
    var bad: LocationRun?
    for item in run.items {
      let entry = try Self.asked { () throws(BookieError) in
        try reader.entries([item], ledgerID: ledgerID, at: offset).first
      }
      if let entry = entry ?? nil {
        if let bad { damaged.append(bad) }
        bad = nil
        var open = piece ?? (LocationRun(logID: run.logID, offset: offset), [])
        open.run.append(item)
        open.entries.append(entry)
        piece = open
      } else {
        if let piece { whole.append(piece) }
        piece = nil
        var open = bad ?? LocationRun(logID: run.logID, offset: offset)
        open.append(item)
        bad = open
      }
      offset += UInt64(item.size + LocationRun.recordOverhead)
    }
    if let piece { whole.append(piece) }
    if let bad { damaged.append(bad) }
  }

  /// The entries that are damaged, if the index still says that they are where they were looked for: while the run was read
  /// the ledger may have been deleted, or the run been moved or written over.
  func confirmedDamage(_ storage: BookieStorage) -> [Int64] {
    guard !damaged.isEmpty else { return [] }
    let isThere = storage.state.withLockedValue { $0.table[ledgerID].map { !$0.isDeleted } ?? false }
    let now = try? storage.index.run(ledgerID: ledgerID, entryID: run.last)
    return isThere && now == run ? damaged.flatMap { $0.items.map(\.entryID) } : []
  }

  /// What `body` gives, asked more than once if the disk fails; nil if it cannot be had.
  private static func asked<R>(_ body: () throws(BookieError) -> R) throws(BookieError) -> R? {
    for _ in 0..<attempts {
      do throws(BookieError) {
        return try body()
      } catch {
        if error.isOfProcess { throw error }
        guard case .io = error else { return nil }
      }
    }
    return nil
  }
}
