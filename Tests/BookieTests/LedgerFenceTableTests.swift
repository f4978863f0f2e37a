import BookieWire
import Testing

@testable import Bookie

@Suite("Ledger table: keys, fences, deletion")
struct LedgerFenceTableTests {
  static let key = LedgerMasterKey(password: [])
  static let other = LedgerMasterKey(password: [1])

  @Test("The first add teaches the key; another key is refused")
  func keys() {
    var table = LedgerFenceTable()
    #expect(table.add(1, entryID: 0, key: Self.key, isRecovery: false) == .accept(isNew: true))
    #expect(table.add(1, entryID: 1, key: Self.key, isRecovery: false) == .accept(isNew: false))
    #expect(table.add(1, entryID: 2, key: Self.other, isRecovery: true) == .unauthorized)
    #expect(table.fence(1, key: Self.other) == .unauthorized)
    #expect(table[1]?.lastEntry == 1)
  }

  @Test("A fence is in force at once, and durable only after its sync")
  func fence() {
    var table = LedgerFenceTable()
    #expect(table.fence(7, key: Self.key) == .journal)
    #expect(table.fence(7, key: Self.key) == .wait)
    #expect(table.add(7, entryID: 0, key: Self.key, isRecovery: false) == .fenced)
    #expect(table.add(7, entryID: 0, key: Self.key, isRecovery: true) == .accept(isNew: false))
    table.fenceSynced(7)
    #expect(table.fence(7, key: Self.key) == .durable)
    #expect(table.add(7, entryID: 1, key: Self.key, isRecovery: false) == .fenced)
  }

  @Test("A late write does not bring a deleted ledger back")
  func deleted() {
    var table = LedgerFenceTable()
    _ = table.add(1, entryID: 0, key: Self.key, isRecovery: false)
    table.delete(1, now: 1000)
    #expect(table.add(1, entryID: 1, key: Self.key, isRecovery: true) == .fenced)
    let isReplayed = table.replayEntry(1, entryID: 1)
    #expect(!isReplayed)
    #expect((0..<LedgerFenceTable.partCount).allSatisfy { table.ids(inPart: $0).isEmpty } && table.count == 0)
  }

  @Test("What changed is handed out once, and again after it could not be written")
  func dirty() {
    var table = LedgerFenceTable()
    _ = table.add(1, entryID: 0, key: Self.key, isRecovery: false)
    _ = table.fence(2, key: Self.key)
    #expect(Set(table.takeDirty().map(\.id)) == [1, 2])
    #expect(!table.hasDirty)
    table.markDirty([2])
    #expect(table.takeDirty().map(\.id) == [2])
  }

  @Test("A deleted ledger is forgotten when no write can be that late")
  func forgotten() {
    var table = LedgerFenceTable()
    _ = table.add(1, entryID: 0, key: Self.key, isRecovery: false)
    table.delete(1, now: 1000)
    #expect(table.forgetDeleted(before: 1000) == [])
    #expect(table.forgetDeleted(before: 1001) == [1])
    #expect(table[1] == nil)
  }

  @Test("Deleted ledgers are forgotten in the order of their deletion, some at a time, whatever the clock did")
  func forgottenInOrder() {
    var table = LedgerFenceTable()
    for (id, time) in [(4, 500), (5, 100), (6, 300)] as [(Int64, Int64)] {
      table.load(id, LedgerFenceTable.Ledger(isDeleted: true, lastEntry: time))
    }
    for (id, time) in [(1, 700), (2, 600), (3, 800)] as [(Int64, Int64)] {
      _ = table.add(id, entryID: 0, key: Self.key, isRecovery: false)
      table.delete(id, now: time)
    }
    #expect(table.forgetDeleted(before: 650, limit: 2) == [5, 6])
    #expect(table.forgetDeleted(before: 650, limit: 2) == [4, 2])
    #expect(table.forgetDeleted(before: 650, limit: 2) == [])
    #expect(table[2] == nil && table[1]?.isDeleted == true && table[3]?.isDeleted == true)
  }

  @Test("Many ledgers: each is counted, listed and found once, and their keys are kept once")
  func many() {
    var shards = LedgerShards()
    for id in Int64(0)..<5000 {
      shards[id] = LedgerFenceTable.Ledger(key: id % 5 == 0 ? Self.other : Self.key, isInLimbo: id < 10, lastEntry: id)
    }
    #expect(shards.aliveCount == 5000 && shards.limboCount == 10)
    #expect((0..<LedgerShards.count).flatMap { shards.ids(in: $0) }.sorted() == Array(0..<5000))
    #expect((0..<LedgerShards.count).flatMap { shards.limboIDs(in: $0) }.sorted() == Array(0..<10))
    #expect((0..<LedgerShards.count).allSatisfy { shards.ids(in: $0).count < 200 })
    let isRaised = [
      shards.raise(7, to: 9, key: Self.key), shards.raise(7, to: 8, key: Self.other),
      shards.raise(9999, to: 1, key: Self.key),
    ]
    #expect(isRaised == [true, false, false])
    #expect(shards[7]?.lastEntry == 9 && shards[7]?.key == Self.key && shards[10]?.key == Self.other)
    for id in Int64(0)..<5000 { shards[id] = nil }
    #expect(shards.aliveCount == 0 && shards.limboCount == 0)
  }

  @Test("What a log holds: bytes come and go, ledgers are found, and the record gives back what it was made of")
  func logLedgers() {
    let log = LogLedgers([7: 100, 3: 50, 9: 10])
    #expect(log.ids == [3, 7, 9] && log.totalBytes == 160 && log[7] == 100 && log[8] == nil && log[99] == nil)
    let changed = log.changed(by: [3: -50, 7: -30, 8: 5, 9: -99, 1: 2])
    #expect(changed == [1: 2, 7: 70, 8: 5] && changed.totalBytes == 77)
    #expect(changed.without([7, 9]) == [1: 2, 8: 5] && changed.changed(by: [:]) == changed)
    #expect(changed.encoded().withUnsafeBytes { LogLedgers(encoded: $0) } == changed)
    #expect([UInt8](repeating: 1, count: 17).withUnsafeBytes { LogLedgers(encoded: $0) } == nil)
    let usage = LogUsage([1: log, 2: [4: 1]])
    #expect(
      usage.changed(added: [1: [3: 1], 5: [6: 2]], garbage: [1: [7: 100], 9: [1: 1]]) == [
        1: [3: 51, 9: 10], 5: [6: 2],
      ])
    #expect(usage.without([4, 8]) == [2: [:]] && usage.liveBytes == [1: 160, 2: 1])
  }

  @Test("A key that no ledger has any more gives its number back")
  func sharedKeys() {
    var keys = SharedKeys()
    let number = keys.retain(Self.key)
    #expect(keys.retain(Self.key) == number && keys.retain(nil) == 0)
    keys.release(number)
    #expect(keys[number] == Self.key && keys.count == 1)
    keys.release(number)
    #expect(keys.count == 0 && keys.retain(Self.other) == number && keys[number] == Self.other && keys[0] == nil)
  }

  @Test("A fence that the journal refused stays in force, and is journaled again")
  func refusedFence() {
    var table = LedgerFenceTable()
    #expect(table.fence(1, key: Self.key) == .journal)
    table.fenceFailed(1)
    #expect(table.add(1, entryID: 0, key: Self.key, isRecovery: false) == .fenced)
    #expect(table.fence(1, key: Self.key) == .journal)
  }

  @Test("After a part of the journal was lost every ledger of that time is fenced and unknown until it is repaired")
  func limbo() {
    var table = LedgerFenceTable()
    _ = table.add(1, entryID: 0, key: Self.key, isRecovery: false)
    table.enterLimbo(through: 10)
    #expect(table.isInLimbo(1) && table.isInLimbo(7) && !table.isInLimbo(11))
    #expect(table.add(1, entryID: 1, key: Self.key, isRecovery: false) == .fenced)
    #expect(table.add(7, entryID: 0, key: Self.key, isRecovery: false) == .fenced)
    #expect(table.add(11, entryID: 0, key: Self.key, isRecovery: false) == .accept(isNew: true))
    // Recovery may write, but what is missing beside it is still unknown.
    #expect(table.add(7, entryID: 3, key: Self.key, isRecovery: true) == .accept(isNew: true))
    #expect(table.isInLimbo(7))
    // Fenced by all means, but a client that counts on it must find it in the journal.
    #expect(table.fence(8, key: Self.key) == .journal)
    table.leaveLimbo(1)
    #expect(!table.isInLimbo(1) && table.isInLimbo(7))
    table.leaveLimbo()
    #expect(!table.isInLimbo(7) && !table.isInLimbo(9))
    #expect(table.takeDirtyLimbo() == UnknownLedgers(limbo: .none, fencedThrough: 10))
    // A ledger that is unknown may have been fenced, of which nothing was left to compare.
    #expect(table.add(9, entryID: 0, key: Self.key, isRecovery: false) == .fenced)
    #expect(table.add(9, entryID: 0, key: Self.key, isRecovery: true) == .accept(isNew: true))
    #expect(table.add(9, entryID: 1, key: Self.key, isRecovery: false) == .fenced)
    #expect(table.add(12, entryID: 0, key: Self.key, isRecovery: false) == .accept(isNew: true))
  }

  @Test("A limbo of which the end is unknown is bounded by what can have existed, and by what is known here")
  func bounds() {
    var table = LedgerFenceTable()
    _ = table.add(15, entryID: 0, key: Self.key, isRecovery: false)
    table.enterLimbo(through: Int64.max)
    #expect(table.isInLimbo(99))
    table.boundLimbo(through: 12)
    #expect(table.isInLimbo(15) && !table.isInLimbo(16))
    #expect(table.unknown == UnknownLedgers(limbo: .through(15), fencedThrough: 15))
    // A second loss while the first one is not repaired.
    table.enterLimbo(through: Int64.max)
    table.boundLimbo(through: 20)
    #expect(table.unknown == UnknownLedgers(limbo: .through(20), fencedThrough: 20))
  }

  @Test("A ledger whose entries belong elsewhere is emptied, but stays fenced; not one in limbo")
  func vacated() {
    var table = LedgerFenceTable()
    _ = table.add(1, entryID: 7, key: Self.key, isRecovery: false)
    #expect(table.vacated(1)?.lastEntry == -1 && table[1]?.lastEntry == 7)
    table.vacate(1)
    #expect(table.vacated(1) == nil && table.vacated(2) == nil)
    #expect(table.add(1, entryID: 8, key: Self.key, isRecovery: false) == .fenced)
    #expect(table.add(1, entryID: 8, key: Self.key, isRecovery: true) == .accept(isNew: false))
    table.enterLimbo(through: 10)
    #expect(table.vacated(1) == nil)
  }

  @Test("A ledger's record in the index gives back what it was made of, and damage is noticed")
  func record() {
    var ledger = LedgerFenceTable.Ledger(key: Self.key, fence: .durable, isInLimbo: true, lastEntry: 9, lastFlushed: 9)
    for isDeleted in [false, true] {
      ledger.isDeleted = isDeleted
      ledger.lastEntry = isDeleted ? 12345 : 9
      let bytes = LedgerRecord.encode(ledger)
      let back = bytes.withUnsafeBytes { LedgerRecord.decode($0) }
      #expect(back?.key == Self.key && back?.fence == .durable && back?.isInLimbo == true)
      #expect(back?.isDeleted == isDeleted && back?.lastEntry == ledger.lastEntry && back?.lastFlushed == 9)
      for count in 0..<bytes.count {
        let cut = bytes.prefix(count).withUnsafeBytes { LedgerRecord.decode(UnsafeRawBufferPointer(rebasing: $0[...])) }
        #expect(cut == nil || isDeleted && count == bytes.count - 8)
      }
    }
  }
}
