import BookieWire
import NIOCore
import Testing

@testable import Ledgers

@Suite struct BookieAnswerTests {
  private static let known: [Int32] = [0, 1, 2, 100, 101, 102, 103, 104, 105, 106, 107]

  @Test func everyCodeHasItsMeaningForReads() {
    let meanings = Self.known.map { ReadMeaning(BookieReturnCode(rawValue: $0)) }
    #expect(
      meanings == [
        .found, .absent, .absent, .noAnswer, .doubtful, .noAnswer, .noAnswer, .noAnswer, .noAnswer, .noAnswer,
        .doubtful,
      ])
    // Neither silence nor a number of another time proves anything.
    #expect(ReadMeaning(nil) == .noAnswer)
    for number: Int32 in [-1, 3, 99, 108, Int32.max] {
      #expect(ReadMeaning(BookieReturnCode(rawValue: number)) == .noAnswer)
    }
  }

  @Test func everyCodeHasItsMeaningForAdds() {
    let meanings = Self.known.dropFirst().map { LedgerWriter.Failure(BookieReturnCode(rawValue: $0)) }
    #expect(
      meanings == [
        .bookie, .bookie, .bookie, .bookie, .unauthorized, .bookie, .fenced, .bookie, .bookie, .bookie,
      ])
    #expect(LedgerWriter.Failure(nil) == .bookie)
    #expect(LedgerWriter.Failure(BookieReturnCode(rawValue: 4711)) == .bookie)
  }

  @Test func aBookieThatRefusesBatchesOrHangsUpOnThemGetsNoMore() {
    for refusal in [BookieReturnCode.badRequest, .badVersion] {
      var support = BatchReadSupport()
      let isRefused = support.answered(refusal)
      #expect(isRefused)
      #expect(!support.mayBeUsed)
    }
    var hungUp = BatchReadSupport()
    let isUnknown = hungUp.hungUp()
    #expect(isUnknown)
    #expect(!hungUp.mayBeUsed)
    // Once it has answered one, it knows them: then a connection that breaks, or a refusal, is about something else.
    for answer in [BookieReturnCode.ok, .noEntry, .noLedger, .ioError, .tooManyRequests] {
      var support = BatchReadSupport()
      let refusals = [support.answered(answer), support.hungUp(), support.answered(.badRequest)]
      #expect(refusals == [false, false, false])
      #expect(support.mayBeUsed)
    }
  }

  @Test func gatheredReadsAreTheLeadingEntriesThatWereFound() {
    var answers: [(BookieReturnCode?, Int)] = []
    func gather(_ codes: [BookieReturnCode?], maxBytes: Int = 1 << 20) {
      let reads = GatheredReads(
        .init(ledgerID: 1, from: 5, count: codes.count, maxBytes: maxBytes) { answers.append(($0, $1.count)) })
      for index in (0..<reads.count).reversed() {
        reads.answered(index, codes[index], codes[index] == .ok ? ByteBuffer(integer: index) : nil)
        reads.answered(index, .ok, ByteBuffer())
      }
    }
    gather([.ok, .ok, .noEntry, .ok])
    gather([.noEntry, .ok])
    gather([nil, .ok])
    gather(Array(repeating: .ok, count: 100))
    gather([.ok, .ok], maxBytes: 100)
    #expect(answers.map(\.0) == [.ok, .noEntry, nil, .ok, .ok])
    #expect(answers.map(\.1) == [2, 0, 0, 16, 1])
  }
}

@Suite struct SlowBookiesTests {
  private static func at(_ milliseconds: Int64) -> NIODeadline {
    .uptimeNanoseconds(UInt64(1_000 + milliseconds) * 1_000_000)
  }

  private static func make(_ factor: Int64 = 10) -> SlowBookies {
    SlowBookies(.init(factor: factor, floor: .milliseconds(50), patience: .seconds(3)))
  }

  private static func latencies(_ milliseconds: Int64...) -> [String: TimeAmount] {
    Dictionary(uniqueKeysWithValues: milliseconds.enumerated().map { ("b\($0)", .milliseconds($1)) })
  }

  @Test func whoIsSlowForLongIsFound() {
    var bookies = Self.make()
    #expect(bookies.slow(Self.latencies(1, 2, 100), now: Self.at(0)) == [])
    #expect(bookies.slow(Self.latencies(1, 2, 100), now: Self.at(2_999)) == [])
    #expect(bookies.slow(Self.latencies(1, 2, 100), now: Self.at(3_000)) == ["b2"])
    // One good look, and patience begins anew.
    #expect(bookies.slow(Self.latencies(1, 2, 3), now: Self.at(3_100)) == [])
    #expect(bookies.slow(Self.latencies(1, 2, 100), now: Self.at(3_200)) == [])
    #expect(bookies.slow(Self.latencies(1, 2, 100), now: Self.at(6_200)) == ["b2"])
  }

  @Test func whatAllSufferFromIsNobodysFault() {
    var bookies = Self.make()
    for time in stride(from: Int64(0), through: 10_000, by: 500) {
      #expect(bookies.slow(Self.latencies(400, 500, 600), now: Self.at(time)) == [])
    }
    // A millisecond is ten times a tenth of one, and no trouble.
    var fast = Self.make()
    for time in stride(from: Int64(0), through: 10_000, by: 500) {
      let latencies: [String: TimeAmount] = [
        "b0": .microseconds(100), "b1": .microseconds(100), "b2": .milliseconds(40),
      ]
      #expect(fast.slow(latencies, now: Self.at(time)) == [])
    }
  }

  @Test func oneBookieAloneAndAFactorOfZeroAreNeverSlow() {
    var bookies = Self.make()
    _ = bookies.slow(Self.latencies(10_000), now: Self.at(0))
    #expect(bookies.slow(Self.latencies(10_000), now: Self.at(9_000)) == [])
    var off = Self.make(0)
    _ = off.slow(Self.latencies(1, 10_000), now: Self.at(0))
    #expect(off.slow(Self.latencies(1, 10_000), now: Self.at(9_000)) == [])
    // Of two the faster one is the measure.
    _ = bookies.slow(Self.latencies(1, 100), now: Self.at(10_000))
    #expect(bookies.slow(Self.latencies(1, 100), now: Self.at(13_000)) == ["b1"])
  }

  @Test func theMeanFollows() {
    var mean = MovingMean()
    #expect(mean.value == nil)
    mean.add(.milliseconds(8))
    #expect(mean.value == .milliseconds(8))
    mean.add(.milliseconds(16))
    #expect(mean.value == .milliseconds(9))
  }
}
