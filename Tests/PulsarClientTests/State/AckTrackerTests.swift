import PulsarWire
import Testing

@testable import PulsarClient

@Suite struct AckTrackerTests {
  private func entry(_ ledger: Int64, _ entry: Int64) -> AckTracker.Entry { .init(ledgerID: ledger, entryID: entry) }

  private func part(_ entry: Int64, _ index: Int32, of size: Int32 = 3) -> MessageID {
    MessageID(ledgerID: 1, entryID: entry, batchIndex: index, batchSize: size)
  }

  @Test func aBatchIsAcknowledgedWhenAllItsMessagesAre() {
    var tracker = AckTracker(acknowledgesIndexes: false, maxGroupSize: 100)
    _ = tracker.delivered(batch: entry(1, 5), count: 3, ackSet: [])
    _ = tracker.acknowledge(part(5, 0))
    _ = tracker.acknowledge(part(5, 2))
    _ = tracker.acknowledge(part(5, 2))
    #expect(tracker.isEmpty)
    _ = tracker.acknowledge(part(5, 1))
    #expect(tracker.drain().individual == [MessageIDData(ledgerID: 1, entryID: 5)])
    _ = tracker.acknowledge(part(5, 1))
    #expect(tracker.isEmpty)
  }

  @Test func withIndexesTheBitsThatAreLeftAreTold() {
    var tracker = AckTracker(acknowledgesIndexes: true, maxGroupSize: 100)
    _ = tracker.delivered(batch: entry(1, 5), count: 3, ackSet: [])
    _ = tracker.acknowledge(part(5, 1))
    #expect(tracker.drain().individual == [MessageIDData(ledgerID: 1, entryID: 5, ackSet: [0b101])])
    #expect(tracker.isEmpty)
    _ = tracker.acknowledge(part(5, 0))
    _ = tracker.acknowledge(part(5, 2))
    #expect(tracker.drain().individual == [MessageIDData(ledgerID: 1, entryID: 5)])
  }

  @Test func whatWasAcknowledgedDoesNotComeAgainWithItsBatch() {
    var tracker = AckTracker(acknowledgesIndexes: false, maxGroupSize: 100)
    _ = tracker.delivered(batch: entry(1, 5), count: 3, ackSet: [])
    _ = tracker.acknowledge(part(5, 0))
    let again = tracker.delivered(batch: entry(1, 5), count: 3, ackSet: [])
    #expect(!again.contains(0) && again.contains(1) && again.contains(2))
    let byBroker = tracker.delivered(batch: entry(1, 5), count: 3, ackSet: [0b100])
    #expect(!byBroker.contains(1) && byBroker.contains(2))
  }

  @Test func cumulativeWithinABatchStopsBeforeIt() {
    var tracker = AckTracker(acknowledgesIndexes: false, maxGroupSize: 100)
    _ = tracker.delivered(batch: entry(1, 5), count: 3, ackSet: [])
    _ = tracker.acknowledge(MessageID(ledgerID: 1, entryID: 3))
    tracker.acknowledgeCumulative(part(5, 1))
    let round = tracker.drain()
    #expect(round.cumulative == MessageIDData(ledgerID: 1, entryID: 4))
    #expect(round.individual.isEmpty)
    tracker.acknowledgeCumulative(part(5, 2))
    #expect(tracker.drain().cumulative == MessageIDData(ledgerID: 1, entryID: 5))
  }

  @Test func cumulativeDoesNotGoBackAndNotBeforeTheFirstEntry() {
    var tracker = AckTracker(acknowledgesIndexes: false, maxGroupSize: 100)
    _ = tracker.delivered(batch: entry(1, 0), count: 3, ackSet: [])
    tracker.acknowledgeCumulative(part(0, 1))
    #expect(tracker.drain().isEmpty)
    tracker.acknowledgeCumulative(MessageID(ledgerID: 1, entryID: 9))
    _ = tracker.drain()
    tracker.acknowledgeCumulative(MessageID(ledgerID: 1, entryID: 8))
    #expect(tracker.isEmpty)
  }

  @Test func theLastChunkStandsForAll() {
    var tracker = AckTracker(acknowledgesIndexes: true, maxGroupSize: 100)
    tracker.delivered(chunks: [entry(1, 2), entry(1, 4), entry(1, 5)])
    _ = tracker.acknowledge(MessageID(ledgerID: 1, entryID: 5))
    #expect(tracker.drain().individual.map(\.entryID) == [2, 4, 5])
  }

  @Test func aFullGroupIsToldAtOnce() {
    var tracker = AckTracker(acknowledgesIndexes: true, maxGroupSize: 2)
    let isFullAtOne = tracker.acknowledge(MessageID(ledgerID: 1, entryID: 1))
    let isFullAtTwo = tracker.acknowledge(MessageID(ledgerID: 1, entryID: 2))
    #expect(!isFullAtOne && isFullAtTwo)
  }

  @Test func bitsOfManyWords() {
    var bits = BatchBits(count: 130)
    #expect(bits.ackSet.count == 3 && bits.contains(129) && !bits.contains(130) && !bits.contains(-1))
    bits.removeAll(through: 127)
    #expect(!bits.contains(127) && bits.contains(128))
    bits.removeAll(through: 500)
    #expect(bits.isEmpty && bits.ackSet.isEmpty)
    #expect(BatchBits(count: 0).isEmpty)
  }
}
