import BookieWire
import Foundation
import MetadataStore
import NIOConcurrencyHelpers
import NIOCore
import Testing

@testable import Bookie

/// Accidents that have cost others data, one test for each, on a disk that loses whatever was not synced.
@Suite("Storage: scenarios")
struct StorageScenarioTests {
  typealias Promises = CrashTests.Promises

  /// Prepares a storage and does something, again and again: the disk dies at each change that is made, in turn, and
  /// whatever was promised until then must hold.
  static func everyCrash(
    _ adjust: (inout BookieConfiguration) -> Void = { _ in },
    prepare: (StorageRig, inout Promises) -> Void, action: (StorageRig, inout Promises) -> Void
  ) throws {
    let rig = try StorageRig(adjust)
    var promises = Promises()
    prepare(rig, &promises)
    let before = rig.disk.operations
    action(rig, &promises)
    let changes = rig.disk.operations - before
    #expect(changes > 0)
    CrashTests.verify(rig, promises, 0)
    for change in 1...max(1, changes) {
      for seed in UInt64(0)...1 {
        var random = SeededRandom(UInt64(change) * 7 + seed)
        let rig = try StorageRig(adjust)
        var promises = Promises()
        prepare(rig, &promises)
        rig.disk.failsAt = rig.disk.operations + change
        action(rig, &promises)
        try rig.crash(&random)
        CrashTests.verify(rig, promises, UInt64(change))
        #expect(rig.addNow(60, 0) == .ok, "It takes nothing after a crash at change \(change).")
      }
    }
  }

  static func add(_ rig: StorageRig, _ ledger: Int64, _ entries: ClosedRange<Int64>, _ promises: inout Promises) {
    for entry in entries where rig.addNow(ledger, entry) == .ok { promises.acknowledged.insert([ledger, entry]) }
  }

  @Test("Scenario: the bookie restarts between fence reply and journal sync")
  func fence() throws {
    let rig = try StorageRig()
    let answers = Answers()
    rig.storage?.read(
      .read(
        ReadRequest(requestID: 1, flags: .fencing, ledgerID: 0, entryID: -1, masterKey: BookieHarness.key)),
      from: answers)
    #expect(answers.reads.isEmpty, "answered before anything was synced")
    try Self.everyCrash { rig, promises in
      Self.add(rig, 0, 0...2, &promises)
    } action: { rig, promises in
      for ledger in Int64(0)...1 {
        let code = rig.read(ledger, -1, flags: .fencing)?.code
        if code == .ok || code?.isNegative == true { promises.fenced.insert(ledger) }
      }
    }
  }

  @Test("Scenario: crash at every write of a checkpoint")
  func checkpoint() throws {
    try Self.everyCrash { rig, promises in
      Self.add(rig, 0, 0...3, &promises)
      Self.add(rig, 1, 0...3, &promises)
      if rig.read(1, -1, flags: .fencing)?.code == .ok { promises.fenced.insert(1) }
    } action: { rig, promises in
      rig.checkpoint()
      Self.add(rig, 2, 0...0, &promises)
      rig.checkpoint()
    }
  }

  @Test("Scenario: crash at every write of a compaction")
  func compaction() throws {
    try Self.everyCrash {
      $0.majorCompactionThreshold = 0.9
      $0.entryLogSizeLimit = 2048
    } prepare: { rig, promises in
      for entry in Int64(0)...5 {
        Self.add(rig, 0, entry...entry, &promises)
        _ = rig.addNow(1, entry)
      }
      rig.checkpoint()
      rig.delete([1])
    } action: { rig, _ in
      rig.compact()
    }
  }

  @Test("Scenario: crash at every write of a journal roll")
  func journalRoll() throws {
    try Self.everyCrash {
      $0.journalMaxFileSize = 16 * 1024
    } prepare: { rig, promises in
      Self.add(rig, 0, 0...1, &promises)
    } action: { rig, promises in
      let first = rig.storage?.journals[0].statistics.filesCreated
      Self.add(rig, 0, 2...6, &promises)
      rig.checkpoint()
      Self.add(rig, 0, 7...9, &promises)
      if rig.disk.failsAt == nil { #expect(rig.storage?.journals[0].statistics.filesCreated != first) }
    }
  }

  @Test("Scenario: crash at every write of an entry log roll")
  func logRoll() throws {
    try Self.everyCrash {
      $0.entryLogSizeLimit = 700
    } prepare: { rig, promises in
      Self.add(rig, 0, 0...4, &promises)
    } action: { rig, promises in
      rig.checkpoint()
      if rig.disk.failsAt == nil { #expect(rig.storage?.logs.count ?? 0 > 1) }
    }
  }

  @Test("Scenario: lastMark lost or torn: the start is refused, and says what to do")
  func lostMark() throws {
    for damage in 0..<4 {
      let rig = try StorageRig()
      var promises = Promises()
      Self.add(rig, 0, 0...5, &promises)
      rig.checkpoint()
      let mark = rig.disk.bytes("/l1/lastMark")
      switch damage {
      case 0: try rig.disk.remove("/l1/lastMark")
      case 1: rig.disk.replace("/l1/lastMark", with: Array(mark.prefix(mark.count - 7)))
      case 2: rig.disk.replace("/l1/lastMark", with: [])
      default: rig.disk.flip("/l1/lastMark", at: 9)
      }
      do {
        try rig.open()
        Issue.record("It started without its marks.")
      } catch {
        #expect("\(error)".contains("rebuild-index"), "\(error)")
      }
    }
  }

  @Test("Scenario: lastMark stale: more is replayed; what is gone from the journals makes ledgers unknown, not empty")
  func staleMark() throws {
    for isReleased in [false, true] {
      let rig = try StorageRig { $0.journalMaxFileSize = isReleased ? 16 * 1024 : 1024 * 1024 }
      var promises = Promises()
      Self.add(rig, 0, 0...2, &promises)
      rig.checkpoint()
      let stale = rig.disk.bytes("/l1/lastMark")
      for entry in Int64(3)...14 {
        Self.add(rig, 0, entry...entry, &promises)
        if entry % 4 == 0 { rig.checkpoint() }
      }
      rig.disk.replace("/l1/lastMark", with: stale)
      try rig.open()
      for id in promises.acknowledged { #expect(rig.has(id[0], id[1])) }
      #expect(rig.storage?.statistics().isInLimbo == isReleased)
      #expect(rig.read(0, 40)?.code == (isReleased ? .unknownLedgerState : .noEntry))
      #expect(rig.read(4, 0)?.code == (isReleased ? .unknownLedgerState : .noLedger))
    }
  }

  @Test("Scenario: the index is older than lastMark: the start is refused")
  func staleIndex() throws {
    let rig = try StorageRig()
    var promises = Promises()
    Self.add(rig, 0, 0...5, &promises)
    rig.checkpoint()
    let marks = try CheckpointFile.read(configuration: rig.configuration)
    try CheckpointFile.write(
      marks.map { JournalMark(sequence: $0.sequence + 5) }, configuration: rig.configuration)
    #expect(throws: BookieError.self) { try rig.open() }
    try CheckpointFile.write(marks, configuration: rig.configuration)
    try rig.open()
    CrashTests.verify(rig, promises, 0)
  }

  @Test("Scenario: a journal file that is preallocated but zero is an empty one; one without its header is damage")
  func zeroJournal() throws {
    let rig = try StorageRig()
    try rig.open()
    #expect(rig.storage?.statistics().isInLimbo == false)
    var promises = Promises()
    Self.add(rig, 0, 0...3, &promises)
    try rig.open()
    CrashTests.verify(rig, promises, 0)
    rig.checkpoint()
    let path = try #require(try rig.disk.list("/j1").last { $0.hasSuffix(".journal") })
    rig.disk.replace("/j1/" + path, with: [UInt8](repeating: 0, count: 16 * 1024))
    try rig.open()
    // It has had a header as long as it has had its name.
    #expect(rig.storage?.statistics().isInLimbo == true)
    for id in promises.acknowledged { #expect(rig.has(id[0], id[1])) }
  }

  @Test(
    "Scenario: disk full in each file",
    // A journal has its name only when it has begun, and is known by the one that it was opened with.
    arguments: [".free", ".log", "lastMark.tmp", "index"])
  func fullDisk(_ file: String) throws {
    for seed in UInt64(0)..<6 {
      var random = SeededRandom(seed)
      let rig = try StorageRig(seed: seed) {
        $0.majorCompactionThreshold = 0.9
        $0.journalMaxFileSize = 32 * 1024
      }
      var promises = Promises()
      CrashTests.work(rig, &random, &promises, steps: 20)
      let hits = NIOLockedValueBox(0)
      rig.disk.fault = { action, path in
        guard path.hasSuffix(file), action == "Writing" || action == "Creating" else { return nil }
        hits.withLockedValue { $0 += 1 }
        return ENOSPC
      }
      CrashTests.work(rig, &random, &promises, steps: 50)
      rig.checkpoint()
      #expect(rig.reports.isEmpty, "Seed \(seed): \(rig.reports)")
      #expect(hits.withLockedValue { $0 } > 0, "Nothing was written to \(file).")
      CrashTests.verify(rig, promises, seed)
      rig.disk.fault = nil
      if seed % 2 == 0 {
        rig.pass(.seconds(11))
        rig.storage?.checkDisks()
        #expect(rig.addNow(100, 0) == .ok, "Seed \(seed)")
      } else {
        try rig.crash(&random)
      }
      CrashTests.verify(rig, promises, seed)
    }
  }

  @Test("Scenario: one directory's flush fails: the mark stays, and nothing is lost")
  func failingDirectory() throws {
    for seed in UInt64(0)..<8 {
      var random = SeededRandom(seed)
      let rig = try StorageRig(seed: seed)
      var promises = Promises()
      Self.add(rig, 0, 0...4, &promises)
      rig.checkpoint()
      let hits = NIOLockedValueBox(0)
      rig.disk.fault = { action, path in
        guard path.hasPrefix("/l2/"), action == (seed % 2 == 0 ? "Writing" : "Syncing") else { return nil }
        hits.withLockedValue { $0 += 1 }
        return EIO
      }
      Self.add(rig, 1, 0...4, &promises)
      rig.checkpoint()
      Self.add(rig, 2, 0...4, &promises)
      rig.pass(.seconds(1))
      rig.checkpoint()
      Self.add(rig, 3, 0...4, &promises)
      #expect(hits.withLockedValue { $0 } > 0)
      rig.disk.fault = nil
      if seed < 4 {
        rig.pass(.seconds(5))
        rig.checkpoint()
      }
      try rig.crash(&random)
      CrashTests.verify(rig, promises, seed)
    }
  }

  @Test("Scenario: a ledger is deleted while compaction copies, and the process dies")
  func deletionDuringCompaction() throws {
    try Self.everyCrash {
      $0.majorCompactionThreshold = 0.9
      $0.entryLogSizeLimit = 2048
    } prepare: { rig, promises in
      for entry in Int64(0)...4 {
        Self.add(rig, 0, entry...entry, &promises)
        _ = rig.addNow(1, entry)
        _ = rig.addNow(2, entry)
      }
      rig.checkpoint()
      rig.delete([1])
    } action: { rig, _ in
      // The ledger goes while its runs are being copied.
      rig.storage?.compactor?.mailbox.push(.trigger(.major) {})
      for _ in 0..<4 { _ = rig.storage?.compactor?.turn() }
      rig.storage?.flusher?.submit(.delete([2]) {})
      rig.settle()
      if rig.disk.failsAt == nil { #expect(rig.read(2, 0)?.code == .noLedger) }
    }
  }

  @Test("Scenario: the metadata listing is truncated while garbage collection runs: nothing is deleted")
  func truncatedListing() async throws {
    try await BookieHarness.with {
      $0.garbageCollectionMassDeleteMinimum = 3
      $0.garbageCollectionInterval = .seconds(3600)
    } _: { harness in
      for ledger in 1...8 { try await harness.metadata.put("/ledgers/\(ledger)", [1]) }
      let bookie = try await harness.start()
      let client = try await LocalClient.connect(bookie)
      for ledger in Int64(1)...8 { try await client.add(ledger, 0...3) }
      let forgetful = ForgetfulStore(harness.metadata)
      let collector = GarbageCollector(
        storage: bookie.storage, metadata: forgetful, logger: bookie.storage.logger)
      // One that is missed once, and another one the next time.
      for ledger in [2, 5, 2, 5] {
        forgetful.forgets = ["/ledgers/\(ledger)"]
        #expect(try await collector.round() == 0)
      }
      // Most of them, again and again.
      forgetful.forgets = Set((1...6).map { "/ledgers/\($0)" })
      for _ in 0..<3 { #expect(try await collector.round() == 0) }
      #expect(bookie.statistics().refusedMassDeletes == 3)
      // An answer that is no answer.
      forgetful.fails = true
      for _ in 0..<2 { await #expect(throws: MetadataError.self) { try await collector.round() } }
      for ledger in Int64(1)...8 { #expect(try await client.has(ledger, 3)) }
      try await bookie.shutdown()
    }
  }

  /// A store that has forgotten some keys.
  private final class ForgetfulStore: MetadataStore, @unchecked Sendable {
    var forgets: Set<String> = []
    var fails = false
    private let store: any MetadataStore

    init(_ store: any MetadataStore) { self.store = store }

    func get(_ key: String) async throws -> MetadataRecord? {
      if fails { throw MetadataError.closed }
      return forgets.contains(key) ? nil : try await store.get(key)
    }

    func put(
      _ key: String, _ value: [UInt8], expected: ExpectedVersion, lease: MetadataLease?
    ) async throws -> MetadataVersion {
      try await store.put(key, value, expected: expected, lease: lease)
    }

    func delete(_ key: String, expected: ExpectedVersion) async throws {
      try await store.delete(key, expected: expected)
    }

    func list(prefix: String, after: String?, limit: Int) async throws -> [MetadataRecord] { [] }
    func keys(prefix: String, after: String?, limit: Int) async throws -> [String] { [] }
    func watch(prefix: String) async throws -> AsyncStream<MetadataEvent> { try await store.watch(prefix: prefix) }
    func grantLease(ttl: Duration) async throws -> MetadataLease { try await store.grantLease(ttl: ttl) }
    func nextSequence(_ name: String) async throws -> Int64 { try await store.nextSequence(name) }
    func close() async throws {}
  }
}
