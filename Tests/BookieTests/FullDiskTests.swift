import BookieWire
import Foundation
import NIOCore
import TestSupport
import Testing

@testable import Bookie

@Suite("Bookie: a disk that is really full")
struct FullDiskTests {
  @Test(
    "Adds are refused, nothing acknowledged is lost, and with space again it goes on by itself", .timeLimit(.minutes(2))
  )
  func full() async throws {
    try await BookieHarness.with { configuration in
      configuration.writeCacheSize = 2 * 1024 * 1024
      configuration.journalPreallocation = 1024 * 1024
      configuration.journalMaxFileSize = 2 * 1024 * 1024
      configuration.diskCheckInterval = .milliseconds(100)
      // Not before there is no space at all.
      configuration.diskUsageThreshold = 1.1
      configuration.diskUsageHardThreshold = 1.2
      configuration.maximumThrottleTime = .milliseconds(300)
    } _: { harness in
      let root = harness.directory.file("b1")
      // Without the right to mount there is no small disk; the same is tested on a disk in memory.
      guard let disk = SmallDisk.mount(at: root, megabytes: 32) else { return }
      defer { disk.unmount() }
      let ballast = root + "/ballast"
      try Data(repeating: 1, count: 8 * 1024 * 1024).write(to: URL(fileURLWithPath: ballast))
      var bookie = try await harness.start()
      var client = try await LocalClient.connect(bookie)
      let payload = ByteBuffer(repeating: 5, count: 10_000)
      var acknowledged: [Int64] = []
      var refused = 0
      var next: Int64 = 0
      while refused < 50, next < 6000 {
        let codes = try await client.add(next, 0...9, payload: payload)
        if codes.allSatisfy({ $0 == .ok }) {
          acknowledged.append(next)
        } else if bookie.statistics().failedFlushes > 0 || codes.contains(.readOnly) {
          // Not what a flush that takes its time has refused.
          refused += 1
        }
        next += 1
      }
      // Of the 24 MiB that were left, the index leaves 4 free, and journals and logs hold each of the 50 ledgers' 100 kB once.
      #expect(refused >= 50)
      #expect(acknowledged.count > 50)
      for ledger in acknowledged { #expect(try await client.has(ledger, 9, payload: payload)) }
      try FileManager.default.removeItem(atPath: ballast)
      await eventually {
        next += 1
        return try await client.add(next, 0...0) == [.ok]
      }
      for ledger in acknowledged { #expect(try await client.has(ledger, 0, payload: payload)) }
      try await bookie.abandon()
      bookie = try await harness.start()
      client = try await LocalClient.connect(bookie)
      for ledger in acknowledged { #expect(try await client.has(ledger, 9, payload: payload)) }
      #expect(!bookie.statistics().isInLimbo)
      try await bookie.shutdown()
    }
  }

  @Test("An operator makes the bookie read-only, which the cluster sees, and writable again")
  func operatorReadOnly() async throws {
    try await BookieHarness.with { harness in
      let bookie = try await harness.start()
      let client = try await LocalClient.connect(bookie)
      try await client.add(1, 0...0)
      await bookie.setReadOnly(true)
      #expect(bookie.mode == .readOnly)
      #expect(try await client.add(1, 1...1) == [.readOnly])
      #expect(try await client.add(1, 1...1, flags: [.recoveryAdd, .highPriority]) == [.ok])
      let record = try #require(try await harness.metadata.get("/bookies/available/b1"))
      #expect(String(decoding: record.value, as: UTF8.self).hasSuffix(",\"readOnly\":true}"))
      await bookie.setReadOnly(false)
      #expect(try await client.add(1, 2...2) == [.ok])
      let again = try #require(try await harness.metadata.get("/bookies/available/b1"))
      #expect(!String(decoding: again.value, as: UTF8.self).contains("readOnly"))
      #expect(try await bookie.entries(of: 1) == [0...2])
      #expect(bookie.ledger(1)?.lastEntry == 2 && bookie.ledger(2) == nil)
      let disks = try await bookie.diskUsage()
      #expect(disks.count == 2 && disks.values.allSatisfy { $0.totalBytes > $0.freeBytes })
      await bookie.compact(.minor)
      await bookie.scrub()
      #expect(bookie.statistics().scrubs == 1 && bookie.statistics().minorCompactions == 1)
      try await bookie.shutdown()
    }
  }

  @Test("Damage is told to the cluster, survives a restart there, and disappears when it is repaired")
  func damageQueue() async throws {
    try await BookieHarness.with {
      $0.diskCheckInterval = .milliseconds(30)
    } _: { harness in
      let bookie = try await harness.start()
      let client = try await LocalClient.connect(bookie)
      try await client.add(4, 0...9)
      try await bookie.shutdown()
      let directory = harness.configuration.ledgerDirectories[0]
      let log = try #require(
        try FileManager.default.contentsOfDirectory(atPath: directory).first { $0.hasSuffix(".log") })
      let record = LocationRun.recordOverhead + BookieHarness.codec.overhead + 7
      for entry in [3, 7] {
        try BookieDamageTests.flip(directory + "/" + log, at: EntryLogFormat.headerSize + entry * record + 50)
      }
      let damaged = try await harness.start()
      await damaged.scrub()
      #expect(damaged.damagedEntries == [DamagedEntries(ledgerID: 4, entryIDs: [3, 7])])
      let key = "/bookies/damaged/b1/4"
      await eventually { try await harness.metadata.get(key)?.value == Array("3,7".utf8) }
      try await damaged.shutdown()
      let again = try await harness.start()
      await eventually { again.damagedEntries == [DamagedEntries(ledgerID: 4, entryIDs: [3, 7])] }
      let second = try await LocalClient.connect(again)
      for entry in [3, 7] as [Int64] { #expect(try await second.add(4, entry...entry, flags: .recoveryAdd) == [.ok]) }
      await again.checkpoint()
      await eventually { try await harness.metadata.get(key) == nil }
      try await again.shutdown()
    }
  }
}
