import NIOCore
import Testing
import TopicLog

@testable import Broker

@Suite struct ReadAheadTests {
  private let end = Position(ledgerID: 1, entryID: 10_000)

  private func entries(_ range: Range<Int64>, bytes: Int = 10) -> [LogEntry] {
    range.map {
      LogEntry(
        position: Position(ledgerID: 1, entryID: $0), payload: ByteBuffer(repeating: 0, count: bytes),
        cumulativeLength: 0)
    }
  }

  private func make() -> ReadAhead {
    ReadAhead(next: Position(ledgerID: 1, entryID: 0), minBatch: 100, maxBatch: 400, maxBytes: 10_000)
  }

  private func ask(_ ahead: inout ReadAhead, demand: Int) throws -> ReadAhead.Request {
    let request = ahead.request(demand: demand, lastConfirmed: end)
    return try #require(request)
  }

  @Test func readsOnlyOnDemandAndOnceAtATime() throws {
    var ahead = make()
    #expect(ahead.request(demand: 0, lastConfirmed: end) == nil)
    #expect(ahead.request(demand: 5, lastConfirmed: .earliest) == nil)
    let request = try ask(&ahead, demand: 5)
    #expect(request.maxEntries == 5)
    #expect(request.maxBytes == 10_000)
    #expect(ahead.request(demand: 5, lastConfirmed: end) == nil)
    #expect(ahead.received(entries(0..<5), for: request) == true)
    #expect(ahead.next == Position(ledgerID: 1, entryID: 5))
    #expect(ahead.frontier == Position(ledgerID: 1, entryID: 0))
    // Everything that is wanted is there.
    #expect(ahead.request(demand: 5, lastConfirmed: end) == nil)
    for _ in 0..<5 { ahead.removeFirst() }
    #expect(ahead.bufferedBytes == 0)
    #expect(ahead.frontier == ahead.next)
  }

  @Test func bytesAreBounded() throws {
    var ahead = make()
    let request = try ask(&ahead, demand: 1_000)
    #expect(ahead.received(entries(0..<4, bytes: 3_000), for: request) == true)
    #expect(ahead.request(demand: 1_000, lastConfirmed: end) == nil)
    ahead.removeFirst()
    #expect(ahead.request(demand: 1_000, lastConfirmed: end)?.maxBytes == 1_000)
  }

  @Test func batchesGrowWhileCatchingUp() throws {
    var ahead = make()
    var sizes: [Int] = []
    for _ in 0..<4 {
      let request = try ask(&ahead, demand: 5_000)
      sizes.append(request.maxEntries)
      let from = request.from.entryID
      #expect(ahead.received(entries(from..<from + Int64(request.maxEntries)), for: request) == true)
      while !ahead.isEmpty { ahead.removeFirst() }
    }
    #expect(sizes == [100, 200, 400, 400])
    let request = try ask(&ahead, demand: 5_000)
    #expect(ahead.received(entries(1_100..<1_101), for: request) == true)
    #expect(ahead.request(demand: 5_000, lastConfirmed: end)?.maxEntries == 100)
  }

  @Test func answersFromBeforeARewindAreIgnored() throws {
    var ahead = make()
    let old = try ask(&ahead, demand: 5)
    ahead.rewind(to: Position(ledgerID: 1, entryID: 3))
    let new = try ask(&ahead, demand: 5)
    #expect(ahead.received(entries(0..<5), for: old) == false)
    #expect(ahead.failed(old) == false)
    #expect(ahead.isReading)
    #expect(ahead.received(entries(3..<8), for: new) == true)
    #expect(ahead.first?.position.entryID == 3)
  }

  @Test func demandCountsMessages() {
    var ahead = make()
    for _ in 0..<200 { ahead.delivered(messages: 10) }
    #expect(ahead.entries(forMessages: 1_000) >= 95 && ahead.entries(forMessages: 1_000) <= 105)
    #expect(ahead.entries(forMessages: 1) == 1)
    #expect(ahead.entries(forMessages: .max) > 1_000)
  }

  @Test func replayRunsAndWhatIsGone() {
    func at(_ ledger: Int64, _ entry: Int64) -> Position { Position(ledgerID: ledger, entryID: entry) }
    var reads = ReplayReads()
    let runs = reads.begin([at(1, 1), at(1, 2), at(1, 4), at(2, 5)])
    #expect(
      runs == [.init(first: at(1, 1), count: 2), .init(first: at(1, 4), count: 1), .init(first: at(2, 5), count: 1)])
    #expect(reads.received(entries(4..<5), run: runs[1], index: 1, epoch: reads.epoch) == nil)
    #expect(reads.received(nil, run: runs[2], index: 2, epoch: reads.epoch) == nil)
    let answers = reads.received(entries(2..<4), run: runs[0], index: 0, epoch: reads.epoch)
    #expect(answers?.map(\.run) == [runs[0], runs[1]])
    #expect(reads.didFail)
    #expect(!reads.isReading)
    let split = answers?.first?.split()
    #expect(split?.found.map(\.position) == [at(1, 2)])
    #expect(split?.vanished == [at(1, 1)])
    // Cut off by bytes: the rest may still be there.
    let cut = ReplayReads.Answer(run: .init(first: at(1, 1), count: 3), entries: entries(1..<2)).split()
    #expect(cut.vanished.isEmpty)
    let gone = ReplayReads.Answer(run: .init(first: at(1, 1), count: 3), entries: []).split()
    #expect(gone.vanished.count == 3)
    reads.cancel()
    #expect(reads.received([], run: runs[0], index: 0, epoch: 0) == nil)
  }
}
