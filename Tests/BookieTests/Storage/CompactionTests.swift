import BookieWire
import NIOConcurrencyHelpers
import NIOCore
import Testing

@testable import Bookie

@Suite("Compaction, removal of logs, verification of records")
struct CompactionTests {
  static let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

  static func schedule(isForced: Bool = false) -> CompactionSchedule {
    CompactionSchedule(
      minor: CompactionSchedule.Settings(threshold: 0.2, interval: .seconds(10)),
      major: CompactionSchedule.Settings(threshold: 0.5, interval: .seconds(100)), isForced: isForced, now: start)
  }

  @Test("Minor and major compaction come at their intervals; a major one counts as a minor one")
  func intervals() {
    var schedule = Self.schedule()
    #expect(schedule.next(now: Self.start, level: .ok) == .wait(until: Self.start + .seconds(10)))
    #expect(schedule.next(now: Self.start + .seconds(10), level: .ok) == .run(.minor))
    schedule.finished(.minor, now: Self.start + .seconds(11))
    #expect(schedule.next(now: Self.start + .seconds(12), level: .ok) == .wait(until: Self.start + .seconds(21)))
    #expect(schedule.next(now: Self.start + .seconds(100), level: .ok) == .run(.major))
    schedule.finished(.major, now: Self.start + .seconds(105))
    #expect(schedule.next(now: Self.start + .seconds(105), level: .ok) == .wait(until: Self.start + .seconds(115)))
  }

  @Test("An interval of zero turns compaction off, and does not make it go on for ever")
  func withoutIntervals() {
    var schedule = CompactionSchedule(
      minor: CompactionSchedule.Settings(threshold: 0.2, interval: .zero),
      major: CompactionSchedule.Settings(threshold: 0.5, interval: .zero), isForced: false, now: Self.start)
    #expect(schedule.next(now: Self.start, level: .ok) == .wait(until: nil))
    schedule.trigger(.major)
    #expect(schedule.next(now: Self.start, level: .ok) == .run(.major))
    schedule.finished(.major, now: Self.start)
    #expect(schedule.next(now: Self.start, level: .ok) == .wait(until: nil))
  }

  @Test("A full disk stops major compaction, a nearly full one minor compaction; an operator may stop and trigger both")
  func suspension() {
    var schedule = Self.schedule()
    let late = Self.start + .seconds(1000)
    #expect(schedule.next(now: late, level: .full) == .run(.minor))
    #expect(schedule.next(now: late, level: .hard) == .wait(until: nil))
    #expect(Self.schedule(isForced: true).next(now: late, level: .hard) == .run(.major))
    schedule.suspend(.major, true)
    #expect(schedule.next(now: late, level: .ok) == .run(.minor))
    schedule.suspend(.major, false)
    schedule.trigger(.major)
    #expect(schedule.next(now: Self.start, level: .hard) == .run(.major))
  }

  @Test("The emptiest logs come first, and those above the threshold stay")
  func candidates() {
    let logs: [UInt32: (live: Int64, size: Int64)] = [1: (40, 100), 2: (90, 100), 3: (0, 100), 4: (10, 100), 5: (5, 0)]
    #expect(CompactionSchedule.candidates(logs, threshold: 0.5) == [3, 4, 1])
    #expect(CompactionSchedule.candidates(logs, threshold: 0.05) == [3])
  }

  @Test("Work is spread by bytes, and a pause saves nothing up")
  func pacer() {
    var pacer = Pacer(bytesPerSecond: 1000)
    #expect(pacer.pause(now: Self.start) == nil)
    pacer.spent(500, now: Self.start)
    #expect(pacer.pause(now: Self.start) == Self.start + .milliseconds(500))
    #expect(pacer.pause(now: Self.start + .seconds(10)) == nil)
    pacer.spent(1000, now: Self.start + .seconds(10))
    #expect(pacer.pause(now: Self.start + .seconds(10)) == Self.start + .seconds(11))
    var unlimited = Pacer(bytesPerSecond: 0)
    unlimited.spent(1 << 40, now: Self.start)
    #expect(unlimited.pause(now: Self.start) == nil)
  }

  /// Ledgers 0 and 1 side by side in several logs, of which 1 is deleted.
  static func halfDeleted(_ adjust: (inout BookieConfiguration) -> Void = { _ in }) throws -> StorageRig {
    let rig = try StorageRig {
      $0.majorCompactionThreshold = 0.9
      adjust(&$0)
    }
    for entry in Int64(0)..<60 {
      for ledger in Int64(0)...1 { #expect(rig.addNow(ledger, entry) == .ok) }
      if entry % 20 == 19 { rig.checkpoint() }
    }
    rig.delete([1])
    return rig
  }

  @Test("What is alive is copied, the logs disappear, and everything is found, also after a restart")
  func compaction() throws {
    let rig = try Self.halfDeleted()
    let before = rig.disk.totalBytes
    let logs = rig.storage?.logs.completeIDs ?? []
    #expect(logs.count >= 1)
    rig.compact()
    let statistics = try #require(rig.storage?.statistics())
    #expect(statistics.majorCompactions == 1 && statistics.compactedBytes > 0)
    #expect(statistics.reclaimedCompactionBytes > 0 && statistics.quarantinedEntryLogs == 0)
    #expect(rig.disk.totalBytes < before)
    let left = Set(rig.storage?.logs.ids ?? [])
    #expect(left.isDisjoint(with: logs))
    for entry in Int64(0)..<60 { #expect(rig.has(0, entry)) }
    #expect(rig.read(1, 0)?.code == .noLedger)
    var random = SeededRandom(1)
    try rig.crash(&random)
    for entry in Int64(0)..<60 { #expect(rig.has(0, entry)) }
  }

  @Test("A log with a damaged record is kept until another replica has restored it; nothing beside it is lost")
  func damagedSource() throws {
    let rig = try Self.halfDeleted()
    let run = try #require(try rig.storage?.index.run(ledgerID: 0, entryID: 3))
    let place = try #require(run.find(3))
    let path = try #require(rig.storage?.logs.path(run.logID))
    rig.disk.flip(path, at: Int(place.offset) + 60)
    rig.compact()
    #expect(rig.disk.exists(path))
    #expect(rig.storage?.statistics().quarantinedEntryLogs == 1)
    #expect(rig.storage?.damage.all == [DamagedEntries(ledgerID: 0, entryIDs: [3])])
    #expect(rig.read(0, 3)?.code == .ioError)
    for entry in Int64(0)..<60 where entry != 3 { #expect(rig.has(0, entry)) }

    #expect(rig.addNow(0, 3, flags: .recoveryAdd) == .ok)
    rig.checkpoint()
    #expect(rig.storage?.damage.count == 0)
    rig.compact()
    #expect(!rig.disk.exists(path))
    for entry in Int64(0)..<60 { #expect(rig.has(0, entry)) }
  }

  @Test("Reads go on while compaction takes the logs away under them")
  func readsDuringCompaction() async throws {
    try await BookieHarness.with { configuration in
      configuration.entryLogSizeLimit = 64 * 1024
      configuration.majorCompactionThreshold = 0.9
      configuration.compactionRateByBytes = 0
      configuration.readCacheSize = 4096
    } _: { harness in
      let bookie = try await harness.start()
      let client = try await LocalClient.connect(bookie)
      let payload = ByteBuffer(repeating: 4, count: 1000)
      for entry in Int64(0)..<20 {
        for ledger in Int64(1)...8 { try await client.add(ledger, entry * 5...entry * 5 + 4, payload: payload) }
        await bookie.checkpoint()
      }
      let reader = Task {
        var damaged = 0
        while !Task.isCancelled {
          for entry in stride(from: Int64(0), to: 100, by: 7) where try await !client.has(2, entry, payload: payload) {
            damaged += 1
          }
        }
        return damaged
      }
      for ledger in [1, 3, 4, 5] as [Int64] {
        await bookie.storage.delete([ledger])
        await bookie.compact(.major)
      }
      reader.cancel()
      #expect(try await reader.value == 0)
      #expect(bookie.statistics().reclaimedCompactionBytes > 0 && bookie.statistics().damagedReads == 0)
      try await bookie.shutdown()
    }
  }

  @Test("Scenario: a ledger is deleted, and an entry is added again, while compaction copies")
  func races() throws {
    let rig = try Self.halfDeleted()
    let storage = try #require(rig.storage)
    // Compaction has copied and waits for the flusher, which has other things to do first.
    let compactor = try #require(storage.compactor)
    compactor.mailbox.push(.trigger(.major) {})
    for _ in 0..<1000 where storage.flusher?.mailbox.count == 0 { _ = compactor.turn() }
    let answers = Answers()
    rig.add(0, 5, flags: .recoveryAdd, to: answers)
    rig.add(7, 0, to: answers)
    rig.settle()
    rig.checkpoint()
    for entry in Int64(0)..<60 { #expect(rig.has(0, entry)) }
    compactor.mailbox.push(.trigger(.major) {})
    for _ in 0..<1000 where storage.flusher?.mailbox.count == 0 { _ = compactor.turn() }
    rig.delete([0])
    rig.settle()
    #expect(rig.read(0, 5)?.code == .noLedger)
    #expect(try storage.index.run(ledgerID: 0, entryID: 0) == nil)
    #expect(rig.has(7, 0))
  }

  @Test("A log that a location names is never removed, whatever the record of usage says")
  func wrongUsage() throws {
    let rig = try StorageRig()
    for entry in Int64(0)..<60 { #expect(rig.addNow(0, entry) == .ok) }
    rig.checkpoint()
    let storage = try #require(rig.storage)
    let log = try #require(storage.logs.completeIDs.first)
    storage.usage.set(log, [:])
    storage.compactor?.mailbox.push(.removed)
    rig.settle()
    #expect(storage.usage[log]?[0] ?? 0 > 0)
    for entry in Int64(0)..<60 { #expect(rig.has(0, entry)) }
  }

  @Test("Verification finds a flipped bit and a missing log, tells once, and sees when it is repaired")
  func scrub() throws {
    let told = Told()
    let rig = try StorageRig { $0.onDamage = { told.add($0) } }
    for entry in Int64(0)..<60 { #expect(rig.addNow(0, entry) == .ok) }
    rig.checkpoint()
    rig.scrub()
    #expect(rig.storage?.statistics().scrubs == 1 && rig.storage?.statistics().scrubbedEntries == 60)
    #expect(told.all.isEmpty)

    let run = try #require(try rig.storage?.index.run(ledgerID: 0, entryID: 2))
    let place = try #require(run.find(2))
    rig.disk.flip(try #require(rig.storage?.logs.path(run.logID)), at: Int(place.offset) + 8)
    for _ in 0..<2 { rig.scrub() }
    #expect(told.all == [DamagedEntries(ledgerID: 0, entryIDs: [2])])
    #expect(rig.storage?.statistics().damagedEntries == 1)
    #expect(rig.addNow(0, 2, flags: .recoveryAdd) == .ok)
    rig.checkpoint()
    rig.scrub()
    #expect(rig.storage?.statistics().damagedEntries == 0)

    let last = try #require(try rig.storage?.index.run(ledgerID: 0, entryID: 59))
    try rig.disk.remove(try #require(rig.storage?.logs.path(last.logID)))
    var random = SeededRandom(3)
    try rig.disk.syncDirectory("/l1")
    try rig.disk.syncDirectory("/l2")
    try rig.crash(&random)
    rig.scrub()
    #expect(told.all.last?.entryIDs.contains(59) == true)
    #expect(rig.read(0, 59)?.code == .ioError)
  }

  @Test("Verification goes on where it was after a restart; a bookie that is restarted often is verified too")
  func scrubAcrossRestarts() throws {
    let rig = try StorageRig {
      $0.scrubInterval = .seconds(1000)
      $0.scrubRateByBytes = 1000
    }
    for ledger in Int64(0)..<40 { #expect(rig.addNow(ledger, 0) == .ok) }
    rig.checkpoint()
    var random = SeededRandom(1)
    for _ in 0..<3 {
      rig.pass(.seconds(300))
      try rig.crash(&random)
      #expect(rig.storage?.statistics().scrubbedEntries == 0)
    }
    rig.pass(.seconds(101))
    // 100 records or so a second: not sixteen at once, and not all before the next restart.
    let first = rig.storage?.statistics().scrubbedEntries ?? 0
    #expect((1...8).contains(first))
    for _ in 0..<3 { rig.pass(.milliseconds(500)) }
    let verified = rig.storage?.statistics().scrubbedEntries ?? 0
    #expect(verified > first && verified < 40)
    rig.storage?.close(checkpoint: true)
    try rig.open()
    for _ in 0..<100 where rig.storage?.statistics().scrubs == 0 { rig.pass(.seconds(1)) }
    #expect(rig.storage?.statistics().scrubs == 1)
    #expect(rig.storage?.statistics().scrubbedEntries == 40 - verified)
    try rig.crash(&random)
    rig.pass(.seconds(900))
    #expect(rig.storage?.statistics().scrubbedEntries == 0)
    rig.pass(.seconds(100))
    #expect(rig.storage?.statistics().scrubbedEntries ?? 0 > 0)
  }

  @Test("When everything is verified again, whatever the clock says")
  func scrubRecords() {
    for record in [ScrubRecord(beginMs: 5), ScrubRecord(beginMs: 5, place: LocationPlace(ledgerID: 3, entryID: 9))] {
      #expect(ScrubRecord.decode(record.encoded()) == record)
    }
    #expect(ScrubRecord.decode([1, 2, 3]) == nil)
    let record = ScrubRecord(beginMs: 1000)
    #expect(record.pause(intervalMs: 500, nowMs: 1200) == 300)
    #expect(record.pause(intervalMs: 500, nowMs: 9000) == 0)
    #expect(record.pause(intervalMs: 500, nowMs: 10) == 500)
    #expect(ScrubRecord(beginMs: .max).pause(intervalMs: 500, nowMs: .min) == 0)
  }

  @Test("The entries of a ledger are listed as ranges, flushed or not")
  func ranges() throws {
    let rig = try StorageRig()
    for entry in [0, 1, 2, 5, 6, 9] as [Int64] { #expect(rig.addNow(0, entry) == .ok) }
    rig.checkpoint()
    #expect(rig.addNow(0, 7) == .ok)
    #expect(try rig.storage?.entries(of: 0) == [0...2, 5...7, 9...9])
    #expect(try rig.storage?.entries(of: 1) == [])
  }
}

/// What the damage callback was told.
final class Told: Sendable {
  private let list = NIOLockedValueBox<[DamagedEntries]>([])
  var all: [DamagedEntries] { list.withLockedValue { $0 } }
  func add(_ item: DamagedEntries) { list.withLockedValue { $0.append(item) } }
}
