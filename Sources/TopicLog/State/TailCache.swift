import DequeModule
import NIOCore

/// The newest entries of a log, kept for those who read at its end.
///
/// Counts bytes, and says what it gave up, so that the owner can settle with the shared budget.
struct TailCache {
  private struct Entry {
    let position: Position
    /// Empty once the parts are joined.
    var header: ByteBuffer
    var body: ByteBuffer
    let cumulativeLength: Int64
    let insertedAt: NIODeadline

    var bytes: Int { header.readableBytes + body.readableBytes }
  }

  /// In order, without gaps.
  private var entries: Deque<Entry> = []
  /// Bytes of the entries.
  private(set) var bytes = 0

  var isEmpty: Bool { entries.isEmpty }
  var count: Int { entries.count }
  var firstPosition: Position? { entries.first?.position }
  /// When the oldest entry came in.
  var oldest: NIODeadline? { entries.first?.insertedAt }

  /// Adds the entry that follows the last one.
  mutating func append(
    _ position: Position, header: ByteBuffer, body: ByteBuffer, cumulativeLength: Int64, now: NIODeadline
  ) {
    let entry = Entry(
      position: position, header: header, body: body, cumulativeLength: cumulativeLength, insertedAt: now)
    bytes += entry.bytes
    entries.append(entry)
  }

  /// Entries from `position` on, as many as the limits allow and at least one; none if `position` is not here.
  ///
  /// The first read of an entry joins its parts; later readers share the result.
  mutating func read(from position: Position, maxEntries: Int, maxBytes: Int) -> [LogEntry] {
    guard let first = entries.first, first.position <= position, var index = index(of: position) else { return [] }
    var result: [LogEntry] = []
    result.reserveCapacity(min(max(1, maxEntries), entries.count - index))
    var total = 0
    while index < entries.count, result.count < max(1, maxEntries) {
      total += entries[index].bytes
      if !result.isEmpty, total > maxBytes { break }
      result.append(joined(index))
      index += 1
    }
    return result
  }

  private mutating func joined(_ index: Int) -> LogEntry {
    if entries[index].header.readableBytes > 0 {
      var whole = entries[index].header
      whole.reserveCapacity(minimumWritableBytes: entries[index].body.readableBytes)
      whole.writeImmutableBuffer(entries[index].body)
      entries[index].body = whole
      entries[index].header = ByteBuffer()
    }
    let entry = entries[index]
    return LogEntry(position: entry.position, payload: entry.body, cumulativeLength: entry.cumulativeLength)
  }

  private func index(of position: Position) -> Int? {
    var low = 0
    var high = entries.count
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].position < position { low = middle + 1 } else { high = middle }
    }
    return low < entries.count && entries[low].position == position ? low : nil
  }

  // MARK: Giving up; each returns the bytes that became free.

  mutating func evict(before position: Position) -> Int {
    evict { $0.position < position }
  }

  mutating func evict(olderThan deadline: NIODeadline) -> Int {
    evict { $0.insertedAt < deadline }
  }

  /// Gives up the oldest entries until `bytes` are free or nothing is left.
  mutating func evict(atLeast bytes: Int) -> Int {
    var freed = 0
    while freed < bytes, !entries.isEmpty { freed += evictFirst() }
    return freed
  }

  mutating func evictAll() -> Int {
    defer {
      entries = []
      bytes = 0
    }
    return bytes
  }

  private mutating func evict(while condition: (borrowing Entry) -> Bool) -> Int {
    var freed = 0
    while let first = entries.first, condition(first) { freed += evictFirst() }
    return freed
  }

  private mutating func evictFirst() -> Int {
    let freed = entries.removeFirst().bytes
    bytes -= freed
    return freed
  }
}
