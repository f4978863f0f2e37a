import BookieWire
import NIOCore
import TestSupport
import Testing

@testable import Bookie

@Suite("Disks: thresholds, read-only, full")
struct DiskTests {
  static func watch(isAnyEnough: Bool = true) -> DiskWatch {
    DiskWatch(
      thresholds: DiskWatch.Thresholds(warn: 0.8, full: 0.9, lowWater: 0.85, hard: 0.95), journals: ["j"],
      ledgers: ["a", "b"], isAnyEnough: isAnyEnough)
  }

  @Test("Each directory has its level; a full one is usable again only below the low-water mark")
  func levels() {
    var watch = Self.watch()
    let seen = [0.5, 0.8, 0.9, 0.86, 0.95, 0.9, 0.85, 0.84].map { watch.observe("a", usage: $0) }
    #expect(seen == [nil, .warn, .full, nil, .hard, .full, nil, .warn])
    #expect(watch.mode == .writable)
  }

  @Test("A full directory makes the bookie read-only, and by itself writable again")
  func modes() {
    var watch = Self.watch()
    _ = watch.observe("b", usage: 0.91)
    #expect(watch.mode == .readOnly && watch.fullLedgerDirectories == ["b"])
    _ = watch.observe("b", usage: 0.2)
    #expect(watch.mode == .writable)
    _ = watch.observe("j", usage: 0.91)
    #expect(watch.mode == .readOnly)
    _ = watch.observe("j", usage: 0.96)
    #expect(watch.mode == .noWrites)
    _ = watch.observe("j", usage: 0.1)
    watch.force(true)
    #expect(watch.mode == .readOnly)
    watch.force(false)
    #expect(watch.mode == .writable)
    #expect(watch.ranOut("j") && watch.mode == .readOnly)
    let isNews = watch.ranOut("j")
    #expect(!isNews)
  }

  @Test("Where one full ledger directory is not enough, the others are used; the one with the index is always needed")
  func severalDirectories() {
    var watch = Self.watch(isAnyEnough: false)
    _ = watch.observe("b", usage: 0.99)
    #expect(watch.mode == .writable)
    _ = watch.observe("a", usage: 0.91)
    #expect(watch.mode == .readOnly)
    _ = watch.observe("a", usage: 0.99)
    #expect(watch.mode == .noWrites)
  }

  @Test("Read-only: adds are refused, reads, fences and recovery go on; without any space only reads and fences do")
  func readOnly() throws {
    let rig = try StorageRig()
    #expect(rig.addNow(1, 0) == .ok)
    rig.storage?.setReadOnly(true)
    #expect(rig.addNow(1, 1) == .readOnly)
    #expect(rig.addNow(1, 1, flags: [.recoveryAdd, .highPriority]) == .ok)
    #expect(rig.has(1, 0))
    #expect(rig.read(1, -1, flags: .fencing)?.code == .ok)
    rig.storage?.setReadOnly(false)
    #expect(rig.addNow(2, 0) == .ok)
    #expect(rig.addNow(1, 2) == .fenced)

    rig.checkpoint()
    rig.disk.capacity = rig.disk.totalBytes + 100
    rig.storage?.checkDisks()
    #expect(rig.storage?.statistics().mode == .noWrites)
    #expect(rig.addNow(2, 1, flags: [.recoveryAdd, .highPriority]) == .readOnly)
    #expect(rig.read(3, -1, flags: .fencing)?.code == .noEntry)
    #expect(rig.has(2, 0))
    rig.disk.capacity = .max
    rig.storage?.checkDisks()
    #expect(rig.addNow(2, 1) == .ok)
    #expect(rig.addNow(3, 0) == .fenced)
    // None of them was rejected for want of room.
    #expect(rig.storage?.statistics().refusedAdds == 4 && rig.storage?.statistics().rejectedAdds == 0)
  }

  @Test("Adds that wait for room are refused after their time, and recovery has room of its own")
  func throttle() throws {
    let rig = try StorageRig { configuration in
      configuration.journalDirectories = ["/j1"]
      configuration.maximumThrottleTime = .seconds(3)
      configuration.maximumFlushFailures = 1000
      configuration.faults.beforeFlush = { () throws(BookieError) in
        throw .io(action: "Flushing", path: "/l1", errno: 5)
      }
    }
    let answers = Answers()
    for entry in Int64(0)..<300 { rig.add(1, entry, to: answers) }
    rig.settle()
    let accepted = answers.codes.count
    #expect(accepted < 300 && accepted > 50)
    #expect(answers.codes.allSatisfy { $0.code == .ok })
    #expect(rig.addNow(1, 400, flags: .recoveryAdd) == .ok)
    rig.pass(.seconds(4))
    #expect(answers.codes.count == 300)
    #expect(answers.codes.dropFirst(accepted).allSatisfy { $0.code == .tooManyRequests })
    #expect(rig.storage?.statistics().waitingBytes == 0 && rig.storage?.statistics().refusedAdds == 0)
    #expect(rig.storage?.statistics().rejectedAdds == Int64(300 - accepted))
    #expect(rig.storage?.statistics().writeCacheBytes ?? .max < 80 * 1024)
  }

  @Test("What waits for a journal's disk is bounded: further adds wait, and are let in when it has synced")
  func journalBound() throws {
    let rig = try StorageRig {
      $0.journalDirectories = ["/j1"]
      $0.journalMaxMemory = 4096
    }
    let answers = Answers()
    for entry in Int64(0)..<40 { rig.add(1, entry, to: answers) }
    let journal = try #require(rig.storage?.journals[0])
    #expect(journal.memoryUsed >= 4096 && journal.memoryUsed < 4096 + 1100)
    #expect(rig.storage?.statistics().waitingBytes ?? 0 > 10_000)
    // A fence does not wait behind them.
    let fence = rig.read(2, -1, flags: .fencing)
    #expect(fence?.code == .noEntry)
    rig.pass(.milliseconds(10))
    #expect(answers.codes.count == 40 && answers.codes.allSatisfy { $0.code == .ok })
    #expect(journal.memoryUsed == 0 && rig.storage?.statistics().waitingBytes == 0)
  }

  @Test("Several journals: each ledger goes to one, and all are replayed, each from its own mark")
  func journals() throws {
    let rig = try StorageRig()
    for ledger in Int64(0)..<6 { #expect(rig.addNow(ledger, 0) == .ok) }
    rig.checkpoint()
    for ledger in [0, 2, 4] as [Int64] { #expect(rig.addNow(ledger, 1) == .ok) }
    let marks = rig.storage?.syncedMarks.map(\.sequence)
    #expect(marks == [6, 3])
    var random = SeededRandom(5)
    try rig.crash(&random)
    for ledger in Int64(0)..<6 { #expect(rig.has(ledger, 0)) }
    for ledger in [0, 2, 4] as [Int64] { #expect(rig.has(ledger, 1)) }
  }

  @Test("A failed sync ends everything: nothing is answered, and nothing acknowledged is lost")
  func failedSync() throws {
    let rig = try StorageRig { $0.journalDirectories = ["/j1"] }
    #expect(rig.addNow(1, 0) == .ok)
    // The next change writes the record, the one after it syncs.
    rig.disk.failsAt = rig.disk.operations + 2
    #expect(rig.addNow(1, 1) == nil)
    #expect(rig.reports.count == 1 && rig.reports[0].contains("must not be repeated"))
    rig.disk.failsAt = nil
    #expect(rig.addNow(1, 2) == nil)
    #expect(rig.read(2, -1, flags: .fencing) == nil)
    var random = SeededRandom(2)
    try rig.crash(&random)
    #expect(rig.has(1, 0))
  }
}
