/// Appends entries to one entry log after the other, and takes back what did not become part of the index. Belongs to one
/// thread; the flusher has one, and compaction has another.
final class EntryLogAppender {
  private let logs: EntryLogs
  private let sizeLimit: Int
  private var current: EntryLogWriter?
  /// Logs that were begun or completed since the last commit, in order, without the current one.
  private var completed: [EntryLogWriter] = []

  init(logs: EntryLogs, sizeLimit: Int) {
    self.logs = logs
    self.sizeLimit = sizeLimit
  }

  /// The log to append to; a new one if there is none or it is full.
  func writer() throws(BookieError) -> EntryLogWriter {
    if let current, current.offset < UInt64(sizeLimit) { return current }
    if let full = current {
      completed.append(full)
      current = nil
      try full.finish()
    }
    let writer = try logs.create()
    current = writer
    return writer
  }

  /// Returns when everything appended is on the device.
  func sync() throws(BookieError) {
    try current?.sync()
  }

  /// What was appended is in the index, and stays.
  func commit() {
    for writer in completed { logs.completed(writer.logID) }
    completed = []
    current?.commit()
  }

  /// Counts nothing of a deleted ledger.
  func forget(ledgerID: Int64) {
    current?.forget(ledgerID: ledgerID)
  }

  /// Takes back what was appended since the last commit: the index does not know it.
  ///
  /// - Parameter isWhole: whether the files are still to be trusted. After a failed sync they are not, and a new log begins.
  func rollBack(isWhole: Bool) {
    let touched = completed + (current.map { [$0] } ?? [])
    completed = []
    current = nil
    for writer in touched {
      guard writer.hasCommitted else {
        try? logs.remove(writer.logID)
        continue
      }
      do throws(BookieError) {
        try writer.rollBack()
        if isWhole, current == nil { current = writer } else { logs.completed(writer.logID) }
      } catch {
        logs.completed(writer.logID)
      }
    }
  }

  /// Begins a new log at the next append, and takes nothing back: the index may know what was appended.
  func abandon() {
    for writer in completed + (current.map { [$0] } ?? []) { logs.completed(writer.logID) }
    completed = []
    current = nil
  }

  /// Completes the log being written.
  func finish() throws(BookieError) {
    guard let last = current else { return }
    current = nil
    defer { logs.completed(last.logID) }
    guard last.hasCommitted else { return try logs.remove(last.logID) }
    try last.finish()
  }
}
