import BookieWire
import NIOCore
import Testing

@testable import Bookie

@Suite("Adds that wait")
struct WaitingAddsTests {
  private static func batch(_ journal: Int, _ text: String) -> AddBatch {
    var batch = AddBatch(capacity: 64, journal: journal, at: .uptimeNanoseconds(0))
    batch.append(
      AddRequest(
        requestID: 1, flags: [], masterKey: BookieHarness.key, ledgerID: 1, entryID: Int64(text.utf8.count),
        entry: EntryBytes(head: ByteBuffer(string: text))))
    return batch
  }

  @Test("A journal without room keeps none of the others' adds waiting, and the others take turns")
  func journals() {
    var waiting = WaitingAdds(journals: 3, limit: 1000, patience: .seconds(1))
    let target = Answers()
    for (journal, text) in [(0, "a"), (0, "b"), (1, "c"), (2, "d"), (1, "e")] {
      let isWaiting = waiting.append(Self.batch(journal, text), target, now: .uptimeNanoseconds(0))
      #expect(isWaiting)
    }
    #expect(!waiting.isEmpty && !waiting.isEmpty(journal: 2))
    var order: [Int] = []
    while let next = waiting.popFirst(where: { $0 != 0 }) { order.append(next.batch.journal) }
    #expect(order == [1, 2, 1])
    #expect(waiting.isEmpty(journal: 1) && !waiting.isEmpty && waiting.byteCount == 10)
    let early = waiting.popExpired(now: .uptimeNanoseconds(999_999_999))
    #expect(early == nil)
    #expect(waiting.nextExpiry == .uptimeNanoseconds(1_000_000_000))
    let expired = waiting.popExpired(now: .uptimeNanoseconds(1_000_000_000))
    let last = waiting.popFirst { _ in true }
    #expect(expired?.batch.journal == 0 && last?.batch.journal == 0)
    #expect(waiting.isEmpty && waiting.byteCount == 0 && waiting.nextExpiry == nil)
    let isTooMuch = !waiting.append(
      Self.batch(0, String(repeating: "x", count: 1000)), target, now: .uptimeNanoseconds(0))
    #expect(isTooMuch)
  }
}
