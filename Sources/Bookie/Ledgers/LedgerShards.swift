import BookieWire

/// The ledgers of a table, packed and in many small dictionaries: one of them grows, or is copied, in a moment, however many
/// ledgers there are. An idle ledger takes 24 bytes and its place.
struct LedgerShards {
  static let count = 256

  /// A ledger without its key, which nearly all ledgers share.
  private struct Packed {
    static let isDeleted: UInt8 = 4
    static let isInLimbo: UInt8 = 8
    static let isDirty: UInt8 = 16

    var lastEntry: Int64
    var lastFlushed: Int64
    /// Place of its key; 0 if nobody has shown it.
    var key: UInt32
    /// The fence in the lowest two bits.
    var flags: UInt8
  }

  private var shards: [[Int64: Packed]] = Array(repeating: [:], count: count)
  private var keys = SharedKeys()
  /// Ledgers that are not deleted.
  private(set) var aliveCount = 0
  /// Those of them of which a part may be lost.
  private(set) var limboCount = 0

  private static func shard(_ ledgerID: Int64) -> Int {
    // Numbers that follow each other, or are all even, are spread as well.
    Int(truncatingIfNeeded: (UInt64(bitPattern: ledgerID) &* 0x9E37_79B9_7F4A_7C15) >> 56)
  }

  subscript(ledgerID: Int64) -> LedgerFenceTable.Ledger? {
    get { shards[Self.shard(ledgerID)][ledgerID].map(unpacked) }
    set {
      let shard = Self.shard(ledgerID)
      let old = shards[shard][ledgerID]
      if let old { count(old.flags, -1) }
      guard let newValue else {
        if let old { keys.release(old.key) }
        shards[shard][ledgerID] = nil
        return
      }
      var packed = Packed(
        lastEntry: newValue.lastEntry, lastFlushed: newValue.lastFlushed, key: old?.key ?? 0,
        flags: Self.flags(newValue))
      if keys[packed.key] != newValue.key {
        keys.release(packed.key)
        packed.key = keys.retain(newValue.key)
      }
      count(packed.flags, 1)
      shards[shard][ledgerID] = packed
    }
  }

  /// Raises the last entry of a ledger that takes ordinary adds with this key, as most adds need no more than that: one
  /// look-up. False, and nothing done, if it is any other ledger.
  mutating func raise(_ ledgerID: Int64, to entryID: Int64, key: LedgerMasterKey) -> Bool {
    let shard = Self.shard(ledgerID)
    guard let index = shards[shard].index(forKey: ledgerID) else { return false }
    let ledger = shards[shard].values[index]
    guard ledger.flags & (Packed.isDeleted | 3) == 0, ledger.key != 0, keys[ledger.key] == key else { return false }
    if entryID > ledger.lastEntry { shards[shard].values[index].lastEntry = entryID }
    return true
  }

  /// Numbers of the ledgers of one shard that are not deleted, in no order.
  func ids(in shard: Int) -> [Int64] {
    shards[shard].compactMap { $0.value.flags & Packed.isDeleted == 0 ? $0.key : nil }
  }

  /// Numbers of the ledgers of one shard of which a part may be lost, in no order.
  func limboIDs(in shard: Int) -> [Int64] {
    guard limboCount > 0 else { return [] }
    return shards[shard].compactMap {
      $0.value.flags & (Packed.isDeleted | Packed.isInLimbo) == Packed.isInLimbo ? $0.key : nil
    }
  }

  private mutating func count(_ flags: UInt8, _ change: Int) {
    guard flags & Packed.isDeleted == 0 else { return }
    aliveCount += change
    if flags & Packed.isInLimbo != 0 { limboCount += change }
  }

  private func unpacked(_ packed: Packed) -> LedgerFenceTable.Ledger {
    LedgerFenceTable.Ledger(
      key: keys[packed.key], fence: LedgerFenceTable.Fence(rawValue: packed.flags & 3) ?? .pending,
      isDeleted: packed.flags & Packed.isDeleted != 0, isInLimbo: packed.flags & Packed.isInLimbo != 0,
      lastEntry: packed.lastEntry, lastFlushed: packed.lastFlushed, isDirty: packed.flags & Packed.isDirty != 0)
  }

  private static func flags(_ ledger: LedgerFenceTable.Ledger) -> UInt8 {
    ledger.fence.rawValue | (ledger.isDeleted ? Packed.isDeleted : 0) | (ledger.isInLimbo ? Packed.isInLimbo : 0)
      | (ledger.isDirty ? Packed.isDirty : 0)
  }
}

/// Each key once, by number; the number of one that nobody uses any more is given out again.
struct SharedKeys {
  private var slots: [(key: LedgerMasterKey, uses: Int)] = []
  private var numbers: [LedgerMasterKey: UInt32] = [:]
  private var free: [UInt32] = []

  /// Number of different keys.
  var count: Int { numbers.count }

  subscript(number: UInt32) -> LedgerMasterKey? { number == 0 ? nil : slots[Int(number) - 1].key }

  /// The number of a key that one more ledger has; 0 for none.
  mutating func retain(_ key: LedgerMasterKey?) -> UInt32 {
    guard let key else { return 0 }
    if let number = numbers[key] {
      slots[Int(number) - 1].uses += 1
      return number
    }
    let number: UInt32
    if let unused = free.popLast() {
      number = unused
      slots[Int(number) - 1] = (key, 1)
    } else {
      slots.append((key, 1))
      number = UInt32(slots.count)
    }
    numbers[key] = number
    return number
  }

  /// A ledger that had the key is gone.
  mutating func release(_ number: UInt32) {
    guard number != 0 else { return }
    slots[Int(number) - 1].uses -= 1
    guard slots[Int(number) - 1].uses == 0 else { return }
    numbers[slots[Int(number) - 1].key] = nil
    free.append(number)
  }
}
