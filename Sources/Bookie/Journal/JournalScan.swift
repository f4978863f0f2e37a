/// Walks the records of one journal file and tells a torn tail from damage.
///
/// A record is one sync, and the next is written only after it: if a bad record is followed by a valid one, the bad one was
/// synced once and has been damaged since. If nothing valid follows, its sectors tell (``JournalTail``).
struct JournalScan {
  /// What comes next.
  enum Step: Equatable {
    /// A record: the range of its payload in the file, empty for a marker, and its sequence.
    case record(payload: Range<Int>, sequence: UInt64)
    /// A record was lost at `offset`; the scan goes on behind it.
    case damaged(offset: Int)
    /// The last record, at `offset`, was written wholly and has been damaged since: it may have been synced.
    case damagedTail(offset: Int)
    /// No valid record from `offset` on: what is there was never synced.
    case end(offset: Int)
  }

  private let logID: UInt64
  private var offset: Int
  private var expected: UInt64?

  /// A scan of the file with this id from `offset` on, where the record `expected` should be (nil: any).
  init(logID: UInt64, offset: Int = JournalFormat.headerSize, expected: UInt64?) {
    self.logID = logID
    self.offset = offset
    self.expected = expected
  }

  /// The next step over the whole file's `bytes`. Records that it returns are put together in place: a file is scanned once.
  mutating func next(_ bytes: UnsafeMutableRawBufferPointer) -> Step {
    let start = offset
    let header = JournalFormat.parseRecordHeader(UnsafeRawBufferPointer(bytes), at: start, logID: logID)
    if let header, expected == nil || header.sequence == expected,
      let record = JournalFormat.parseRecord(bytes, at: start, logID: logID, opens: true)
    {
      offset = start + header.size
      expected = record.sequence + 1
      return .record(payload: record.payload, sequence: record.sequence)
    }
    var at = start
    while at < bytes.count {
      if JournalFormat.parseRecord(bytes, at: at, logID: logID, opens: false) != nil {
        offset = at
        if let sequence = expected, at == start + JournalFormat.alignment,
          JournalTail.isMarker(UnsafeRawBufferPointer(bytes), at: start, logID: logID, sequence: sequence)
        {
          // Nothing was in it.
          expected = sequence + 1
          return .record(payload: start..<start, sequence: sequence)
        }
        expected = nil
        return .damaged(offset: start)
      }
      at += JournalFormat.alignment
    }
    offset = bytes.count
    guard let expected else { return .end(offset: start) }
    self.expected = nil
    let tail = JournalTail(UnsafeRawBufferPointer(bytes), at: start, logID: logID, sequence: expected)
    return tail == .damaged ? .damagedTail(offset: start) : .end(offset: start)
  }
}

/// What is at the end of a journal, where the record `sequence` would follow and there is no valid one.
///
/// | sectors of the record | what happened |
/// | --- | --- |
/// | one is as before | it was torn, or never begun: never synced, nobody was answered |
/// | all are written, or damaged | it was written wholly, and may have been synced and acknowledged; then bytes changed |
/// | they are those of a marker | whatever happened, nothing is lost with it |
enum JournalTail: Equatable {
  case neverSynced
  case damaged

  /// Whether the block at `offset` of the file was written as the marker of this sequence, whatever became of it since.
  static func isMarker(_ bytes: UnsafeRawBufferPointer, at offset: Int, logID: UInt64, sequence: UInt64) -> Bool {
    guard offset >= 0, offset + JournalFormat.alignment <= bytes.count else { return false }
    let marker = JournalStamp(logID: logID, sequence: sequence, isMarker: true)
    return stride(from: offset, to: offset + JournalFormat.alignment, by: JournalFormat.sector).contains {
      marker.state(bytes, at: $0) == .written
    }
  }

  /// Judges the record that begins at `offset` of the file.
  init(_ bytes: UnsafeRawBufferPointer, at offset: Int, logID: UInt64, sequence: UInt64) {
    self = .neverSynced
    let block = offset..<offset + JournalFormat.alignment
    guard offset >= 0, block.upperBound <= bytes.count else { return }
    guard !Self.isMarker(bytes, at: offset, logID: logID, sequence: sequence) else { return }
    let record = JournalStamp(logID: logID, sequence: sequence, isMarker: false)
    for sector in stride(from: block.lowerBound, to: block.upperBound, by: JournalFormat.sector)
    where record.state(bytes, at: sector) == .former { return }
    self = .damaged
    // The first block was written. If its header can be read, it says how much more there must be.
    guard let header = JournalFormat.parseRecordHeader(bytes, at: offset, logID: logID), header.sequence == sequence,
      offset + header.size <= bytes.count
    else { return }
    for sector in stride(from: block.upperBound, to: offset + header.size, by: JournalFormat.sector)
    where record.state(bytes, at: sector) == .former {
      self = .neverSynced
      return
    }
  }
}

/// Walks the items of one record's payload.
struct JournalItems {
  private let bytes: UnsafeRawBufferPointer
  private var offset: Int
  private let end: Int

  init(_ bytes: UnsafeRawBufferPointer, _ payload: Range<Int>) {
    self.bytes = bytes
    offset = payload.lowerBound
    end = payload.upperBound
  }

  /// The next item's kind and the range of its bytes; nil at the end.
  mutating func next() -> (kind: JournalItemKind, range: Range<Int>)? {
    while offset + 4 <= end {
      let word = bytes.bigEndian(at: offset, as: UInt32.self)
      let size = Int(word & JournalItemKind.sizeMask)
      guard offset + 4 + size <= end else { return nil }
      let range = offset + 4..<offset + 4 + size
      offset = range.upperBound
      guard let kind = JournalItemKind(rawValue: word >> 28), kind != .void else { continue }
      return (kind, range)
    }
    return nil
  }
}
