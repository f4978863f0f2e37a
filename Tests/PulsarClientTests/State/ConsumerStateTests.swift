import NIOCore
import Testing

@testable import PulsarClient

@Suite struct ConsumerStateTests {
  @Test func permitsAreRefilledAtHalf() {
    var permits = PermitCounter(capacity: 10)
    #expect(permits.opened() == 10)
    let epoch = permits.epoch
    #expect(permits.free(4, epoch: epoch) == nil)
    #expect(permits.free(1, epoch: epoch) == 5)
    #expect(permits.free(7, epoch: epoch) == 7)
    #expect(permits.free(4, epoch: epoch) == nil)
    #expect(permits.opened() == 10)
    #expect(permits.free(9, epoch: epoch) == nil)
    #expect(permits.free(5, epoch: permits.epoch) == 5)
  }

  @Test func everyPermitComesBack() {
    var generator = SystemRandomNumberGenerator()
    for capacity in [1, 2, 3, 7, 1000] {
      var permits = PermitCounter(capacity: capacity)
      var atBroker = permits.opened()
      var queued = 0
      var delivered = 0
      while delivered < 5000 {
        if atBroker > 0, Bool.random(using: &generator) || queued == 0 {
          let batch = Int.random(in: 1...5, using: &generator)
          atBroker -= batch
          queued += batch
          delivered += batch
        } else if queued > 0 {
          let taken = Int.random(in: 1...queued, using: &generator)
          queued -= taken
          atBroker += permits.free(taken, epoch: permits.epoch) ?? 0
        } else {
          Issue.record("capacity \(capacity): nothing is queued and nothing may be sent")
          return
        }
      }
    }
  }

  @Test func startsDropWhatLiesBefore() {
    let start = StartPoint(MessageID(ledgerID: 3, entryID: 7, batchIndex: 2, batchSize: 5), isInclusive: true)
    #expect(start.drops(MessageID(ledgerID: 3, entryID: 6), publishTimeMs: 0))
    #expect(start.drops(MessageID(ledgerID: 3, entryID: 7, batchIndex: 1), publishTimeMs: 0))
    #expect(!start.drops(MessageID(ledgerID: 3, entryID: 7, batchIndex: 2), publishTimeMs: 0))
    #expect(!start.drops(MessageID(ledgerID: 4, entryID: 0), publishTimeMs: 0))
    let behind = StartPoint(MessageID(ledgerID: 3, entryID: 7), isInclusive: false)
    #expect(behind.drops(MessageID(ledgerID: 3, entryID: 7), publishTimeMs: 0))
    #expect(behind.drops(MessageID(ledgerID: 3, entryID: 7, batchIndex: 4), publishTimeMs: 0))
    #expect(!behind.drops(MessageID(ledgerID: 3, entryID: 8), publishTimeMs: 0))
    #expect(behind.isReached(by: MessageID(ledgerID: 3, entryID: 8)))
    #expect(!behind.isReached(by: MessageID(ledgerID: 3, entryID: 7)))
    #expect(!StartPoint(.earliest, isInclusive: true).isReached(by: MessageID(ledgerID: 3, entryID: -1)))
    #expect(
      StartPoint(.earliest, isInclusive: true, publishTimeMs: 50).drops(
        .init(ledgerID: 1, entryID: 1), publishTimeMs: 49))
  }

  @Test func chunksArePutTogether() {
    var assembler = ChunkAssembler(maxPending: 2, maxBytes: 100)
    func add(_ uuid: String, _ chunk: Int, _ text: String, entry: Int64) -> String? {
      let outcome = assembler.add(
        uuid: uuid, chunk: chunk, of: 3, payload: ByteBuffer(string: text), entry: .init(ledgerID: 1, entryID: entry))
      guard case .complete(let message) = outcome else { return nil }
      return String(buffer: message.payload) + "@" + message.entries.map { "\($0.entryID)" }.joined(separator: ",")
    }
    #expect(add("a", 0, "x", entry: 0) == nil)
    #expect(add("b", 0, "1", entry: 1) == nil)
    #expect(add("a", 1, "y", entry: 2) == nil)
    #expect(add("a", 1, "y", entry: 2) == nil)
    #expect(add("b", 2, "3", entry: 3) == nil)  // one is missing
    #expect(add("a", 2, "z", entry: 4) == "xyz@0,2,4")
    #expect(add("c", 1, "-", entry: 5) == nil)
    #expect(add("d", 0, String(repeating: "l", count: 101), entry: 6) == nil)
    #expect(add("d", 1, "-", entry: 7) == nil)
  }

  @Test func negativeAcknowledgementsComeDueInOrder() {
    var tracker = NegativeAckTracker(delay: .seconds(10))
    let start = NIODeadline.uptimeNanoseconds(0)
    tracker.add(.init(ledgerID: 1, entryID: 1), now: start)
    tracker.add(.init(ledgerID: 1, entryID: 1), now: start + .seconds(5))
    tracker.add(.init(ledgerID: 1, entryID: 2), now: start + .seconds(5))
    #expect(tracker.nextDue == start + .seconds(10))
    let early = tracker.due(now: start + .seconds(9))
    #expect(early.isEmpty)
    #expect(tracker.due(now: start + .seconds(10)).map(\.entryID) == [1])
    #expect(tracker.due(now: start + .seconds(60)).map(\.entryID) == [2])
    #expect(tracker.nextDue == nil)
  }
}
