import NIOCore

/// Appends the entries of a half to entry logs, and notes where they are.
struct FlushPass {
  let storage: BookieStorage
  let appender: EntryLogAppender
  let batch: LocationIndex.Batch
  /// Bytes of each ledger that came into each log.
  private(set) var added: [UInt32: [Int64: Int64]] = [:]
  /// Bytes of each ledger in each log that were written over.
  private(set) var garbage: [UInt32: [Int64: Int64]] = [:]
  /// Entries that were added again.
  private(set) var replaced: [(ledgerID: Int64, entryIDs: [Int64])] = []
  /// The last entry of each ledger.
  var last: [(ledgerID: Int64, entryID: Int64)] = []

  init(storage: BookieStorage, appender: EntryLogAppender, batch: LocationIndex.Batch) {
    self.storage = storage
    self.appender = appender
    self.batch = batch
  }

  /// Appends the entries of one ledger, in runs.
  mutating func append(
    _ items: [WriteCacheHalf.Item], of id: Int64, from half: WriteCacheHalf, flushedThrough: Int64
  ) throws(BookieError) {
    let again = items.prefix { $0.entryID <= flushedThrough }.map(\.entryID)
    if !again.isEmpty {
      for (log, bytes) in try storage.index.displace(again, ledgerID: id, batch) {
        garbage[log, default: [:]][id, default: 0] += bytes
      }
      storage.readCache.remove(ledgerID: id)
      replaced.append((id, again))
    }
    var run: LocationRun?
    for item in items {
      let writer = try appender.writer()
      let isAgain = item.entryID <= flushedThrough
      if isAgain || run.map({ $0.isFull || $0.logID != writer.logID }) ?? false { close(&run, id) }
      let entry = half.entry(item)
      if run == nil { run = LocationRun(logID: writer.logID, offset: writer.offset) }
      try writer.append(entry, ledgerID: id)
      // In place: a copy of the run for each entry would cost more than the entry.
      run?.append(LocationRun.Item(entryID: item.entryID, size: entry.readableBytes))
      // Alone in its run: it may lie between entries of older runs, which no run may span.
      if isAgain { close(&run, id) }
    }
    close(&run, id)
  }

  private mutating func close(_ open: inout LocationRun?, _ id: Int64) {
    guard let run = open else { return }
    open = nil
    storage.index.put(run, ledgerID: id, batch)
    added[run.logID, default: [:]][id, default: 0] += Int64(run.byteCount)
  }
}
