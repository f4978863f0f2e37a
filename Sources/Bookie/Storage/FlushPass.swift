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
      if let open = run, open.isFull || open.logID != writer.logID || isAgain {
        close(open, id)
        run = nil
      }
      let entry = half.entry(item)
      var current = run ?? LocationRun(logID: writer.logID, offset: writer.offset)
      try writer.append(entry, ledgerID: id)
      current.append(LocationRun.Item(entryID: item.entryID, size: entry.readableBytes))
      if isAgain {
        // Alone in its run: it may lie between entries of older runs, which no run may span.
        close(current, id)
      } else {
        run = current
      }
    }
    if let run { close(run, id) }
  }

  private mutating func close(_ run: LocationRun, _ id: Int64) {
    storage.index.put(run, ledgerID: id, batch)
    added[run.logID, default: [:]][id, default: 0] += Int64(run.byteCount)
  }
}
