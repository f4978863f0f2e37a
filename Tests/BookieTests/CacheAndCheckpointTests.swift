import BookieWire
import Checksums
import NIOCore
import Testing

@testable import Bookie

@Suite("Write cache, read cache, checkpoint, location runs, garbage")
struct CacheAndCheckpointTests {
  static func insert(_ cache: inout WriteCache, _ ledger: Int64, _ entries: [Int64], _ text: String = "x") {
    var segment = EntrySegment(capacity: 64)
    let located = entries.map { entry in
      (
        ledgerID: ledger, entryID: entry,
        location: segment.append(EntryBytes(head: ByteBuffer(string: "\(text)\(entry)"))).location
      )
    }
    cache.insert(segment, located)
  }

  @Test("Entries are found in both halves, sorted, the newest version of each")
  func halves() {
    var cache = WriteCache(capacity: 1000)
    Self.insert(&cache, 1, [5, 2, 9])
    Self.insert(&cache, 1, [2], "new")
    #expect(cache.active.items(of: 1).map(\.entryID) == [2, 5, 9])
    #expect(cache.entryCount == 3)
    #expect(cache.entry(ledgerID: 1, entryID: 2) == ByteBuffer(string: "new2"))
    let swapped = [cache.swap(), cache.swap()]
    #expect(swapped == [true, false])
    Self.insert(&cache, 1, [5], "newer")
    #expect(cache.entry(ledgerID: 1, entryID: 5) == ByteBuffer(string: "newer5"))
    #expect(cache.entry(ledgerID: 1, entryID: 9) == ByteBuffer(string: "x9"))
    #expect(cache.entry(ledgerID: 1, entryID: 3) == nil)
    cache.flushed()
    #expect(cache.entry(ledgerID: 1, entryID: 9) == nil)
    #expect(cache.entry(ledgerID: 1, entryID: 5) == ByteBuffer(string: "newer5"))
  }

  @Test("Adds have to wait only when one half is full and the other is being flushed")
  func backPressure() {
    var cache = WriteCache(capacity: 120)
    Self.insert(&cache, 1, [0, 1, 2])
    #expect(cache.isActiveFull && !cache.isFull())
    _ = cache.swap()
    #expect(!cache.isActiveFull)
    Self.insert(&cache, 1, [3, 4, 5])
    #expect(cache.isFull())
    cache.flushed()
    #expect(!cache.isFull())
  }

  @Test("A large entry stays in its own buffers and is laid out in order with small ones")
  func segments() {
    var segment = EntrySegment(capacity: 16)
    let small = segment.append(EntryBytes(head: ByteBuffer(string: "ab"), body: ByteBuffer(string: "c")))
    let body = ByteBuffer(repeating: 7, count: EntrySegment.gatherLimit)
    let large = segment.append(EntryBytes(head: ByteBuffer(string: "head"), body: body))
    let last = segment.append(EntryBytes(head: ByteBuffer(string: "z")))
    #expect(segment.entry(at: small.location) == ByteBuffer(string: "abc"))
    #expect(segment.entry(at: large.location).readableBytes == 4 + body.readableBytes)
    #expect(segment.entry(at: last.location) == ByteBuffer(string: "z"))
    // The checksum holds whatever happens to the segment after it was computed.
    func checksum() -> UInt32 {
      var all = ByteBuffer()
      segment.forEachPiece { all.writeBytes($0) }
      return CRC32C.checksum(all)
    }
    segment.computeChecksum()
    #expect(segment.checksum == checksum())
    segment.append(.ledger, ledgerID: 5, key: LedgerMasterKey(password: []))
    #expect(segment.checksum == checksum())
    segment.void(item: last.item, length: 1)
    #expect(segment.checksum == checksum())
    var bytes = ByteBuffer()
    segment.forEachPiece { bytes.writeBytes($0) }
    #expect(bytes.readableBytes == segment.byteCount)
    bytes.withUnsafeReadableBytes { raw in
      var items = JournalItems(raw, 0..<raw.count)
      let found = (0..<4).map { _ in items.next()?.range.count }
      #expect(found == [3, 4 + body.readableBytes, 28, nil])
    }
  }

  static func marks(_ sequences: UInt64...) -> [JournalMark] { sequences.map { JournalMark(sequence: $0) } }

  @Test("The mark moves only to the point at which the flush began, and never back")
  func checkpoint() {
    var tracker = CheckpointTracker(marks: Self.marks(5), maximumFailures: 3)
    tracker.begin(synced: Self.marks(10))
    #expect(tracker.persisted() == nil)
    #expect(tracker.flushed() == Self.marks(10))
    #expect(tracker.marks == Self.marks(5))
    #expect(tracker.persisted() == Self.marks(10))
    tracker.begin(synced: Self.marks(8))
    #expect(tracker.flushed() == nil)
    #expect(tracker.marks == Self.marks(10))
  }

  @Test("Each journal's mark moves by itself")
  func severalMarks() {
    var tracker = CheckpointTracker(marks: Self.marks(5, 9), maximumFailures: 3)
    // The first is further, the second is behind: neither order of the whole vector may decide.
    tracker.begin(synced: Self.marks(7, 3))
    #expect(tracker.flushed() == Self.marks(7, 9))
    #expect(tracker.persisted() == Self.marks(7, 9))
    tracker.begin(synced: Self.marks(2, 12))
    #expect(tracker.flushed() == Self.marks(7, 12))
  }

  @Test("A failed flush pins the mark, is repeated with its first target, and stops the bookie in the end")
  func failedFlush() {
    var tracker = CheckpointTracker(marks: Self.marks(0), maximumFailures: 3)
    let now = NIODeadline.uptimeNanoseconds(0)
    tracker.begin(synced: Self.marks(10))
    #expect(tracker.failed(now: now) == .retry(at: now + .milliseconds(200)))
    tracker.begin(synced: Self.marks(20))
    #expect(tracker.persisted() == nil)
    #expect(tracker.failed(now: now) == .retry(at: now + .milliseconds(400)))
    #expect(tracker.failed(now: now) == .stop)
    #expect(tracker.failed(now: now, isOutOfSpace: true) == .retry(at: now + .milliseconds(800)))
    #expect(tracker.marks == Self.marks(0))
    #expect(tracker.flushed() == Self.marks(10))
  }

  @Test("The mark's file notices any flipped bit")
  func markFile() {
    let mark = JournalMark(sequence: 3, file: 1, offset: 8192)
    let bytes = mark.encoded()
    #expect(JournalMark(encoded: bytes) == mark)
    for index in bytes.indices {
      var damaged = bytes
      damaged[index] ^= 0x10
      #expect(JournalMark(encoded: damaged) == nil)
    }
  }

  @Test("A location run finds entries over gaps, and splits around entries added again or late")
  func runs() throws {
    let items = [0, 2, 3, 5, 6].map { LocationRun.Item(entryID: $0, size: 10 + Int($0)) }
    let run = LocationRun(logID: 4, offset: 64, items: items)
    #expect(run.find(0)?.offset == 64)
    #expect(run.find(3)?.offset == 64 + 18 + 20)
    #expect(run.find(4) == nil && run.find(7) == nil)
    let decoded = run.encoded().withUnsafeBytes { LocationRun(encoded: $0) }
    #expect(decoded == run)

    let pieces = run.split(around: [3, 4])
    #expect(pieces.map { $0.items.map(\.entryID) } == [[0, 2], [5, 6]])
    for piece in pieces {
      for item in piece.items { #expect(piece.find(item.entryID)?.offset == run.find(item.entryID)?.offset) }
    }
    #expect(run.split(around: [1]).map { $0.items.map(\.entryID) } == [[0], [2, 3, 5, 6]])
  }

  @Test("Damaged runs are refused, not misread")
  func damagedRuns() {
    let run = LocationRun(logID: 4, offset: 64, items: [LocationRun.Item(entryID: 1, size: 300)])
    let bytes = run.encoded()
    for count in 0..<bytes.count {
      #expect(bytes.prefix(count).withUnsafeBytes { LocationRun(encoded: $0) } == nil)
    }
    for _ in 0..<2000 {
      let random = (0..<Int.random(in: 0...60)).map { _ in UInt8.random(in: 0...255) }
      _ = random.withUnsafeBytes { LocationRun(encoded: $0) }
    }
  }

  @Test("The read cache stays within its bytes and forgets the oldest first")
  func readCache() {
    let cache = ReadCache(capacity: 1000)
    for ledger in Int64(0)..<10 {
      cache.insert(
        ledgerID: ledger, entryIDs: [3, 7],
        entries: [ByteBuffer(repeating: 0, count: 50), ByteBuffer(repeating: 1, count: 50)])
    }
    #expect(cache.byteCount <= 1000)
    #expect(cache.entry(ledgerID: 0, entryID: 3) == nil)
    #expect(cache.entry(ledgerID: 9, entryID: 7)?.getInteger(at: 0, as: UInt8.self) == 1)
    #expect(cache.entry(ledgerID: 9, entryID: 5) == nil)
    cache.remove(ledgerID: 9)
    #expect(cache.entry(ledgerID: 9, entryID: 7) == nil)
  }

  @Test("A ledger is deleted only after two rounds, and a mass delete is refused")
  func garbage() {
    var selection = GarbageSelection(share: 0.5, minimum: 3)
    #expect(selection.round(local: 10, missing: [1, 2]) == .delete([]))
    #expect(selection.round(local: 10, missing: [2, 3]) == .delete([2]))
    #expect(selection.round(local: 4, missing: [1, 2, 3]) == .refuse(missing: 3, of: 4))
    #expect(selection.round(local: 10, missing: [2, 3]) == .delete([]))
    #expect(selection.round(local: 10, missing: [2, 3]) == .delete([2, 3]))
  }

  @Test("A mass delete that an operator confirms deletes what was refused and is still missing, and no more")
  func confirmedGarbage() {
    var selection = GarbageSelection(share: 0.5, minimum: 3)
    #expect(selection.round(local: 5, missing: [1, 2, 3], confirmed: 3) == .refuse(missing: 3, of: 5))
    #expect(selection.round(local: 5, missing: [1, 2, 3], confirmed: 2) == .refuse(missing: 3, of: 5))
    #expect(selection.round(local: 5, missing: [2, 3, 4, 5], confirmed: 3) == .delete([2, 3]))
    #expect(selection.round(local: 3, missing: [1, 4, 5], confirmed: 3) == .refuse(missing: 3, of: 3))
  }
}
