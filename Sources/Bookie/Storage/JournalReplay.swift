import BookieWire
import Logging
import NIOCore

/// Reads the journal from the mark on, at start.
struct JournalReplay {
  /// What the journal held.
  struct Outcome: Equatable {
    /// The last record found; the mark's if there was none.
    var lastSequence: UInt64
    /// Records found behind the mark.
    var records = 0
    /// Whether records were lost that had been synced.
    var isDamaged = false
    /// Every journal file there is, complete or not.
    var files: [String] = []
  }

  private let directory: String
  private let mark: JournalMark
  private let files: any StorageFiles
  private let logger: Logger

  init(directory: String, mark: JournalMark, files: any StorageFiles = PosixFiles(), logger: Logger) {
    self.directory = directory
    self.mark = mark
    self.files = files
    self.logger = logger
  }

  /// Calls `visit` with the bytes of a file and the payload of each record after the mark, in order.
  func run(
    _ visit: (UnsafeRawBufferPointer, Range<Int>, _ sequence: UInt64) throws(BookieError) -> Void
  ) throws(BookieError) -> Outcome {
    var outcome = Outcome(lastSequence: mark.sequence)
    let names = try files.list(directory).filter { JournalFormat.firstSequence(fileName: $0) != nil }
    outcome.files = names.map { directory + "/" + $0 }
    let firsts = names.compactMap { JournalFormat.firstSequence(fileName: $0) }
    var expected = mark.sequence + 1
    for (position, first) in firsts.enumerated() {
      let isLast = position == firsts.count - 1
      if !isLast && firsts[position + 1] <= mark.sequence + 1 { continue }
      if first > expected { report(&outcome, outcome.files[position], "records before it are missing") }
      expected = max(expected, first)
      try scan(outcome.files[position], first: first, isLast: isLast, &expected, &outcome, visit)
    }
    // A start that was killed after it had released the old files, and before it made the next, leaves a spare.
    let hasSpare = files.exists(directory + "/" + Journal.spareName)
    if firsts.isEmpty && mark.sequence > 0 && !hasSpare { report(&outcome, directory, "the journal files are gone") }
    outcome.lastSequence = max(outcome.lastSequence, expected - 1)
    return outcome
  }

  private func scan(
    _ path: String, first: UInt64, isLast: Bool, _ expected: inout UInt64, _ outcome: inout Outcome,
    _ visit: (UnsafeRawBufferPointer, Range<Int>, UInt64) throws(BookieError) -> Void
  ) throws(BookieError) {
    let file = try files.open(path, .read)
    let memory = AlignedBuffer(capacity: max(try file.size(), JournalFormat.alignment))
    memory.zero(0..<JournalFormat.headerSize)
    let size = try file.read(into: memory.bytes, at: 0)
    let content = UnsafeMutableRawBufferPointer(rebasing: memory.bytes[0..<size])
    let bytes = UnsafeRawBufferPointer(content)
    guard let header = JournalFormat.parseHeader(bytes) else {
      // A file gets its name when its header is on the disk.
      report(&outcome, path, "its header fails its checksum")
      return
    }
    guard header.first == first else {
      report(&outcome, path, "its header is that of another file")
      return
    }
    let useMark = mark.file == first && mark.offset >= UInt64(JournalFormat.headerSize)
    var scan = JournalScan(
      logID: header.logID, offset: useMark ? Int(clamping: mark.offset) : JournalFormat.headerSize,
      expected: useMark ? mark.sequence + 1 : first)
    while true {
      switch scan.next(content) {
      case .record(let payload, let sequence):
        expected = max(expected, sequence + 1)
        guard sequence > mark.sequence else { continue }
        outcome.records += 1
        try visit(bytes, payload, sequence)
      case .damaged(let offset):
        report(&outcome, path, "the record at \(offset) fails its checksum, and whole records follow it")
      case .damagedTail(let offset):
        // The number of a record that was synced is not given twice.
        expected += 1
        report(&outcome, path, "the last record, at \(offset), was written wholly, and fails its checksum")
      case .end(let offset):
        if isLast {
          logger.debug("End of the journal.", metadata: ["path": "\(path)", "offset": "\(offset)"])
        }
        return
      }
    }
  }

  private func report(_ outcome: inout Outcome, _ path: String, _ what: String) {
    outcome.isDamaged = true
    logger.critical(
      "The journal is damaged: negative answers about every ledger are given as unknown until it is repaired, and all are fenced.",
      metadata: ["path": "\(path)", "damage": "\(what)"])
  }
}
