import NIOCore

/// Entries of one ledger that lie one behind the other in an entry log: one record of the location index.
///
/// Numbers may have gaps, since with striping a bookie gets only some entries of a ledger. The ranges `first...last` of a
/// ledger's runs never overlap.
struct LocationRun: Equatable {
  /// One entry: its number and the bytes of the entry itself.
  struct Item: Equatable {
    var entryID: Int64
    var size: Int
  }

  /// Bytes in front of each entry in the log.
  static let recordOverhead = 8
  /// Most entries of one run.
  static let maximumCount = 1024
  /// Bytes after which a run ends.
  static let maximumBytes = 4 * 1024 * 1024

  var logID: UInt32
  /// Where the first record begins.
  var offset: UInt64
  private(set) var items: [Item]
  private(set) var byteCount: Int

  init(logID: UInt32, offset: UInt64, items: [Item] = []) {
    self.logID = logID
    self.offset = offset
    self.items = items
    byteCount = items.reduce(0) { $0 + $1.size + Self.recordOverhead }
  }

  var first: Int64 { items.first?.entryID ?? -1 }
  var last: Int64 { items.last?.entryID ?? -1 }
  var isFull: Bool { items.count >= Self.maximumCount || byteCount >= Self.maximumBytes }

  /// Adds the entry that lies behind the last one; its number must be higher.
  mutating func append(_ item: Item) {
    items.append(item)
    byteCount += item.size + Self.recordOverhead
  }

  /// Index of an entry in `items`, and where its record begins in the log; nil if it is not in the run.
  func find(_ entryID: Int64) -> (index: Int, offset: UInt64)? {
    var at = offset
    for (index, item) in items.enumerated() {
      if item.entryID == entryID { return (index, at) }
      if item.entryID > entryID { return nil }
      at += UInt64(item.size + Self.recordOverhead)
    }
    return nil
  }

  /// What is left of this run around `newer`, which replaces the entries that both have: pieces that overlap nothing.
  ///
  /// A piece may not span an entry of `newer`, so this can be many pieces; it happens only when entries are added again or late.
  func split(around newer: [Int64]) -> [LocationRun] {
    var pieces: [LocationRun] = []
    var current: LocationRun?
    var at = offset
    var next = 0
    for item in items {
      while next < newer.count, newer[next] < item.entryID {
        if let piece = current { pieces.append(piece) }
        current = nil
        next += 1
      }
      if next < newer.count, newer[next] == item.entryID {
        if let piece = current { pieces.append(piece) }
        current = nil
        next += 1
      } else {
        if current == nil { current = LocationRun(logID: logID, offset: at) }
        current?.append(item)
      }
      at += UInt64(item.size + Self.recordOverhead)
    }
    if let piece = current { pieces.append(piece) }
    return pieces
  }

  /// The index record's value.
  func encoded() -> [UInt8] {
    var buffer = ByteBufferAllocator().buffer(capacity: 16 + items.count * 3)
    buffer.writeMultipleIntegers(logID, offset, UInt32(items.count))
    var previous: Int64 = 0
    for item in items {
      Self.writeVarint(UInt64(item.entryID - previous), into: &buffer)
      Self.writeVarint(UInt64(item.size), into: &buffer)
      previous = item.entryID
    }
    return Array(buffer.readableBytesView)
  }

  /// Nil if the bytes are damaged.
  init?(encoded bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= 16 else { return nil }
    let count = bytes.bigEndian(at: 12, as: UInt32.self)
    guard count <= Self.maximumCount else { return nil }
    self.init(logID: bytes.bigEndian(at: 0, as: UInt32.self), offset: bytes.bigEndian(at: 4, as: UInt64.self))
    items.reserveCapacity(Int(count))
    var at = 16
    var previous: Int64 = 0
    for _ in 0..<count {
      guard
        let delta = Self.readVarint(bytes, &at), let size = Self.readVarint(bytes, &at), delta <= UInt64(Int64.max),
        size <= UInt64(UInt32.max)
      else { return nil }
      let (entry, overflow) = previous.addingReportingOverflow(Int64(delta))
      guard !overflow else { return nil }
      append(Item(entryID: entry, size: Int(size)))
      previous = entry
    }
    guard at == bytes.count else { return nil }
  }

  private static func writeVarint(_ value: UInt64, into buffer: inout ByteBuffer) {
    var rest = value
    while rest >= 0x80 {
      buffer.writeInteger(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    buffer.writeInteger(UInt8(rest))
  }

  private static func readVarint(_ bytes: UnsafeRawBufferPointer, _ at: inout Int) -> UInt64? {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while at < bytes.count, shift < 64 {
      let byte = bytes[at]
      at += 1
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
    return nil
  }
}
