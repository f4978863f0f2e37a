import NIOCore

/// A run as it was read from its log: the pieces whose records are whole, and those whose are not.
struct RunReading {
  private(set) var whole: [(run: LocationRun, entries: [ByteBuffer])] = []
  private(set) var damaged: [LocationRun] = []

  /// Reads a run. Only damage of the log itself counts as damage; a disk that does not answer does too, since the records
  /// cannot be had from it.
  init(_ run: LocationRun, ledgerID: Int64, storage: BookieStorage) {
    guard let reader = try? storage.logs.reader(run.logID) else {
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
      if let entry = try? reader.entries([item], ledgerID: ledgerID, at: offset).first {
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
}
