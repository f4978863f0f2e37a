import BookieWire
import NIOCore

/// Makes a bookie's index anew from its entry logs, when it is lost or damaged. For a bookie that is stopped.
///
/// What the index knew and nothing else does is replaced by what is safe. Every ledger is fenced, since a fence that is lost
/// would let a second writer in, and one too many only costs availability. And the bookie is in limbo when it starts: what it
/// cannot find is "unknown" until auto-recovery has compared every ledger with its other replicas, since a record that can no
/// longer be read has left no trace. Journals are replayed from the oldest file that is there.
public struct IndexRebuild: Sendable {
  /// What was found and done.
  public struct Report: Sendable, Equatable, Codable {
    /// The bookie, as its directories name it.
    public var bookieID: String
    /// Entry logs that were read.
    public var entryLogs = 0
    /// Entry logs of which nothing can be read; they are left where they are.
    public var unreadableLogs: [String] = []
    /// Whole records found.
    public var records = 0
    /// Parts of entry logs that hold no whole record, as `path:offset+bytes`; the first hundred of them.
    public var damaged: [String] = []
    /// Bytes of those parts, of all of them.
    public var damagedBytes = 0
    /// Bytes that the trailers of complete logs promise and that were not found.
    public var missingBytes: Int64 = 0
    /// Ledgers of which entries were found.
    public var ledgers = 0
    /// Journal files that the next start replays.
    public var journalFiles = 0
    /// Where the former index is now; nil if there was none.
    public var formerIndex: String?
  }

  private let configuration: BookieConfiguration
  private var files: any StorageFiles { configuration.environment.files }
  private var path: String { configuration.indexDirectory + "/index" }

  /// The bookie with its data below `directory`: `journal` and `ledgers`.
  /// - Throws: ``BookieError`` if it is none.
  public static func run(directory: String, onProgress: (String) -> Void = { _ in }) throws -> Report {
    try run(
      journalDirectories: [directory + "/journal"], ledgerDirectories: [directory + "/ledgers"],
      onProgress: onProgress)
  }

  /// The bookie with these directories, in the order in which it is configured with them. Blocks for as long as it takes to
  /// read every entry log.
  /// - Throws: ``BookieError`` if they are not those of one bookie, if it is running, or if a disk refuses; nothing that the
  ///   bookie has is lost then.
  public static func run(
    journalDirectories: [String], ledgerDirectories: [String], onProgress: (String) -> Void = { _ in }
  ) throws -> Report {
    try run(
      BookieConfiguration(
        bookieID: "", journalDirectories: journalDirectories, ledgerDirectories: ledgerDirectories),
      onProgress: onProgress)
  }

  static func run(
    _ configuration: BookieConfiguration, onProgress: (String) -> Void = { _ in }
  ) throws(BookieError) -> Report {
    let id = try Identity(configuration).localID()
    return try IndexRebuild(configuration: configuration).run(Report(bookieID: id), onProgress)
  }

  private func run(_ start: Report, _ onProgress: (String) -> Void) throws(BookieError) -> Report {
    var report = start
    try refuseIfRunning()
    let marks = try oldestMarks(&report)
    let temporary = path + ".rebuild"
    try clear(temporary)
    let index = try LocationIndex(path: temporary, files: files)
    do throws(BookieError) {
      try fill(index, marks, &report, onProgress)
    } catch {
      index.close()
      throw error
    }
    index.close()
    // In this order: marks that are older than the index only mean that more is replayed.
    try CheckpointFile.write(marks, configuration: configuration)
    if files.exists(path) {
      var number = 1
      while files.exists("\(path).former-\(number)") { number += 1 }
      report.formerIndex = "\(path).former-\(number)"
      try files.rename(path, to: "\(path).former-\(number)")
    }
    try files.rename(temporary, to: path)
    try files.syncDirectory(configuration.indexDirectory)
    return report
  }

  private func fill(
    _ index: LocationIndex, _ marks: [JournalMark], _ report: inout Report, _ onProgress: (String) -> Void
  ) throws(BookieError) {
    var builder = IndexBuilder(index: index)
    let logs = try EntryLogs(directories: configuration.ledgerDirectories, environment: configuration.environment)
    for logID in logs.ids {
      guard let path = logs.path(logID) else { continue }
      onProgress(path)
      report.entryLogs += 1
      let scan: EntryLogScan
      do throws(BookieError) {
        scan = try EntryLogScan(path: path, logID: logID, files: files)
      } catch {
        guard case .damaged = error else { throw error }
        report.unreadableLogs.append(path)
        continue
      }
      var found: [Int64: Int64] = [:]
      let outcome = try scan.run { record throws(BookieError) in
        try builder.add(record, logID: logID)
        found[record.ledgerID, default: 0] += Int64(record.size + LocationRun.recordOverhead)
      }
      report.records += outcome.records
      for range in outcome.damaged {
        report.damagedBytes += range.count
        if report.damaged.count < 100 { report.damaged.append("\(path):\(range.lowerBound)+\(range.count)") }
      }
      for (ledgerID, bytes) in outcome.trailer ?? [:] {
        report.missingBytes += max(0, bytes - (found[ledgerID] ?? 0))
      }
    }
    try builder.finish { last in
      LedgerFenceTable.Ledger(fence: .durable, isInLimbo: true, lastEntry: last, lastFlushed: last)
    }
    report.ledgers = builder.lastEntries.count
    let batch = LocationIndex.Batch()
    index.put(UnknownLedgers(limbo: .through(Int64.max), fencedThrough: Int64.max), batch)
    index.put(marks, batch)
    try index.write(batch)
  }

  /// The marks from which everything that the journals still hold is replayed.
  private func oldestMarks(_ report: inout Report) throws(BookieError) -> [JournalMark] {
    let known = try files.read(configuration.indexDirectory + "/" + CheckpointFile.name).flatMap {
      CheckpointFile.decode($0)
    }
    var marks: [JournalMark] = []
    for (position, directory) in configuration.journalDirectories.enumerated() {
      let firsts = try files.list(directory).compactMap { JournalFormat.firstSequence(fileName: $0) }
      report.journalFiles += firsts.count
      if let first = firsts.min(), first > 0 {
        marks.append(JournalMark(sequence: first - 1))
      } else {
        marks.append(known.flatMap { $0.indices.contains(position) ? $0[position] : nil } ?? JournalMark())
      }
    }
    return marks
  }

  private func refuseIfRunning() throws(BookieError) {
    guard files.hasIndex(path) else { return }
    do throws(BookieError) {
      try files.openIndex(path).close()
    } catch {
      guard "\(error)".contains("/LOCK") else { return }
      throw .configuration("The bookie in \(configuration.indexDirectory) is running: stop it first.")
    }
  }

  /// Removes what an earlier attempt that was broken off has left.
  private func clear(_ directory: String) throws(BookieError) {
    guard files.exists(directory) else { return }
    for name in try files.list(directory) { try files.remove(directory + "/" + name) }
  }
}

extension Identity {
  /// The bookie that every directory says it belongs to.
  func localID() throws(BookieError) -> String {
    var first: Cookie?
    for (path, role) in directories {
      guard let bytes = try files.read(path + "/" + Cookie.fileName), let cookie = Cookie(encoded: bytes) else {
        throw .identity("\(path) holds no cookie of a bookie: name the directories that the bookie is configured with.")
      }
      let known = first ?? cookie
      guard cookie.role == role, cookie.bookieID == known.bookieID, cookie.instance == known.instance else {
        throw .identity(
          "\(path) is \"\(cookie.role)\" of bookie \(cookie.bookieID), where \"\(role)\" of bookie \(known.bookieID) is "
            + "expected: name all directories of one bookie, in the order in which it is configured with them.")
      }
      first = known
    }
    guard let first else { throw .configuration("No directory is named.") }
    return first.bookieID
  }
}
