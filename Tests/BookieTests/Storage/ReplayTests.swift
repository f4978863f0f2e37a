import BookieWire
import Foundation
import Logging
import NIOConcurrencyHelpers
import NIOCore
import TestSupport
import Testing

@testable import Bookie

@Suite("Storage: the journal replayed at start")
struct ReplayTests {
  typealias Promises = CrashTests.Promises

  private static func add(
    _ rig: StorageRig, _ ledger: Int64, _ entries: ClosedRange<Int64>, _ promises: inout Promises
  ) {
    for entry in entries where rig.addNow(ledger, entry) == .ok { promises.acknowledged.insert([ledger, entry]) }
  }

  private static func journalFiles(_ rig: StorageRig) throws -> [String] {
    try rig.disk.list("/j1").filter { $0.hasSuffix(".journal") }
  }

  @Test("What a crash left is served from memory at once; its files go when it has been flushed")
  func servedFromMemory() throws {
    let rig = try StorageRig()
    var promises = Promises()
    Self.add(rig, 0, 0...9, &promises)
    #expect(rig.read(0, -1, flags: .fencing)?.code == .ok)
    promises.fenced.insert(0)
    let before = try Self.journalFiles(rig)
    try rig.open()
    let storage = try #require(rig.storage)
    #expect(storage.statistics().flushes == 0 && storage.statistics().writeCacheBytes > 0)
    #expect(try Self.journalFiles(rig).count == before.count + 1)
    CrashTests.verify(rig, promises, 0)
    #expect(storage.statistics().cacheMisses == 0)
    // Killed again and again before anything is flushed.
    for _ in 0..<3 { try rig.open() }
    CrashTests.verify(rig, promises, 0)
    rig.checkpoint()
    #expect(try Self.journalFiles(rig).count == 1)
    try rig.open()
    CrashTests.verify(rig, promises, 0)
  }

  @Test("More than the cache has room for is flushed meanwhile, and the mark goes no further than that")
  func largerThanTheCache() throws {
    for seed in UInt64(0)..<6 {
      var random = SeededRandom(seed)
      let rig = try StorageRig(seed: seed)
      var promises = Promises()
      for ledger in Int64(0)...3 { Self.add(rig, ledger, 0...19, &promises) }
      // Both halves together have room for a small part of it.
      try rig.reopen { $0.writeCacheSize = 8 * 1024 }
      #expect(rig.storage?.statistics().flushes ?? 0 > 1)
      CrashTests.verify(rig, promises, seed)
      try rig.crash(&random)
      CrashTests.verify(rig, promises, seed)
    }
  }

  @Test("A crash at every change of a start loses nothing, also where it flushes")
  func crashesOfTheStart() throws {
    for cut in 1...60 {
      var random = SeededRandom(UInt64(cut))
      let rig = try StorageRig()
      var promises = Promises()
      for ledger in Int64(0)...1 { Self.add(rig, ledger, 0...14, &promises) }
      rig.disk.failsAt = rig.disk.operations + cut
      let isWhole = (try? rig.reopen { $0.writeCacheSize = 8 * 1024 }) != nil
      try rig.crash(&random)
      CrashTests.verify(rig, promises, UInt64(cut))
      if isWhole { break }
      #expect(cut < 60, "The start never got through.")
    }
  }

  @Test("Damage is not forgotten when the start is cut short behind it")
  func limboSurvivesACutStart() throws {
    for cut in 1...80 {
      var random = SeededRandom(UInt64(cut))
      let rig = try StorageRig { $0.journalMaxFileSize = 16 * 1024 }
      var promises = Promises()
      for entry in Int64(0)...29 { Self.add(rig, 0, entry...entry, &promises) }
      let files = try Self.journalFiles(rig)
      #expect(files.count > 2)
      // The second record of the first file, behind which whole ones follow.
      rig.disk.flip("/j1/" + files[0], at: JournalFormat.headerSize + JournalFormat.alignment + 300)
      rig.disk.failsAt = rig.disk.operations + cut
      let isWhole = (try? rig.reopen { $0.writeCacheSize = 8 * 1024 }) != nil
      try rig.crash(&random)
      #expect(rig.storage?.statistics().isInLimbo == true, "Cut at \(cut): the damage is forgotten.")
      for id in promises.acknowledged {
        let code = rig.read(id[0], id[1])?.code
        #expect(code == .ok || code == .unknownLedgerState, "Cut at \(cut): entry \(id[1]) is denied.")
      }
      if isWhole { break }
      #expect(cut < 80, "The start never got through.")
    }
  }

  @Test("With a full ledger disk a bookie starts, serves what its journal holds, and flushes it when there is space again")
  func fullLedgerDisk() throws {
    let rig = try StorageRig()
    var promises = Promises()
    for ledger in Int64(0)...3 { Self.add(rig, ledger, 0...19, &promises) }
    rig.disk.fault = { action, path in
      path.hasPrefix("/l") || path == "index" ? (action == "Writing" || action == "Creating" ? ENOSPC : nil) : nil
    }
    try rig.reopen { $0.writeCacheSize = 8 * 1024 }
    CrashTests.verify(rig, promises, 0)
    rig.pass(.seconds(5))
    CrashTests.verify(rig, promises, 0)
    #expect(rig.reports.isEmpty)
    #expect(rig.addNow(9, 0) == .readOnly)
    rig.disk.fault = nil
    rig.pass(.seconds(15))
    rig.storage?.checkDisks()
    #expect(rig.addNow(9, 0) == .ok)
    rig.checkpoint()
    #expect(try Self.journalFiles(rig).count == 1)
    CrashTests.verify(rig, promises, 0)
  }

  @Test("The record that was written and never synced counts once it has been replayed")
  func unsyncedRecordIsSynced() throws {
    for seed in UInt64(0)..<20 {
      var random = SeededRandom(seed)
      let rig = try StorageRig(seed: seed)
      #expect(rig.addNow(0, 0) == .ok)
      // The process is killed between the write and its sync: what was written stays in the page cache.
      rig.disk.fault = { action, path in action == "Syncing" && path.hasPrefix("/j") ? EIO : nil }
      #expect(rig.addNow(0, 1) == nil)
      rig.disk.fault = nil
      try rig.open()
      let isThere = rig.has(0, 1)
      #expect(isThere)
      // Then the power fails.
      try rig.crash(&random)
      #expect(rig.has(0, 0) && rig.has(0, 1) == isThere)
      #expect(rig.storage?.statistics().isInLimbo == false, "Seed \(seed)")
    }
  }

  @Test("Records that lie across the pieces in which a file is read, from a real disk and on threads")
  func acrossPieces() throws {
    let directory = try TemporaryDirectory()
    defer { directory.remove() }
    let path = directory.file(JournalFormat.fileName(first: 1))
    var random = SeededRandom(3)
    var payloads: [[UInt8]] = []
    do {
      var file = try JournalFile(
        directory: directory.path, firstSequence: 1, recycled: nil, preallocation: 4096, mode: .write,
        environment: .real)
      for sequence in UInt64(1)...60 {
        // The largest is longer than a piece and the space in front of one together.
        let count = sequence == 40 ? 9_000_000 : Int.random(in: 1...900_000, using: &random)
        var payload = [UInt8](repeating: UInt8(sequence), count: count)
        for at in stride(from: 0, to: count, by: 509) { payload[at] = UInt8(truncatingIfNeeded: at / 509) }
        let size = JournalFormat.recordSize(payload: count)
        let buffer = AlignedBuffer(capacity: size)
        buffer.zero(0..<size)
        let record = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[0..<size])
        let start = JournalFormat.payloadOffset(recordSize: size)
        payload.withUnsafeBytes {
          UnsafeMutableRawBufferPointer(rebasing: record[start..<start + count]).copyMemory(from: $0)
        }
        try file.reserve(size)
        JournalFormat.seal(
          record, payload: count, isMarker: false, checksum: nil, logID: file.logID, sequence: sequence,
          offset: file.offset)
        try file.write(UnsafeRawBufferPointer(record))
        try file.sync(size)
        payloads.append(payload)
      }
    }
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)).count > 16_000_000)
    for hasThreads in [true, false] {
      var environment = StorageEnvironment.real
      environment.hasThreads = hasThreads
      let replay = JournalReplay(
        directory: directory.path, mark: JournalMark(), environment: environment, logger: Logger(label: "test"))
      var found: [(UInt64, ByteBuffer)] = []
      let outcome = try replay.run(damaged: { Issue.record("It is whole.") }) { found.append(($1, $0)) }
      #expect(outcome.records == 60 && outcome.lastSequence == 60 && !outcome.isDamaged)
      #expect(found.map(\.0) == Array(1...60))
      for (payload, record) in zip(payloads, found) { #expect(record.1 == ByteBuffer(bytes: payload)) }
    }
  }
}
