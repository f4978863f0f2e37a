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
    /// First sequences of the journal files there are, complete or not.
    var files: [UInt64] = []
  }

  private let directory: String
  private let mark: JournalMark
  private let environment: StorageEnvironment
  private let logger: Logger

  init(directory: String, mark: JournalMark, environment: StorageEnvironment = .real, logger: Logger) {
    self.directory = directory
    self.mark = mark
    self.environment = environment
    self.logger = logger
  }

  /// Calls `visit` with the payload of each record after the mark, in order, and `damaged` at once when records turn out to be
  /// lost. What was read is on the device when this returns, as if it had been synced before.
  func run(
    damaged: () -> Void, _ visit: (_ payload: ByteBuffer, _ sequence: UInt64) throws(BookieError) -> Void
  ) throws(BookieError) -> Outcome {
    var outcome = Outcome(lastSequence: mark.sequence)
    outcome.files = try environment.files.list(directory).compactMap { JournalFormat.firstSequence(fileName: $0) }
    var pass = Pass(expected: mark.sequence + 1)
    for (position, first) in outcome.files.enumerated() {
      if position + 1 < outcome.files.count && outcome.files[position + 1] <= mark.sequence + 1 { continue }
      let path = directory + "/" + JournalFormat.fileName(first: first)
      if first > pass.expected { report(&pass, path, "records before it are missing", damaged) }
      pass.expected = max(pass.expected, first)
      try scan(path, first: first, &pass, damaged, visit)
    }
    // From the first record on there always is a file.
    if outcome.files.isEmpty && mark.sequence > 0 { lost(&pass, directory, "the journal files are gone", damaged) }
    outcome.records = pass.records
    outcome.isDamaged = pass.isDamaged
    outcome.lastSequence = max(outcome.lastSequence, pass.expected - 1)
    return outcome
  }

  /// What is known on the way through the files.
  private struct Pass {
    var expected: UInt64
    var records = 0
    var isDamaged = false
  }

  private func scan(
    _ path: String, first: UInt64, _ pass: inout Pass, _ damaged: () -> Void,
    _ visit: (ByteBuffer, UInt64) throws(BookieError) -> Void
  ) throws(BookieError) {
    let file = try environment.files.open(path, .readDirect)
    let size = try file.size()
    guard let header = try Self.header(of: file) else {
      // A file gets its name when its header is on the disk.
      return lost(&pass, path, "its header fails its checksum", damaged)
    }
    guard header.first == first else { return lost(&pass, path, "its header is that of another file", damaged) }
    let useMark = mark.file == first && mark.offset >= UInt64(JournalFormat.headerSize)
    var records = JournalRecords(
      file, logID: header.logID, offset: useMark ? Int(clamping: mark.offset) : JournalFormat.headerSize, size: size,
      expected: useMark ? mark.sequence + 1 : first, depth: environment.hasThreads ? 2 : 0)
    while true {
      switch try records.next() {
      case .record(let payload, let sequence):
        pass.expected = max(pass.expected, sequence + 1)
        guard sequence > mark.sequence else { continue }
        pass.records += 1
        try visit(payload, sequence)
      case .damaged(let offset):
        report(&pass, path, "the record at \(offset) fails its checksum, and whole records follow it", damaged)
      case .damagedTail(let offset):
        // The number of a record that was synced is not given twice.
        pass.expected += 1
        report(&pass, path, "the last record, at \(offset), was written wholly, and fails its checksum", damaged)
      case .end(let offset):
        logger.debug("End of a journal file.", metadata: ["path": "\(path)", "offset": "\(offset)"])
        // The last record may have been written and never synced. From now on it counts.
        return try file.sync()
      }
    }
  }

  private static func header(of file: any StorageFile) throws(BookieError) -> (logID: UInt64, first: UInt64)? {
    let block = AlignedBuffer(capacity: JournalFormat.headerSize)
    let count = try file.read(into: block.bytes, at: 0)
    return JournalFormat.parseHeader(UnsafeRawBufferPointer(rebasing: block.bytes[0..<count]))
  }

  /// Nothing of a file can be read. One record at least is counted as lost with it: the journal then goes on in a file with
  /// another name, and behind a gap, so that the next start comes to the same verdict if nobody has written this one down yet.
  private func lost(_ pass: inout Pass, _ path: String, _ what: String, _ damaged: () -> Void) {
    pass.expected += 1
    report(&pass, path, what, damaged)
  }

  private func report(_ pass: inout Pass, _ path: String, _ what: String, _ damaged: () -> Void) {
    pass.isDamaged = true
    logger.critical(
      "The journal is damaged: negative answers about every ledger are given as unknown until it is repaired, and all are fenced.",
      metadata: ["path": "\(path)", "damage": "\(what)"])
    damaged()
  }
}
