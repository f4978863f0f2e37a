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
    table.delete(1)
    #expect(table.add(1, entryID: 1, key: Self.key, isRecovery: true) == .fenced)
    let isReplayed = table.replayEntry(1, entryID: 1)
    #expect(!isReplayed)
    #expect(table.ids.isEmpty && table.count == 0)
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

  @Test("Fencing everything covers every ledger")
  func fenceAll() {
    var table = LedgerFenceTable()
    _ = table.add(1, entryID: 0, key: Self.key, isRecovery: false)
    table.fenceAll()
    #expect(table.add(1, entryID: 1, key: Self.key, isRecovery: false) == .fenced)
    #expect(table.fence(1, key: Self.key) == .durable)
  }
}
