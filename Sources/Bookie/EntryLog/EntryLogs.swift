import NIOConcurrencyHelpers

/// The entry logs of a bookie: which directory has which, the one being written, and readers of all of them.
///
/// `writer`, `roll`, `abandon` and `remove` belong to the flusher's thread; `reader` to any.
final class EntryLogs: @unchecked Sendable {
  private struct Shared {
    var directories: [UInt32: String] = [:]
    var readers: [UInt32: EntryLogReader] = [:]
  }

  private let directories: [String]
  private let sizeLimit: Int
  private let shared = NIOLockedValueBox(Shared())
  private var nextID: UInt32
  private var current: EntryLogWriter?

  /// Finds the logs in `directories`.
  init(directories: [String], sizeLimit: Int) throws(BookieError) {
    self.directories = directories
    self.sizeLimit = sizeLimit
    var found: [UInt32: String] = [:]
    for directory in directories {
      for name in try Directory.files(directory) {
        if let id = EntryLogFormat.logID(fileName: name) { found[id] = directory }
      }
    }
    nextID = (found.keys.max() ?? 0) + 1
    shared.withLockedValue { $0.directories = found }
  }

  /// Numbers of the logs on disk.
  var ids: [UInt32] { shared.withLockedValue { Array($0.directories.keys) } }

  var count: Int { shared.withLockedValue { $0.directories.count } }

  /// The log being written, if there is one.
  var currentID: UInt32? { current?.logID }

  /// The log to append to; a new one if there is none or it is full.
  func writer() throws(BookieError) -> EntryLogWriter {
    if let current, current.offset < UInt64(sizeLimit) { return current }
    if let full = current {
      current = nil
      try full.finish()
    }
    let directory = directories[Int(nextID) % directories.count]
    let writer = try EntryLogWriter(directory: directory, logID: nextID)
    shared.withLockedValue { $0.directories[writer.logID] = directory }
    nextID += 1
    current = writer
    return writer
  }

  /// Counts nothing of a deleted ledger in the log being written.
  func forget(ledgerID: Int64) {
    current?.forget(ledgerID: ledgerID)
  }

  /// Begins a new log at the next append: after a failed write or sync nothing is known about the current one's end.
  func abandon() {
    current = nil
  }

  /// Completes the log being written.
  func finish() throws(BookieError) {
    guard let last = current else { return }
    current = nil
    try last.finish()
  }

  /// A reader of the log.
  func reader(_ logID: UInt32) throws(BookieError) -> EntryLogReader {
    let (known, directory) = shared.withLockedValue { ($0.readers[logID], $0.directories[logID]) }
    if let known { return known }
    guard let directory else {
      throw .damaged(path: EntryLogFormat.fileName(logID), "the index names this entry log, but it is not there")
    }
    let reader = try EntryLogReader(path: directory + "/" + EntryLogFormat.fileName(logID), logID: logID)
    shared.withLockedValue { $0.readers[logID] = reader }
    return reader
  }

  /// Deletes a log in which nothing is alive.
  func remove(_ logID: UInt32) throws(BookieError) {
    let directory = shared.withLockedValue { shared in
      shared.readers[logID] = nil
      return shared.directories.removeValue(forKey: logID)
    }
    guard let directory else { return }
    try Directory.remove(directory + "/" + EntryLogFormat.fileName(logID))
    try Directory.sync(directory)
  }
}
