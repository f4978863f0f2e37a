import BookieWire
import Foundation
import NIOCore
import TestSupport
import Testing

@testable import Bookie

@Suite("Bookie: the index is lost or damaged, and is made anew")
struct IndexRebuildTests {
  static func configure(_ configuration: inout BookieConfiguration) {
    configuration.entryLogSizeLimit = 16 * 1024
    configuration.majorCompactionThreshold = 0.9
    configuration.compactionRateByBytes = 0
    configuration.diskCheckInterval = .milliseconds(20)
  }

  /// Stores entries in many ways, and stops. Returns what must be found again.
  static func fill(_ harness: BookieHarness) async throws -> [Int64: Set<Int64>] {
    let bookie = try await harness.start()
    let client = try await LocalClient.connect(bookie)
    var stored: [Int64: Set<Int64>] = [:]
    func add(_ ledger: Int64, _ entries: ClosedRange<Int64>, _ flags: BookieRequestFlags = []) async throws {
      #expect(try await client.add(ledger, entries, flags: flags).allSatisfy { $0 == .ok })
      stored[ledger, default: []].formUnion(entries)
    }
    for round in Int64(0)..<4 {
      for ledger in Int64(1)...4 { try await add(ledger, round * 40...round * 40 + 39) }
      await bookie.checkpoint()
    }
    // Late, again, and over a gap.
    try await add(1, 300...310, .recoveryAdd)
    await bookie.checkpoint()
    try await add(1, 200...210, .recoveryAdd)
    try await add(2, 10...12, .recoveryAdd)
    try await add(3, 500...500, .recoveryAdd)
    await bookie.checkpoint()
    // Two logs are mostly garbage: what is left of them moves.
    for ledger in Int64(1)...3 { try await harness.metadata.put("/ledgers/\(ledger)", [1]) }
    try await bookie.collectGarbage()
    try await bookie.collectGarbage()
    stored[4] = nil
    await bookie.compact(.major)
    #expect(bookie.statistics().compactedBytes > 0)
    _ = try await client.read(2, -1, flags: .fencing, key: BookieHarness.key)
    // And what is in the journal only.
    try await add(6, 0...9)
    try await bookie.abandon()
    return stored
  }

  static func index(_ harness: BookieHarness) -> String { harness.configuration.indexDirectory + "/index" }

  static func verify(_ bookie: Bookie, _ stored: [Int64: Set<Int64>]) async throws {
    let client = try await LocalClient.connect(bookie)
    for (ledger, entries) in stored {
      for entry in entries.sorted() where try await !client.has(ledger, entry) {
        Issue.record("Entry \(ledger):\(entry) is not there: \(try await client.read(ledger, entry).code)")
      }
    }
  }

  @Test("Every entry is found again; all ledgers are fenced; what is not found is unknown until it was compared")
  func rebuild() async throws {
    try await BookieHarness.with(Self.configure) { harness in
      let stored = try await Self.fill(harness)
      try FileManager.default.removeItem(atPath: Self.index(harness))
      await BookieIdentityTests.refused(
        harness, "meridian bookie rebuild-index --directory \(harness.directory.file("b1"))")
      let report = try IndexRebuild.run(directory: harness.directory.file("b1"))
      #expect(report.bookieID == "b1" && report.ledgers >= 3 && report.entryLogs > 1)
      #expect(report.damaged.isEmpty && report.missingBytes == 0 && report.formerIndex == nil)

      for _ in 1...10 { _ = try await harness.metadata.nextSequence("ledger-id") }
      let bookie = try await harness.start()
      try await Self.verify(bookie, stored)
      let client = try await LocalClient.connect(bookie)
      #expect(bookie.statistics().isInLimbo)
      for ledger in [Int64(1), 2, 3, 6] { #expect(try await client.add(ledger, 900...900) == [.fenced]) }
      #expect(try await client.read(1, 250).code == .unknownLedgerState)
      #expect(try await client.read(7, 0).code == .unknownLedgerState)
      #expect(try await client.add(7, 0...0) == [.fenced])
      #expect(try await client.read(3, -1).entry?.getInteger(at: 8, as: Int64.self) == 500)
      // The same ranges as one would expect of an index that was never lost.
      #expect(try await bookie.entries(of: 1) == [0...159, 200...210, 300...310])
      // Once everything was compared, a negative answer is one again; a fence that may be lost is not.
      await eventually { try await harness.metadata.get("/bookies/limbo/b1") != nil }
      let record = try #require(try await harness.metadata.get("/bookies/limbo/b1"))
      let last = String(decoding: record.value, as: UTF8.self).split(separator: " ").last ?? ""
      try await harness.metadata.put("/bookies/limbo/b1", Array("repaired \(last)".utf8))
      await eventually { !bookie.statistics().isInLimbo }
      #expect(try await client.read(7, 0).code == .noLedger)
      #expect(try await client.add(7, 0...0) == [.fenced])
      #expect(try await client.add(99, 0...0) == [.ok])
      // Garbage and compaction go on with it.
      await bookie.compact(.major)
      try await Self.verify(bookie, stored)
      try await bookie.shutdown()
      let again = try await harness.start()
      try await Self.verify(again, stored)
      try await again.shutdown()
    }
  }

  @Test("A damaged record leaves a ledger of which something is unknown; lost marks are made anew too")
  func damagedLog() async throws {
    try await BookieHarness.with(Self.configure) { harness in
      var stored = try await Self.fill(harness)
      let directory = harness.configuration.ledgerDirectories[0]
      let name = try #require(
        try FileManager.default.contentsOfDirectory(atPath: directory).filter { $0.hasSuffix(".log") }.sorted().first)
      let id = try #require(EntryLogFormat.logID(fileName: name))
      var records: [EntryLogScan.Record] = []
      _ = try EntryLogScan(path: directory + "/" + name, logID: id, files: PosixFiles()).run { records.append($0) }
      let victim = records[records.count / 2]
      // Its length, so that the next one has to be looked for.
      try BookieDamageTests.flip(directory + "/" + name, at: Int(victim.offset) + 2)
      try FileManager.default.removeItem(atPath: directory + "/lastMark")
      await BookieIdentityTests.refused(harness, "rebuild-index")
      let report = try IndexRebuild.run(directory: harness.directory.file("b1"))
      #expect(report.damaged.count == 1 && report.damagedBytes == victim.size + 8)
      #expect(report.formerIndex == Self.index(harness) + ".former-1")
      let bookie = try await harness.start()
      let client = try await LocalClient.connect(bookie)
      let code = try await client.read(victim.ledgerID, victim.entryID).code
      // It may have been written again, or be garbage.
      #expect(code == .ok || code == .unknownLedgerState, "\(code)")
      stored[victim.ledgerID]?.remove(victim.entryID)
      try await Self.verify(bookie, stored)
      try await bookie.shutdown()
    }
  }

  @Test("A bit that flips anywhere in the index is an error or is noticed at the start, and no entry is ever denied")
  func flippedIndex() async throws {
    try await BookieHarness.with(Self.configure) { harness in
      let stored = try await Self.fill(harness)
      let index = Self.index(harness)
      let good = harness.directory.file("good")
      let data = harness.directory.file("b1")
      try FileManager.default.copyItem(atPath: data, toPath: good)
      var random = SeededRandom(11)
      var refused = 0
      for name in try FileManager.default.contentsOfDirectory(atPath: index).sorted()
      where !name.hasPrefix("LOG") && name != "LOCK" && name != "IDENTITY" && !name.hasPrefix("OPTIONS") {
        for _ in 0..<2 {
          try FileManager.default.removeItem(atPath: data)
          try FileManager.default.copyItem(atPath: good, toPath: data)
          let size = try #require(FileManager.default.contents(atPath: index + "/" + name)?.count)
          guard size > 0 else { continue }
          try BookieDamageTests.flip(index + "/" + name, at: Int.random(in: 0..<size, using: &random))
          do {
            let bookie = try await harness.start { $0.failureAction = { _ in } }
            let client = try await LocalClient.connect(bookie)
            for (ledger, entries) in stored {
              for entry in entries {
                let code = try await client.read(ledger, entry).code
                #expect(
                  code == .ok || code == .ioError || code == .unknownLedgerState, "\(name): \(ledger):\(entry) \(code)")
              }
            }
            try await bookie.abandon()
          } catch {
            refused += 1
            #expect("\(error)".contains("rebuild-index"), "\(name): \(error)")
          }
        }
      }
      #expect(refused > 0)
      _ = try IndexRebuild.run(directory: data)
      let bookie = try await harness.start()
      try await Self.verify(bookie, stored)
      try await bookie.shutdown()
    }
  }

  @Test("Directories that are not those of one bookie, and a bookie that runs, are left alone")
  func refusals() async throws {
    try await BookieHarness.with { harness in
      let bookie = try await harness.start()
      let journals = harness.configuration.journalDirectories
      let ledgers = harness.configuration.ledgerDirectories
      #expect(throws: BookieError.self) {
        try IndexRebuild.run(journalDirectories: journals, ledgerDirectories: ledgers)
      }
      try await bookie.shutdown()
      #expect(throws: BookieError.self) { try IndexRebuild.run(directory: harness.directory.file("none")) }
      #expect(throws: BookieError.self) {
        try IndexRebuild.run(journalDirectories: ledgers, ledgerDirectories: journals)
      }
      let report = try IndexRebuild.run(journalDirectories: journals, ledgerDirectories: ledgers)
      #expect(report.entryLogs == 0 && report.ledgers == 0)
      let again = try await harness.start()
      try await again.shutdown()
    }
  }

  @Test("A scan of an entry log finds every whole record, whatever is between them, and reads the trailer")
  func scan() throws {
    var random = SeededRandom(2)
    for round in 0..<30 {
      let disk = MemoryDisk()
      let rig = try StorageRig(disk: disk, seed: UInt64(round))
      let writer = try EntryLogWriter(directory: "/l1", logID: 77, environment: rig.configuration.environment)
      var offsets: [Int] = []
      for entry in Int64(0)..<20 {
        offsets.append(Int(writer.offset))
        let bytes = BookieHarness.entry(3, entry, StorageRig.payload(3, entry)).joined()
        try writer.append(bytes, ledgerID: 3)
      }
      let end = Int(writer.offset)
      if round % 2 == 0 { try writer.finish() } else { try writer.sync() }
      let path = "/l1/" + EntryLogFormat.fileName(77)
      var hit: Set<Int> = []
      for _ in 0..<round % 4 {
        let at = Int.random(in: EntryLogFormat.headerSize..<end, using: &random)
        disk.flip(path, at: at)
        hit.insert((offsets.firstIndex { $0 > at } ?? offsets.count) - 1)
      }
      // The header, too, as long as what it says can be proved by a record.
      if round % 5 == 0 { disk.flip(path, at: 21) }
      var found: [Int64] = []
      do {
        let outcome = try EntryLogScan(path: path, logID: 77, files: disk).run { found.append($0.entryID) }
        #expect((outcome.trailer != nil) == (round % 2 == 0))
        if hit.isEmpty { #expect(outcome.trailer?[3] ?? Int64(end - 64) == Int64(end - 64)) }
        #expect(outcome.damaged.isEmpty == hit.isEmpty)
        #expect(outcome.records == found.count)
        // A bit that flips twice is as it was.
        #expect(Set(found).isSuperset(of: (Int64(0)..<20).filter { !hit.contains(Int($0)) }))
      } catch {
        #expect(round % 5 == 0 && hit.contains(0), "\(error)")
      }
    }
  }
}
