import NIOCore

/// The records of one journal file from a place on, read in large pieces.
///
/// Payloads are slices of what was read. Where a record is not the one that should follow, all the rest of the file is looked
/// at together (``JournalScan``), which tells the end from damage.
struct JournalRecords {
  /// What comes next.
  enum Step {
    case record(payload: ByteBuffer, sequence: UInt64)
    /// As in ``JournalScan/Step``.
    case damaged(offset: Int)
    case damagedTail(offset: Int)
    case end(offset: Int)
  }

  private let file: any StorageFile
  private let logID: UInt64
  private let size: Int
  private let depth: Int
  private var pieces: FileReadAhead?
  /// Where the next record begins.
  private var offset: Int
  private var expected: UInt64
  /// Records that were found and not returned yet.
  private var found: CircularBuffer<(payload: ByteBuffer, sequence: UInt64)> = []
  /// The beginning of a record that goes on in the next piece.
  private var rest = ByteBuffer()
  private var scan: (rest: JournalScan, bytes: AlignedBuffer, count: Int)?

  /// - Parameters:
  ///   - offset: where the record `expected` should be.
  ///   - size: the file's size.
  ///   - depth: how many pieces are read at a time.
  init(_ file: any StorageFile, logID: UInt64, offset: Int, size: Int, expected: UInt64, depth: Int) {
    self.file = file
    self.logID = logID
    self.size = size
    self.depth = depth
    self.offset = offset
    self.expected = expected
    pieces = FileReadAhead(file, from: offset, to: size, depth: depth)
  }

  /// The next step. Blocks.
  mutating func next() throws(BookieError) -> Step {
    while found.isEmpty, let pieces {
      guard var bytes = try pieces.next()?.bytes else {
        self.pieces = nil
        break
      }
      parse(&bytes)
    }
    if let record = found.popFirst() { return .record(payload: record.payload, sequence: record.sequence) }
    return try scanRest()
  }

  /// Finds the records in a piece and what was left of the one before. Stops reading at what is no record.
  /// - Parameter bytes: shared with nobody, so that it is worked on in place.
  private mutating func parse(_ bytes: inout ByteBuffer) {
    bytes.prepend(rest)
    rest = ByteBuffer()
    var at = 0
    var ranges: [(payload: Range<Int>, sequence: UInt64)] = []
    // All of them are put together in place before the first slice is taken: a shared buffer would be copied.
    let isGood = bytes.withUnsafeMutableReadableBytes { raw -> Bool in
      while at < raw.count {
        guard let header = JournalFormat.parseRecordHeader(UnsafeRawBufferPointer(raw), at: at, logID: logID),
          header.sequence == expected
        else { return false }
        guard at + header.size <= raw.count else { return offset + header.size <= size }
        guard let record = JournalFormat.parseRecord(raw, at: at, logID: logID, opens: true) else { return false }
        ranges.append((record.payload, record.sequence))
        at += header.size
        offset += header.size
        expected = record.sequence + 1
      }
      return true
    }
    // Small records are mostly padding: whoever keeps their payloads should not keep all of the piece.
    let isSparse = ranges.reduce(0) { $0 + $1.payload.count } < at / 2
    for range in ranges {
      let place = bytes.readerIndex + range.payload.lowerBound
      let payload = bytes.getSlice(at: place, length: range.payload.count) ?? ByteBuffer()
      found.append((isSparse ? ByteBuffer(bytes: payload.readableBytesView) : payload, range.sequence))
    }
    if isGood {
      rest = bytes.getSlice(at: bytes.readerIndex + at, length: bytes.readableBytes - at) ?? ByteBuffer()
    } else {
      pieces = nil
    }
  }

  /// Goes on with the whole rest of the file in memory.
  private mutating func scanRest() throws(BookieError) -> Step {
    if scan == nil {
      // Of the size of the file, so that places are those of the file; what is before the rest is never touched.
      let bytes = AlignedBuffer(capacity: max(size, JournalFormat.alignment))
      var count = size
      if offset < size {
        count =
          offset + (try file.read(into: UnsafeMutableRawBufferPointer(rebasing: bytes.bytes[offset...]), at: offset))
      }
      scan = (JournalScan(logID: logID, offset: offset, expected: expected), bytes, min(count, size))
    }
    guard let (_, bytes, count) = scan else { return .end(offset: offset) }
    let content = UnsafeMutableRawBufferPointer(rebasing: bytes.bytes[0..<count])
    switch scan?.rest.next(content) {
    case .record(let range, let sequence):
      return .record(
        payload: ByteBuffer(bytes: UnsafeRawBufferPointer(rebasing: content[range])), sequence: sequence)
    case .damaged(let offset): return .damaged(offset: offset)
    case .damagedTail(let offset): return .damagedTail(offset: offset)
    case .end(let offset): return .end(offset: offset)
    case nil: return .end(offset: offset)
    }
  }
}
