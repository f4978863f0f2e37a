import BookieWire
import Foundation
import MetadataStore
import NIOConcurrencyHelpers
import NIOCore
import TestSupport
import Testing

@testable import Bookie

@Suite("Bookie: restart, damage, identity, deletion")
struct BookieRestartTests {
  @Test("Everything acknowledged is readable after the bookie was abandoned, also twice")
  func replay() async throws {
    try await BookieHarness.with { harness in
      for round in Int64(0)..<3 {
        let bookie = try await harness.start()
        let client = try await LocalClient.connect(bookie)
        for ledger in Int64(0)..<round * 2 { #expect(try await client.has(ledger, 19)) }
        try await client.add(round * 2, 0...19)
        await bookie.checkpoint()
        try await client.add(round * 2 + 1, 0...19)
        try await client.add(round * 2, 20...20)
        try await bookie.abandon()
      }
      let bookie = try await harness.start()
      let client = try await LocalClient.connect(bookie)
      for ledger in Int64(0)..<6 {
        #expect(try await client.has(ledger, 0))
        #expect(try await client.has(ledger, 19))
        #expect(try await client.add(ledger, 30...30) == [.ok])
      }
      #expect(try await client.read(0, -1).code == .ok)
      #expect(bookie.statistics().isInLimbo == false)
      try await bookie.shutdown()
    }
  }

  @Test("Journal files roll, are released behind the mark, and are used again")
  func rolling() async throws {
    try await BookieHarness.with { configuration in
      configuration.journalMaxFileSize = 128 * 1024
      configuration.writeCacheSize = 256 * 1024
    } _: { harness in
      let bookie = try await harness.start()
      let client = try await LocalClient.connect(bookie)
      let payload = ByteBuffer(repeating: 3, count: 10_000)
      for ledger in Int64(0)..<30 { try await client.add(ledger, 0...4, payload: payload) }
      await bookie.checkpoint()
      let files = try FileManager.default.contentsOfDirectory(atPath: harness.configuration.journalDirectory)
      #expect(files.count { $0.hasSuffix(".journal") } <= 3)
      #expect(bookie.statistics().flushes >= 5)
      try await client.add(100, 0...4, payload: payload)
      try await bookie.abandon()
      let again = try await harness.start()
      let second = try await LocalClient.connect(again)
      for ledger in Int64(0)..<30 { #expect(try await second.has(ledger, 4, payload: payload)) }
      #expect(try await second.has(100, 4, payload: payload))
      #expect(again.statistics().readCacheHits + again.statistics().cacheMisses > 0)
      try await again.shutdown()
    }
  }

  @Test("Restarts under load lose nothing that was acknowledged")
  func underLoad() async throws {
    try await BookieHarness.with { configuration in
      configuration.writeCacheSize = 128 * 1024
      configuration.journalMaxFileSize = 256 * 1024
    } _: { harness in
      let acknowledged = NIOLockedValueBox<[Int64: Int64]>([:])
      for round in Int64(0)..<4 {
        let bookie = try await harness.start()
        await withTaskGroup(of: Void.self) { group in
          for writer in Int64(0)..<4 {
            group.addTask {
              guard let client = try? await LocalClient.connect(bookie) else { return }
              let ledger = round * 10 + writer
              var next: Int64 = 0
              while let codes = try? await client.add(ledger, next...next + 9), codes.allSatisfy({ $0 == .ok }) {
                acknowledged.withLockedValue { $0[ledger] = next + 9 }
                next += 10
              }
            }
          }
          group.addTask {
            await eventually { bookie.statistics().adds > 3000 }
            try? await bookie.abandon()
          }
        }
      }
      let bookie = try await harness.start()
      let client = try await LocalClient.connect(bookie)
      for (ledger, last) in acknowledged.withLockedValue({ $0 }) {
        var next: Int64 = 0
        while next <= last {
          let read = try await client.batchRead(ledger, from: next, count: 0)
          guard read.code == .ok else {
            Issue.record("Entry \(ledger):\(next) is lost: \(read.code)")
            break
          }
          for entry in read.entries {
            _ = try BookieHarness.codec.decode(entry, ledgerID: ledger, entryID: next)
            next += 1
          }
        }
      }
      try await bookie.shutdown()
    }
  }

  /// The newest journal file and where its records are.
  static func journal(_ harness: BookieHarness) throws -> (path: String, records: [Range<Int>]) {
    let directory = harness.configuration.journalDirectory
    let names = try FileManager.default.contentsOfDirectory(atPath: directory).filter { $0.hasSuffix(".journal") }
    let path = directory + "/" + (names.sorted().last ?? "")
    var bytes = Array(try #require(FileManager.default.contents(atPath: path)))
    return bytes.withUnsafeMutableBytes { raw in
      guard let header = JournalFormat.parseHeader(UnsafeRawBufferPointer(raw)) else { return (path, []) }
      var scan = JournalScan(logID: header.logID, expected: header.first)
      var records: [Range<Int>] = []
      while case .record(let payload, _) = scan.next(raw) { records.append(payload) }
      return (path, records)
    }
  }

  static func flip(_ path: String, at offset: Int) throws {
    let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
    try file.seek(toOffset: UInt64(offset))
    let byte = try #require(try file.read(upToCount: 1)?.first)
    try file.seek(toOffset: UInt64(offset))
    try file.write(contentsOf: Data([byte ^ 0x20]))
    try file.close()
  }

  /// Makes a sector of a record what it was before the record was written, in a file that was not used before.
  static func lose(_ path: String, sectorOf offset: Int) throws {
    let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
    try file.seek(toOffset: UInt64(offset / JournalFormat.sector * JournalFormat.sector))
    try file.write(contentsOf: Data(count: JournalFormat.sector))
    try file.close()
  }

  @Test("A bit that flips in the last record, which was acknowledged, makes it unknown and not absent")
  func damagedTail() async throws {
    try await BookieHarness.with {
      $0.journalMarkerDelay = .zero
    } _: { harness in
      let bookie = try await harness.start()
      let client = try await LocalClient.connect(bookie)
      for entry in Int64(0)..<5 { try await client.add(1, entry...entry) }
      try await bookie.abandon()
      let (path, records) = try Self.journal(harness)
      try Self.flip(path, at: try #require(records.last).lowerBound + 40)
      for _ in 1...10 { _ = try await harness.metadata.nextSequence("ledger-id") }
      let again = try await harness.start()
      let second = try await LocalClient.connect(again)
      #expect(again.statistics().isInLimbo)
      for entry in Int64(0)..<4 { #expect(try await second.has(1, entry)) }
      #expect(try await second.read(1, 4).code == .unknownLedgerState)
      #expect(try await second.read(1, -1, flags: .fencing, key: BookieHarness.key).code == .ok)
      #expect(try await second.add(1, 4...4) == [.fenced])
      #expect(try await second.read(2, 0).code == .unknownLedgerState)
      try await again.shutdown()
    }
  }

  @Test("A journal that is idle, or stopped, has a marker at its end: then even a lost sector is noticed")
  func marker() async throws {
    for delay in [Duration.milliseconds(5), .seconds(3600)] {
      try await BookieHarness.with {
        $0.journalMarkerDelay = delay
      } _: { harness in
        let bookie = try await harness.start()
        let client = try await LocalClient.connect(bookie)
        for entry in Int64(0)..<3 { try await client.add(1, entry...entry) }
        if delay < .seconds(1) {
          await eventually { bookie.storage.journals[0].statistics.markers > 0 }
          try await bookie.abandon()
        } else {
          // Stopped as planned, but what it has flushed last never reached the mark.
          let mark = try CheckpointFile.read(configuration: bookie.configuration)
          try await bookie.shutdown()
          try CheckpointFile.write(mark, configuration: bookie.configuration)
        }
        let (path, records) = try Self.journal(harness)
        #expect(records.last?.isEmpty == true)
        try Self.lose(path, sectorOf: try #require(records.last { !$0.isEmpty }).lowerBound)
        let again = try await harness.start()
        #expect(again.statistics().isInLimbo)
        try await again.shutdown()
      }
    }
  }

  @Test("A torn tail is cut: what was synced before it is there, and negative answers stay negative")
  func tornTail() async throws {
    try await BookieHarness.with {
      $0.journalMarkerDelay = .zero
    } _: { harness in
      let bookie = try await harness.start()
      let client = try await LocalClient.connect(bookie)
      for entry in Int64(0)..<5 { try await client.add(1, entry...entry) }
      try await bookie.abandon()
      let (path, records) = try Self.journal(harness)
      try Self.lose(path, sectorOf: try #require(records.last).lowerBound + 40)
      let again = try await harness.start()
      let second = try await LocalClient.connect(again)
      for entry in Int64(0)..<4 { #expect(try await second.has(1, entry)) }
      #expect(try await second.read(1, 4).code == .noEntry)
      #expect(try await second.add(1, 4...4) == [.ok])
      #expect(!again.statistics().isInLimbo)
      try await again.shutdown()
    }
  }

  @Test("A damaged middle is never answered as absent, every ledger is fenced, and it stays so over restarts")
  func damagedMiddle() async throws {
    try await BookieHarness.with {
      $0.journalMarkerDelay = .zero
    } _: { harness in
      let bookie = try await harness.start()
      let client = try await LocalClient.connect(bookie)
      for entry in Int64(0)..<5 { try await client.add(1, entry...entry) }
      try await bookie.abandon()
      let (path, records) = try Self.journal(harness)
      try Self.flip(path, at: records[2].lowerBound + 40)
      // Ledger 9 existed, and could have been in what is lost; ledger 30 could not.
      for _ in 1...10 { _ = try await harness.metadata.nextSequence("ledger-id") }
      for _ in 0..<2 {
        let again = try await harness.start()
        let second = try await LocalClient.connect(again)
        #expect(again.statistics().isInLimbo)
        #expect(try await second.read(1, 2).code == .unknownLedgerState)
        #expect(try await second.read(9, 0).code == .unknownLedgerState)
        #expect(try await second.has(1, 4))
        #expect(try await second.add(1, 5...5) == [.fenced])
        #expect(try await second.add(9, 0...0) == [.fenced])
        #expect(try await second.read(30, 0).code == .noLedger)
        #expect(again.ledgersInLimbo == [1])
        try await again.shutdown()
      }
      // Once somebody has repaired everything, a negative answer is one again.
      let again = try await harness.start { $0.diskCheckInterval = .milliseconds(20) }
      let second = try await LocalClient.connect(again)
      await eventually { (try? await harness.metadata.get("/bookies/limbo/b1"))??.value == Array("limbo 11".utf8) }
      #expect(try await second.add(1, 2...2, flags: .recoveryAdd) == [.ok])
      try await harness.metadata.put("/bookies/limbo/b1", Array("repaired 11".utf8))
      await eventually { !again.statistics().isInLimbo }
      #expect(try await second.read(9, 0).code == .noLedger)
      #expect(try await second.read(1, 9).code == .noEntry)
      // Its fence may be all that was ever lost of it.
      #expect(try await second.add(9, 0...0) == [.fenced])
      #expect(try await second.add(30, 0...0) == [.ok])
      try await again.shutdown()
    }
  }

  @Test("A flipped bit in an entry log is an I/O error, for that entry only")
  func damagedEntryLog() async throws {
    try await BookieHarness.with { harness in
      let bookie = try await harness.start()
      let client = try await LocalClient.connect(bookie)
      try await client.add(1, 0...9, payload: ByteBuffer(string: "payload"))
      try await bookie.shutdown()
      let directory = harness.configuration.ledgerDirectories[0]
      let log = try #require(
        try FileManager.default.contentsOfDirectory(atPath: directory).first { $0.hasSuffix(".log") })
      let record = LocationRun.recordOverhead + BookieHarness.codec.overhead + 7
      try Self.flip(directory + "/" + log, at: EntryLogFormat.headerSize + 5 * record + 50)
      let again = try await harness.start()
      let second = try await LocalClient.connect(again)
      for entry in Int64(0)..<10 {
        if entry == 5 {
          #expect(try await second.read(1, entry).code == .ioError)
        } else {
          #expect(try await second.has(1, entry))
        }
      }
      #expect(again.statistics().damagedReads == 1)
      try await again.shutdown()
    }
  }

  @Test("Entries added again or late after a flush are found with all others")
  func addedAgain() async throws {
    try await BookieHarness.with { harness in
      let bookie = try await harness.start()
      let client = try await LocalClient.connect(bookie)
      for entry in [0, 1, 3, 4, 6] as [Int64] { try await client.add(1, entry...entry) }
      await bookie.checkpoint()
      try await client.add(1, 3...5, payload: ByteBuffer(string: "again"), flags: .recoveryAdd)
      try await client.add(1, 7...8)
      try await bookie.shutdown()
      let again = try await harness.start()
      let second = try await LocalClient.connect(again)
      for entry in [0, 1, 6, 7, 8] as [Int64] { #expect(try await second.has(1, entry)) }
      for entry in [3, 4, 5] as [Int64] {
        #expect(try await second.has(1, entry, payload: ByteBuffer(string: "again")))
      }
      #expect(try await second.read(1, 2).code == .noEntry)
      try await again.shutdown()
    }
  }

  @Test(
    "Scenario: a bookie is wiped and returns under the same id; a foreign or half-mounted directory is refused as well")
  func cookies() async throws {
    try await BookieHarness.with { harness in
      let bookie = try await harness.start()
      let client = try await LocalClient.connect(bookie)
      try await client.add(1, 0...0)
      try await bookie.shutdown()
      let journal = harness.configuration.journalDirectory
      let files = FileManager.default

      try files.moveItem(atPath: journal, toPath: journal + ".away")
      await Self.refused(harness, "must not replace lost data")
      try files.removeItem(atPath: journal)
      let ledgers = harness.configuration.ledgerDirectories[0]
      try files.moveItem(atPath: ledgers, toPath: ledgers + ".away")
      await Self.refused(harness, "its directories are empty")
      try? files.removeItem(atPath: journal)
      try? files.removeItem(atPath: ledgers)
      try files.moveItem(atPath: journal + ".away", toPath: journal)
      try files.moveItem(atPath: ledgers + ".away", toPath: ledgers)

      await Self.refused(harness, "point each bookie at its own directories") { $0.bookieID = "b2" }
      try await harness.metadata.delete("/bookies/cookies/b1")
      await Self.refused(harness, "does not know bookie b1")
    }
  }

  @Test("A first start that ended half-way is simply begun again")
  func halfStarted() async throws {
    try await BookieHarness.with { harness in
      let journal = harness.configuration.journalDirectory
      try FileManager.default.createDirectory(atPath: journal, withIntermediateDirectories: true)
      let cookie = Cookie(bookieID: "b1", instance: "77", role: "journal")
      try Data(cookie.encoded).write(to: URL(fileURLWithPath: journal + "/" + Cookie.fileName))
      let bookie = try await harness.start()
      try await bookie.shutdown()
      let again = try await harness.start()
      try await again.shutdown()
    }
  }

  static func refused(
    _ harness: BookieHarness, _ words: String, _ adjust: (inout BookieConfiguration) -> Void = { _ in }
  ) async {
    do {
      let bookie = try await harness.start(adjust)
      Issue.record("It started.")
      try? await bookie.shutdown()
    } catch {
      #expect("\(error)".contains(words), "\(error)")
    }
  }

  @Test("It registers with host and port as long as it lives")
  func registration() async throws {
    try await BookieHarness.with { harness in
      let bookie = try await harness.start()
      let record = try #require(try await harness.metadata.get("/bookies/available/b1"))
      let text = String(decoding: record.value, as: UTF8.self)
      #expect(text.hasPrefix("{\"host\":\"127.0.0.1\",\"port\":\(bookie.port)"))
      #expect(text.contains("\"freeDiskBytes\":") && text.hasSuffix("}"))
      try await bookie.shutdown()
      #expect(try await harness.metadata.get("/bookies/available/b1") == nil)
    }
  }

  @Test("Deleted ledgers disappear after two rounds, with the logs that hold nothing else")
  func garbage() async throws {
    try await BookieHarness.with { configuration in
      configuration.garbageCollectionInterval = .milliseconds(50)
      configuration.entryLogSizeLimit = 1024
    } _: { harness in
      for ledger in 1...2 { try await harness.metadata.put("/ledgers/\(ledger)", [1]) }
      let bookie = try await harness.start()
      let client = try await LocalClient.connect(bookie)
      try await client.add(1, 0...50)
      await bookie.checkpoint()
      try await client.add(2, 0...50)
      await bookie.checkpoint()
      let logs = bookie.statistics().entryLogs
      #expect(logs >= 4)
      try await harness.metadata.delete("/ledgers/1")
      await eventually { bookie.statistics().deletedLedgers == 1 }
      #expect(try await client.read(1, 0).code == .noLedger)
      // The logs go after the ledger, in the same round or in the next.
      await eventually { bookie.statistics().entryLogs < logs }
      #expect(try await client.has(2, 50))
      #expect(try await client.add(1, 60...60) == [.fenced])
      try await bookie.shutdown()
      let again = try await harness.start()
      let second = try await LocalClient.connect(again)
      #expect(try await second.has(2, 0))
      #expect(try await second.add(1, 61...61) == [.fenced])
      try await again.shutdown()
    }
  }
}
