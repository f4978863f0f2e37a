import BookieWire
import Foundation
import MetadataStore
import NIOConcurrencyHelpers
import NIOCore
import TestSupport
import Testing

@testable import Bookie

@Suite("Bookie: restart, deletion")
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
