/// Walks the records of one journal file and tells a torn tail from a damaged middle.
///
/// A record is one sync, and the next is written only after it: if a bad record is followed by a valid one, the bad one was
/// synced once and has been damaged since. If nothing valid follows, it was being written when the process died.
struct JournalScan {
  /// What comes next.
  enum Step: Equatable {
    /// A record: the range of its payload in the file, and its sequence.
    case record(payload: Range<Int>, sequence: UInt64)
    /// A record was lost at `offset`; the scan goes on behind it.
    case damaged(offset: Int)
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

  /// The next step over the whole file's `bytes`.
  mutating func next(_ bytes: UnsafeRawBufferPointer) -> Step {
    let start = offset
    var at = start
    while at < bytes.count {
      guard let record = JournalFormat.parseRecord(bytes, at: at, logID: logID) else {
        at += JournalFormat.alignment
        continue
      }
      if at != start || (expected.map { $0 != record.sequence } ?? false) {
        offset = at
        expected = nil
        return .damaged(offset: start)
      }
      offset = JournalFormat.aligned(record.payload.upperBound)
      expected = record.sequence + 1
      return .record(payload: record.payload, sequence: record.sequence)
    }
    offset = bytes.count
    return .end(offset: start)
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
