import BookieWire
import NIOConcurrencyHelpers
import NIOCore
import Testing

@testable import Bookie

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite("Removal: deleted and vacated ledgers, empty logs")
struct RemovalTests {
  @Test("A deletion that the index refuses is tried again until it is done")
  func refusedDeletion() throws {
    let rig = try StorageRig()
    for entry in Int64(0)..<60 { for ledger in Int64(0)...1 { #expect(rig.addNow(ledger, entry) == .ok) } }
    rig.checkpoint()
    let storage = try #require(rig.storage)
    let logs = storage.logs.count
    rig.disk.fault = { _, path in path == "index" ? EIO : nil }
    rig.delete([0, 1])
    #expect(rig.read(0, 0)?.code == .noLedger)
    #expect(try storage.index.run(ledgerID: 0, entryID: 0) != nil)
    #expect(storage.statistics().deletedLedgers == 0)
    rig.disk.fault = nil
    rig.pass(.seconds(11))
    #expect(try storage.index.run(ledgerID: 0, entryID: 0) == nil)
    #expect(storage.statistics().deletedLedgers == 2 && storage.logs.count < logs)
    var random = SeededRandom(1)
    try rig.crash(&random)
    #expect(rig.read(0, 0)?.code == .noLedger && rig.read(1, 59)?.code == .noLedger)
  }

  @Test("A ledger that the index does not let be emptied stays as it is, and is emptied the next time")
  func refusedVacation() throws {
    let rig = try StorageRig()
    for entry in Int64(0)..<60 { #expect(rig.addNow(0, entry) == .ok) }
    rig.checkpoint()
    let storage = try #require(rig.storage)
    rig.disk.fault = { _, path in path == "index" ? EIO : nil }
    storage.flusher?.submit(.vacate([0]) { #expect($0 == 0) })
    rig.settle()
    #expect(rig.has(0, 7) && rig.has(0, 59))
    rig.disk.fault = nil
    storage.flusher?.submit(.vacate([0]) { #expect($0 == 1) })
    rig.settle()
    #expect(rig.read(0, 7)?.code == .noEntry && rig.addNow(0, 60) == .fenced)
    #expect(rig.addNow(0, 7, flags: .recoveryAdd) == .ok)
    rig.checkpoint()
    #expect(rig.has(0, 7))
  }

  @Test("What of a ledger waits for a flush does not come back into the index after the ledger was emptied")
  func vacatedDuringFlush() throws {
    let rig = try StorageRig { $0.maximumFlushFailures = 1000 }
    for entry in Int64(0)..<20 { #expect(rig.addNow(0, entry) == .ok) }
    rig.checkpoint()
    let storage = try #require(rig.storage)
    #expect(rig.read(0, -1, flags: .fencing)?.code == .ok)
    #expect(rig.addNow(1, 0) == .ok)
    // A flush is under way that has the ledger, with its fence, but none of its entries.
    let hasBegun = storage.state.withLockedValue { storage.beginFlush(&$0) }
    #expect(hasBegun)
    let flusher = try #require(storage.flusher)
    #expect(flusher.vacate([0]) == 1)
    rig.checkpoint()
    var random = SeededRandom(1)
    try rig.crash(&random)
    #expect(rig.read(0, -1)?.code == .noEntry)
    #expect(rig.addNow(0, 20, flags: .recoveryAdd) == .ok)
    let again = try #require(rig.storage)
    // Entries that wait are written before the ledger is emptied.
    again.flusher?.submit(.vacate([0]) { #expect($0 == 1) })
    rig.settle()
    #expect(rig.read(0, 20)?.code == .noEntry)
  }

  @Test("A log that was named since the look through the index began is not removed, nor is one that is being written")
  func namedMeanwhile() throws {
    let rig = try StorageRig()
    for entry in Int64(0)..<60 { #expect(rig.addNow(0, entry) == .ok) }
    rig.checkpoint()
    let storage = try #require(rig.storage)
    let flusher = try #require(storage.flusher)
    let log = try #require(storage.logs.completeIDs.first)
    let run = try #require(try storage.index.run(ledgerID: 0, entryID: 0))
    #expect(run.logID == log)
    var check = LogCheck(candidates: [], compacted: Dictionary(uniqueKeysWithValues: storage.logs.ids.map { ($0, 1) }))
    storage.index.watchNames()
    // The look is at its end when the location comes.
    rig.delete([0])
    while !check.isDone { try check.advance(storage.index) }
    #expect(check.named.isEmpty)
    let batch = LocationIndex.Batch()
    storage.index.put(run, ledgerID: 7, batch)
    try storage.index.write(batch)
    // Whether a write that failed is there is known only after the next one.
    storage.index.watchNames()
    let doubtful = LocationIndex.Batch()
    storage.index.put(LocationRun(logID: 77, offset: 0), ledgerID: 7, doubtful)
    rig.disk.fault = { _, _ in EIO }
    #expect(throws: BookieError.self) { try storage.index.write(doubtful) }
    storage.index.watchNames()
    #expect(storage.index.watchedNames == [77])
    rig.disk.fault = nil
    try storage.index.write(batch)
    #expect(storage.index.watchedNames == [77, log])
    storage.index.watchNames()
    #expect(storage.index.watchedNames == [])
    try storage.index.write(batch)
    #expect(storage.logs.totalBytes() == storage.logs.ids.reduce(0) { $0 + storage.logs.size($1) })
    #expect(!flusher.sweep(check).contains(log))
    #expect(Set(flusher.sweep(check)).isSubset(of: storage.logs.completeIDs))
  }

  @Test("Many ledgers are deleted with a few changes of the index, and the flusher looks through no locations for it")
  func manyDeletions() throws {
    let rig = try StorageRig { $0.writeCacheSize = 1024 * 1024 }
    for ledger in Int64(0)..<1100 { #expect(rig.addNow(ledger, 0) == .ok) }
    rig.checkpoint()
    let before = rig.disk.operations
    rig.storage?.flusher?.submit(.delete(Array(0..<1100)) {})
    _ = rig.storage?.flusher?.turn()
    #expect(rig.disk.operations - before < 10)
    #expect(rig.storage?.statistics().deletedLedgers == 1100 && rig.storage?.statistics().ledgers == 0)
    #expect(rig.storage?.statistics().deletedEntryLogs == 0)
    rig.settle()
    #expect(rig.storage?.statistics().deletedEntryLogs ?? 0 > 0)
  }

  @Test("What a log holds of which there is no record is found by the locations, while the bookie serves")
  func unknownLog() throws {
    let rig = try StorageRig()
    for entry in Int64(0)..<60 { #expect(rig.addNow(0, entry) == .ok) }
    rig.checkpoint()
    let storage = try #require(rig.storage)
    let log = try #require(storage.logs.completeIDs.first)
    let usage = storage.usage[log]
    storage.usage.set(log, nil)
    storage.compactor?.mailbox.push(.removed)
    rig.settle()
    #expect(usage != nil && storage.usage[log] == usage)
    #expect(try storage.index.usage()[log] == usage)
  }

  @Test("A log that could not be compacted for want of space is compacted with the next round")
  func compactionAfterFullDisk() throws {
    let rig = try CompactionTests.halfDeleted { $0.majorCompactionInterval = .seconds(3600) }
    let storage = try #require(rig.storage)
    let logs = Set(storage.logs.completeIDs)
    rig.disk.capacity = rig.disk.totalBytes
    rig.compact()
    #expect(storage.statistics().quarantinedEntryLogs > 0 && logs.isSubset(of: storage.logs.ids))
    rig.disk.capacity = .max
    storage.checkDisks()
    rig.pass(.seconds(3700))
    #expect(storage.statistics().quarantinedEntryLogs == 0 && logs.isDisjoint(with: storage.logs.ids))
    for entry in Int64(0)..<60 { #expect(rig.has(0, entry)) }
  }

  @Test("A process that lacks files or memory, and a disk that fails for once, are no damage; one that fails again is")
  func passingFailures() throws {
    let rig = try CompactionTests.halfDeleted()
    let storage = try #require(rig.storage)
    let logs = Set(storage.logs.completeIDs)
    rig.disk.readFault = { $0.hasSuffix(".log") ? EMFILE : nil }
    rig.scrub()
    rig.compact()
    #expect(storage.damage.count == 0 && storage.statistics().scrubs == 0)
    #expect(storage.statistics().quarantinedEntryLogs == logs.count && logs.isSubset(of: storage.logs.ids))
    let failures = NIOLockedValueBox(2)
    rig.disk.readFault = { path in
      guard path.hasSuffix(".log") else { return nil }
      return failures.withLockedValue { left in
        left -= 1
        return left >= 0 ? EIO : nil
      }
    }
    rig.pass(.seconds(11))
    #expect(failures.withLockedValue { $0 } < 0 && storage.damage.count == 0 && storage.statistics().scrubs == 1)
    rig.disk.readFault = { $0.hasSuffix(".log") ? EIO : nil }
    rig.scrub()
    #expect(storage.damage.count == 60)
    rig.disk.readFault = nil
    rig.scrub()
    rig.compact()
    #expect(storage.damage.count == 0 && logs.isDisjoint(with: storage.logs.ids))
    for entry in Int64(0)..<60 { #expect(rig.has(0, entry)) }
  }

  @Test("What a log no longer has when it is compacted is no damage if the index has it elsewhere by then")
  func movedMeanwhile() throws {
    let rig = try CompactionTests.halfDeleted()
    let storage = try #require(rig.storage)
    let run = try #require(try storage.index.run(ledgerID: 0, entryID: 3))
    let path = try #require(storage.logs.path(run.logID))
    let place = try #require(run.find(3))
    rig.disk.flip(path, at: Int(place.offset) + 60)
    let reading = try RunReading(run, ledgerID: 0, storage: storage)
    #expect(reading.confirmedDamage(storage) == [3])
    #expect(rig.addNow(0, 3, flags: .recoveryAdd) == .ok)
    rig.checkpoint()
    #expect(reading.confirmedDamage(storage) == [])
    rig.delete([0])
    #expect(try RunReading(run, ledgerID: 0, storage: storage).confirmedDamage(storage) == [])
  }

  @Test("The highest number that an entry can have is no reason to end")
  func highestEntry() throws {
    let rig = try StorageRig { $0.majorCompactionThreshold = 0.9 }
    for entry in Int64(0)..<40 { #expect(rig.addNow(0, entry) == .ok) }
    #expect(rig.addNow(1, Int64.max) == .ok && rig.addNow(1, Int64.max - 1) == .ok)
    rig.checkpoint()
    for entry in Int64(0)..<60 { #expect(rig.addNow(2, entry) == .ok) }
    rig.checkpoint()
    rig.delete([0])
    rig.compact()
    #expect(rig.storage?.statistics().compactedBytes ?? 0 > 0)
    #expect(rig.has(1, Int64.max) && rig.read(1, -1)?.entryID == -1)
    #expect(try rig.storage?.entries(of: 1) == [Int64.max - 1...Int64.max])
    rig.scrub()
  }

  @Test("A reader that is opened while its log is removed is not kept")
  func readerOfRemovedLog() throws {
    let rig = try StorageRig()
    #expect(rig.addNow(0, 0) == .ok)
    rig.checkpoint()
    let log = try #require(rig.storage?.logs.ids.first)
    let files = HookedFiles(rig.disk)
    var environment = rig.configuration.environment
    environment.files = files
    let logs = try EntryLogs(directories: rig.configuration.ledgerDirectories, environment: environment)
    files.afterOpen = {
      files.afterOpen = nil
      try? logs.remove(log)
    }
    _ = try logs.reader(log)
    #expect(logs.path(log) == nil)
    #expect(throws: BookieError.self) { try logs.reader(log) }
  }
}

/// Files with something that happens when one was opened.
private final class HookedFiles: StorageFiles, @unchecked Sendable {
  private let files: MemoryDisk
  var afterOpen: (() -> Void)?

  init(_ files: MemoryDisk) { self.files = files }

  func open(_ path: String, _ mode: StorageFileMode) throws(BookieError) -> any StorageFile {
    let file = try files.open(path, mode)
    afterOpen?()
    return file
  }

  func createDirectory(_ path: String) throws(BookieError) { try files.createDirectory(path) }
  func syncDirectory(_ path: String) throws(BookieError) { try files.syncDirectory(path) }
  func list(_ path: String) throws(BookieError) -> [String] { try files.list(path) }
  func exists(_ path: String) -> Bool { files.exists(path) }
  func remove(_ path: String) throws(BookieError) { try files.remove(path) }
  func rename(_ from: String, to: String) throws(BookieError) { try files.rename(from, to: to) }
  func space(_ path: String) throws(BookieError) -> DiskSpace { try files.space(path) }
  func openIndex(_ path: String) throws(BookieError) -> any KeyValueStore { try files.openIndex(path) }
}
