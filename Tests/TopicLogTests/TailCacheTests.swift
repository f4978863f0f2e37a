import NIOCore
import Testing

@testable import TopicLog

@Suite("The tail cache")
struct TailCacheTests {
  private func filled() -> TailCache {
    var cache = TailCache()
    for entry in 0..<10 {
      cache.append(
        Position(ledgerID: entry < 5 ? 1 : 3, entryID: Int64(entry % 5)), header: ByteBuffer(string: "ab"),
        body: ByteBuffer(string: "cdefg\(entry)"), cumulativeLength: Int64(entry % 5 + 1) * 8,
        now: .uptimeNanoseconds(UInt64(entry)))
    }
    return cache
  }

  @Test("reads across ledgers within its limits")
  func reading() {
    var cache = filled()
    #expect(cache.bytes == 80)
    let all = cache.read(from: Position(ledgerID: 1, entryID: 0), maxEntries: 100, maxBytes: .max)
    #expect(all.count == 10)
    #expect(String(buffer: all[6].payload) == "abcdefg6")
    #expect(all[6].position == Position(ledgerID: 3, entryID: 1) && all[6].cumulativeLength == 16)
    #expect(cache.read(from: Position(ledgerID: 3, entryID: 3), maxEntries: 100, maxBytes: .max).count == 2)
    #expect(cache.read(from: Position(ledgerID: 1, entryID: 0), maxEntries: 3, maxBytes: .max).count == 3)
    #expect(cache.read(from: Position(ledgerID: 1, entryID: 0), maxEntries: 9, maxBytes: 17).count == 2)
    #expect(cache.read(from: Position(ledgerID: 1, entryID: 0), maxEntries: 9, maxBytes: 0).count == 1)
    #expect(cache.read(from: Position(ledgerID: 0, entryID: 9), maxEntries: 9, maxBytes: 99).isEmpty)
    #expect(cache.read(from: Position(ledgerID: 3, entryID: 5), maxEntries: 9, maxBytes: 99).isEmpty)
    #expect(cache.bytes == 80, "joining the parts of an entry does not change its size")
  }

  @Test("says how many bytes it gave up")
  func eviction() {
    var cache = filled()
    #expect(cache.evict(before: Position(ledgerID: 1, entryID: 2)) == 16)
    #expect(cache.evict(olderThan: .uptimeNanoseconds(4)) == 16)
    #expect(cache.firstPosition == Position(ledgerID: 1, entryID: 4))
    #expect(cache.evict(atLeast: 9) == 16)
    #expect(cache.bytes == 32)
    #expect(cache.evictAll() == 32)
    #expect(cache.isEmpty && cache.bytes == 0)
  }

  @Test("the budget is shared and never exceeded")
  func budget() {
    let budget = EntryCacheBudget(limit: 10)
    #expect(budget.reserve(6))
    #expect(!budget.reserve(5))
    #expect(budget.reserve(4))
    budget.release(6)
    #expect(budget.bytesInUse == 4)
    #expect(!budget.reserve(.max))
  }
}
