import NIOConcurrencyHelpers

/// The entry logs of a bookie: which directory has which, which are being written, and readers of all of them. Any thread.
final class EntryLogs: Sendable {
  private struct State {
    var directories: [UInt32: String] = [:]
    var readers: [UInt32: EntryLogReader] = [:]
    var open: Set<UInt32> = []
    var nextID: UInt32 = 1
    var avoided: Set<String> = []
    /// Of complete logs: they grow no more.
    var sizes: [UInt32: Int] = [:]
  }

  private let directories: [String]
  private let environment: StorageEnvironment
  private let state = NIOLockedValueBox(State())

  /// Finds the logs in `directories`.
  init(directories: [String], environment: StorageEnvironment) throws(BookieError) {
    self.directories = directories
    self.environment = environment
    var found: [UInt32: String] = [:]
    for directory in directories {
      for name in try environment.files.list(directory) {
        if let id = EntryLogFormat.logID(fileName: name) { found[id] = directory }
      }
    }
    let known = found
    state.withLockedValue { state in
      state.directories = known
      state.nextID = (known.keys.max() ?? 0) + 1
    }
  }

  /// Numbers of the logs on disk, in order.
  var ids: [UInt32] { state.withLockedValue { $0.directories.keys.sorted() } }

  /// Numbers of the logs that are complete, in order: whatever is in them is in the index or garbage.
  var completeIDs: [UInt32] {
    state.withLockedValue { state in state.directories.keys.filter { !state.open.contains($0) }.sorted() }
  }

  var count: Int { state.withLockedValue { $0.directories.count } }

  /// New logs are begun in other directories, if there are others.
  func avoid(_ directories: Set<String>) {
    state.withLockedValue { $0.avoided = directories }
  }

  /// Begins a log.
  func create() throws(BookieError) -> EntryLogWriter {
    let (id, directory) = state.withLockedValue { state in
      let id = state.nextID
      state.nextID += 1
      let usable = directories.filter { !state.avoided.contains($0) }
      let choice = usable.isEmpty ? directories : usable
      let directory = choice[Int(id) % choice.count]
      state.directories[id] = directory
      state.open.insert(id)
      return (id, directory)
    }
    do throws(BookieError) {
      return try EntryLogWriter(directory: directory, logID: id, environment: environment)
    } catch {
      try? remove(id)
      throw error
    }
  }

  /// Nothing more will be written to the log.
  func completed(_ logID: UInt32) {
    state.withLockedValue { _ = $0.open.remove(logID) }
  }

  /// Where the log is; nil if there is none.
  func path(_ logID: UInt32) -> String? {
    state.withLockedValue { $0.directories[logID] }.map { $0 + "/" + EntryLogFormat.fileName(logID) }
  }

  /// Bytes of the log's file; 0 if it cannot be seen.
  func size(_ logID: UInt32) -> Int {
    let (known, isOpen) = state.withLockedValue { ($0.sizes[logID], $0.open.contains(logID)) }
    if let known { return known }
    guard let path = path(logID), let size = try? environment.files.open(path, .read).size() else { return 0 }
    if !isOpen { state.withLockedValue { $0.sizes[logID] = $0.directories[logID].map { _ in size } } }
    return size
  }

  /// Bytes of the files of all logs. Blocks.
  func totalBytes() -> Int { ids.reduce(0) { $0 + size($1) } }

  /// A reader of the log.
  func reader(_ logID: UInt32) throws(BookieError) -> EntryLogReader {
    if let known = state.withLockedValue({ $0.readers[logID] }) { return known }
    guard let path = path(logID) else {
      throw .damaged(path: EntryLogFormat.fileName(logID), "the index names this entry log, but it is not there")
    }
    let reader = try EntryLogReader(path: path, logID: logID, files: environment.files)
    state.withLockedValue { state in
      // One that is kept holds the file, and its space, even when its name is gone.
      if state.directories[logID] != nil { state.readers[logID] = reader }
    }
    return reader
  }

  /// Whether the log has a header that is not its own. One without any was being made when the process died, and is empty.
  func isDamaged(_ logID: UInt32) -> Bool {
    guard let path = path(logID) else { return false }
    let header = AlignedBuffer(capacity: EntryLogFormat.headerSize)
    guard let file = try? environment.files.open(path, .read),
      let count = try? file.read(
        into: UnsafeMutableRawBufferPointer(rebasing: header.bytes[..<EntryLogFormat.headerSize]), at: 0)
    else { return true }
    let bytes = UnsafeRawBufferPointer(rebasing: header.bytes[..<count])
    if count < EntryLogFormat.headerSize || bytes.allSatisfy({ $0 == 0 }) { return false }
    return EntryLogFormat.parseHeader(bytes, logID: logID) == nil
  }

  /// Deletes a log in which nothing is alive.
  func remove(_ logID: UInt32) throws(BookieError) {
    guard let directory = state.withLockedValue({ $0.directories[logID] }) else { return }
    try environment.files.remove(directory + "/" + EntryLogFormat.fileName(logID))
    try environment.files.syncDirectory(directory)
    state.withLockedValue { state in
      state.readers[logID] = nil
      state.sizes[logID] = nil
      state.open.remove(logID)
      state.directories[logID] = nil
    }
  }
}
