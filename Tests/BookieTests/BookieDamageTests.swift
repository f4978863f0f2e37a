import BookieWire
import Foundation
import MetadataStore
import NIOCore
import TestSupport
import Testing

@testable import Bookie

@Suite("Bookie: damaged journals and entry logs")
struct BookieDamageTests {
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
}
