import DequeModule

/// The entries acknowledged beyond a cursor's mark-delete position: an ordered set of ranges, kept as bits.
///
/// One bit an entry, in chunks that exist only where bits are set and shrink to nothing when they are full. Adding an
/// entry costs the same with one range and with 100,000; the number of ranges is kept up to date on the way.
struct AcknowledgedEntries: Sendable {
  /// A range of entries within one ledger, both ends inclusive.
  struct Range: Hashable, Sendable {
    var ledgerID: Int64
    var first: Int64
    var last: Int64
  }

  /// In the order of their ids.
  private var ledgers: [LedgerBits] = []
  /// Entries in the set.
  private(set) var count: Int64 = 0
  /// Ranges in the set; ranges do not span ledgers.
  private(set) var rangeCount = 0

  var isEmpty: Bool { count == 0 }

  private func floorIndex(_ ledgerID: Int64) -> (index: Int, found: Bool) {
    var low = 0
    var high = ledgers.count
    while low < high {
      let middle = (low + high) / 2
      if ledgers[middle].ledgerID < ledgerID { low = middle + 1 } else { high = middle }
    }
    return (low, low < ledgers.count && ledgers[low].ledgerID == ledgerID)
  }

  func contains(_ position: Position) -> Bool {
    let (index, found) = floorIndex(position.ledgerID)
    return found && ledgers[index].contains(position.entryID)
  }

  /// Adds an entry; false if it was there.
  mutating func insert(_ position: Position) -> Bool {
    insert(Range(ledgerID: position.ledgerID, first: position.entryID, last: position.entryID)) == 1
  }

  /// Adds a range; returns how many entries are new.
  @discardableResult
  mutating func insert(_ range: Range) -> Int64 {
    guard range.first >= 0, range.first <= range.last else { return 0 }
    let (index, found) = floorIndex(range.ledgerID)
    if !found { ledgers.insert(LedgerBits(ledgerID: range.ledgerID), at: index) }
    let before = ledgers[index].startCount(range.first, range.last + 1)
    let added = ledgers[index].set(range.first, range.last)
    rangeCount += (ledgers[index].contains(range.first - 1) ? 0 : 1) - before
    count += added
    return added
  }

  /// Removes everything up to and including `position`.
  mutating func remove(through position: Position) {
    guard count > 0 else { return }
    var (index, found) = floorIndex(position.ledgerID)
    for gone in ledgers[..<index] {
      count -= gone.count
      rangeCount -= gone.startCount(0, .max - 1)
    }
    if found {
      let before = ledgers[index].startCount(0, position.entryID == .max ? .max : position.entryID + 1)
      count -= ledgers[index].remove(through: position.entryID)
      rangeCount += (position.entryID < .max && ledgers[index].contains(position.entryID + 1) ? 1 : 0) - before
      if ledgers[index].count == 0 { index += 1 }
    }
    if index > 0 { ledgers.removeFirst(index) }
  }

  /// Removes everything.
  mutating func removeAll() {
    ledgers = []
    count = 0
    rangeCount = 0
  }

  /// The last entry of the range that holds `position`, or nil if it is not in the set.
  func endOfRange(at position: Position) -> Position? {
    let (index, found) = floorIndex(position.ledgerID)
    guard found, ledgers[index].contains(position.entryID) else { return nil }
    return Position(ledgerID: position.ledgerID, entryID: ledgers[index].firstClear(from: position.entryID) - 1)
  }

  /// The ranges in order, at most `limit` of them.
  func ranges(limit: Int) -> [Range] {
    var ranges: [Range] = []
    for ledger in ledgers {
      var from: Int64 = 0
      while ranges.count < limit, let first = ledger.firstSet(from: from) {
        let end = ledger.firstClear(from: first)
        ranges.append(Range(ledgerID: ledger.ledgerID, first: first, last: end - 1))
        from = end
      }
    }
    return ranges
  }
}

/// The bits of one ledger.
private struct LedgerBits: Sendable {
  static let chunkBits: Int64 = 4096
  static let chunkWords = 64

  /// 4096 bits; `words` is empty when all are set.
  struct Chunk: Sendable {
    var words: [UInt64]
    var count: Int

    func word(_ index: Int) -> UInt64 { words.isEmpty ? .max : words[index] }
  }

  let ledgerID: Int64
  /// The number of the first chunk in `chunks`.
  private var base: Int64 = 0
  private var chunks: Deque<Chunk?> = []
  private(set) var count: Int64 = 0

  init(ledgerID: Int64) {
    self.ledgerID = ledgerID
  }

  /// The end of the bits that can be set.
  private var endEntry: Int64 { (base + Int64(chunks.count)) * Self.chunkBits }

  /// The 64 bits from `word * 64` on.
  private func word(_ word: Int64) -> UInt64 {
    let index = word / Int64(Self.chunkWords) - base
    guard index >= 0, index < Int64(chunks.count), let chunk = chunks[Int(index)] else { return 0 }
    return chunk.word(Int(word % Int64(Self.chunkWords)))
  }

  func contains(_ entry: Int64) -> Bool {
    entry >= 0 && word(entry / 64) >> UInt64(entry % 64) & 1 == 1
  }

  /// Sets the bits `first...last`; returns how many were clear.
  mutating func set(_ first: Int64, _ last: Int64) -> Int64 {
    if chunks.isEmpty { base = first / Self.chunkBits }
    while first / Self.chunkBits < base {
      chunks.prepend(nil)
      base -= 1
    }
    while last / Self.chunkBits >= base + Int64(chunks.count) { chunks.append(nil) }
    var added: Int64 = 0
    var entry = first
    while entry <= last {
      let chunkNumber = entry / Self.chunkBits
      let end = min(last, (chunkNumber + 1) * Self.chunkBits - 1)
      added += Self.set(
        Int(entry % Self.chunkBits), Int(end % Self.chunkBits), in: &chunks[Int(chunkNumber - base)])
      entry = end + 1
    }
    count += added
    return added
  }

  private static func set(_ first: Int, _ last: Int, in slot: inout Chunk?) -> Int64 {
    var chunk = slot ?? Chunk(words: [UInt64](repeating: 0, count: chunkWords), count: 0)
    slot = nil
    defer { slot = chunk }
    guard !chunk.words.isEmpty else { return 0 }
    let before = chunk.count
    for word in first / 64...last / 64 {
      let mask = bits(from: word * 64 < first ? first % 64 : 0, through: word * 64 + 63 > last ? last % 64 : 63)
      chunk.count += (mask & ~chunk.words[word]).nonzeroBitCount
      chunk.words[word] |= mask
    }
    let added = chunk.count - before
    if chunk.count == Int(chunkBits) { chunk.words = [] }
    return Int64(added)
  }

  private static func bits(from: Int, through: Int) -> UInt64 {
    (UInt64.max << UInt64(from)) & (UInt64.max >> UInt64(63 - through))
  }

  /// Clears the bits up to `last`; returns how many were set.
  mutating func remove(through last: Int64) -> Int64 {
    guard last >= 0 else { return 0 }
    var removed: Int64 = 0
    while let chunk = chunks.first, base < last / Self.chunkBits || last == .max {
      removed += Int64(chunk?.count ?? 0)
      chunks.removeFirst()
      base += 1
    }
    if base == last / Self.chunkBits, let slot = chunks.first, var chunk = slot {
      if chunk.words.isEmpty { chunk.words = [UInt64](repeating: .max, count: Self.chunkWords) }
      let end = Int(last % Self.chunkBits)
      for word in 0...end / 64 {
        let mask = Self.bits(from: 0, through: word * 64 + 63 > end ? end % 64 : 63)
        let gone = (chunk.words[word] & mask).nonzeroBitCount
        chunk.words[word] &= ~mask
        chunk.count -= gone
        removed += Int64(gone)
      }
      chunks[0] = chunk.count == 0 ? nil : chunk
    }
    count -= removed
    return removed
  }

  /// The first set bit from `entry` on.
  func firstSet(from entry: Int64) -> Int64? {
    var entry = max(entry, base * Self.chunkBits)
    while entry < endEntry {
      if chunks[Int(entry / Self.chunkBits - base)] == nil {
        entry = (entry / Self.chunkBits + 1) * Self.chunkBits
        continue
      }
      let bits = word(entry / 64) >> UInt64(entry % 64)
      if bits != 0 { return entry + Int64(bits.trailingZeroBitCount) }
      entry = (entry / 64 + 1) * 64
    }
    return nil
  }

  /// The first clear bit from `entry` on.
  func firstClear(from entry: Int64) -> Int64 {
    var entry = entry
    while entry < endEntry {
      if let chunk = chunks[Int(entry / Self.chunkBits - base)], chunk.words.isEmpty {
        entry = (entry / Self.chunkBits + 1) * Self.chunkBits
        continue
      }
      let bits = ~word(entry / 64) >> UInt64(entry % 64)
      if bits != 0 { return entry + Int64(bits.trailingZeroBitCount) }
      entry = (entry / 64 + 1) * 64
    }
    return entry
  }

  /// How many ranges start at a bit of `first...last`.
  func startCount(_ first: Int64, _ last: Int64) -> Int {
    let low = max(first, base * Self.chunkBits)
    let high = min(last, endEntry - 1)
    guard low <= high else { return 0 }
    var starts = 0
    for index in low / 64...high / 64 {
      let bits = word(index)
      guard bits != 0 else { continue }
      let carry = index > 0 ? word(index - 1) >> 63 : 0
      let mask = Self.bits(
        from: index == low / 64 ? Int(low % 64) : 0, through: index == high / 64 ? Int(high % 64) : 63)
      starts += (bits & ~(bits << 1 | carry) & mask).nonzeroBitCount
    }
    return starts
  }
}
