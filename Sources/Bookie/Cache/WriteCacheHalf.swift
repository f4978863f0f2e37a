import NIOCore

/// Entries that are in the journal but not yet in an entry log, in the order in which the log will have them.
struct WriteCacheHalf {
  /// An entry of one ledger.
  struct Item {
    var entryID: Int64
    var segment: UInt32
    var location: EntrySegment.Location
  }

  private var ledgers: [Int64: [Item]] = [:]
  private var segments: [EntrySegment] = []
  /// Bytes of all entries, replaced ones included.
  private(set) var byteCount = 0
  /// Entries that can be read.
  private(set) var entryCount = 0

  var isEmpty: Bool { entryCount == 0 }

  /// Adds the entries of one batch with the segment that holds them.
  mutating func insert(
    _ segment: EntrySegment, _ entries: [(ledgerID: Int64, entryID: Int64, location: EntrySegment.Location)]
  ) {
    let index = UInt32(segments.count)
    segments.append(segment)
    var start = 0
    while start < entries.count {
      // Most batches are of one ledger: it is looked up once for all entries of it that follow each other.
      let ledgerID = entries[start].ledgerID
      var end = start + 1
      while end < entries.count, entries[end].ledgerID == ledgerID { end += 1 }
      Self.insert(entries[start..<end], index, into: &ledgers[ledgerID, default: []], &byteCount, &entryCount)
      start = end
    }
  }

  private static func insert(
    _ entries: ArraySlice<(ledgerID: Int64, entryID: Int64, location: EntrySegment.Location)>, _ segment: UInt32,
    into items: inout [Item], _ byteCount: inout Int, _ entryCount: inout Int
  ) {
    for entry in entries {
      byteCount += Int(entry.location.length) + MemoryLayout<Item>.stride
      let item = Item(entryID: entry.entryID, segment: segment, location: entry.location)
      if !insert(item, into: &items) { entryCount += 1 }
    }
  }

  /// Returns whether an entry of the same number was replaced.
  private static func insert(_ item: Item, into items: inout [Item]) -> Bool {
    guard let last = items.last, last.entryID >= item.entryID else {
      items.append(item)
      return false
    }
    let index = position(of: item.entryID, in: items)
    if index < items.count && items[index].entryID == item.entryID {
      items[index] = item
      return true
    }
    items.insert(item, at: index)
    return false
  }

  /// The entry; nil if it is not here.
  func entry(ledgerID: Int64, entryID: Int64) -> ByteBuffer? {
    guard let items = ledgers[ledgerID] else { return nil }
    let index = Self.position(of: entryID, in: items)
    guard index < items.count, items[index].entryID == entryID else { return nil }
    return entry(items[index])
  }

  /// Whether anything of the ledger is here.
  func contains(ledgerID: Int64) -> Bool { ledgers[ledgerID] != nil }

  /// The bytes of an item.
  func entry(_ item: Item) -> ByteBuffer {
    segments[Int(item.segment)].entry(at: item.location)
  }

  /// The ledgers in order.
  var sortedLedgers: [Int64] { ledgers.keys.sorted() }

  /// The entries of a ledger in order.
  func items(of ledgerID: Int64) -> [Item] { ledgers[ledgerID] ?? [] }

  /// Forgets a ledger that was deleted.
  mutating func remove(ledgerID: Int64) {
    entryCount -= ledgers.removeValue(forKey: ledgerID)?.count ?? 0
  }

  /// Index of the first item that is not before `entryID`.
  private static func position(of entryID: Int64, in items: [Item]) -> Int {
    var low = 0
    var high = items.count
    while low < high {
      let middle = (low + high) / 2
      if items[middle].entryID < entryID { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

/// The two halves: one takes adds while the other is being flushed.
struct WriteCache {
  private let halfCapacity: Int
  private(set) var active = WriteCacheHalf()
  private(set) var flushing: WriteCacheHalf?

  /// A cache of `capacity` bytes over both halves.
  init(capacity: Int) {
    halfCapacity = max(1, capacity / 2)
  }

  var byteCount: Int { active.byteCount + (flushing?.byteCount ?? 0) }
  var entryCount: Int { active.entryCount + (flushing?.entryCount ?? 0) }

  /// Whether the active half takes no more. A batch may overshoot once, by its own size.
  var isActiveFull: Bool { active.byteCount >= halfCapacity }

  /// Whether adds have to wait for the end of a flush. Recovery has an eighth of a half to itself.
  func isFull(isUrgent: Bool = false) -> Bool {
    guard flushing != nil else { return false }
    return active.byteCount >= (isUrgent ? halfCapacity + halfCapacity / 8 : halfCapacity)
  }

  mutating func insert(
    _ segment: EntrySegment, _ entries: [(ledgerID: Int64, entryID: Int64, location: EntrySegment.Location)]
  ) {
    active.insert(segment, entries)
  }

  func entry(ledgerID: Int64, entryID: Int64) -> ByteBuffer? {
    active.entry(ledgerID: ledgerID, entryID: entryID) ?? flushing?.entry(ledgerID: ledgerID, entryID: entryID)
  }

  /// Whether anything of the ledger is here.
  func contains(ledgerID: Int64) -> Bool {
    active.contains(ledgerID: ledgerID) || flushing?.contains(ledgerID: ledgerID) ?? false
  }

  /// The entries of a ledger, in no order.
  func entryIDs(of ledgerID: Int64) -> [Int64] {
    active.items(of: ledgerID).map(\.entryID) + (flushing?.items(of: ledgerID).map(\.entryID) ?? [])
  }

  /// Makes the active half the flushing one. False if a flush is under way.
  mutating func swap() -> Bool {
    guard flushing == nil else { return false }
    flushing = active
    active = WriteCacheHalf()
    return true
  }

  /// The flushing half is readable from the entry log now.
  mutating func flushed() {
    flushing = nil
  }

  mutating func remove(ledgerID: Int64) {
    active.remove(ledgerID: ledgerID)
  }
}
