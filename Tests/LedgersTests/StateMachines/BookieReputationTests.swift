import NIOCore
import Testing

@testable import Ledgers

@Suite struct BookieReputationTests {
  private static func at(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(UInt64(seconds) * 1_000_000_000) }

  private static func make() -> BookieReputation {
    BookieReputation(.init(memory: .seconds(60), interval: .seconds(30), threshold: 3, quarantine: .minutes(30)))
  }

  private static func failed(
    _ reputation: inout BookieReputation, _ bookie: String, count: Int = 1, now: NIODeadline
  ) -> Bool { reputation.failed(bookie, count: count, now: now) }

  private static func avoided(_ reputation: inout BookieReputation, _ now: NIODeadline) -> Set<String> {
    reputation.avoided(now: now)
  }

  @Test func aFailureIsForgottenAfterAWhileOrASuccess() {
    var reputation = Self.make()
    #expect(!Self.failed(&reputation, "a", now: Self.at(100)))
    #expect(Self.avoided(&reputation, Self.at(159)) == ["a"])
    #expect(Self.avoided(&reputation, Self.at(161)) == [])
    _ = reputation.failed("a", now: Self.at(200))
    reputation.succeeded("a")
    #expect(Self.avoided(&reputation, Self.at(201)) == [])
  }

  @Test func manyFailuresWithinAnIntervalAreQuarantineAndSuccessDoesNotEndIt() {
    var reputation = Self.make()
    #expect(!Self.failed(&reputation, "a", now: Self.at(1)))
    #expect(!Self.failed(&reputation, "a", now: Self.at(2)))
    #expect(Self.failed(&reputation, "a", now: Self.at(3)))
    #expect(!Self.failed(&reputation, "a", count: 10, now: Self.at(4)), "it is quarantined already")
    reputation.succeeded("a")
    #expect(Self.avoided(&reputation, Self.at(1_000)) == ["a"])
    #expect(reputation.quarantined(now: Self.at(1_000)) == ["a"])
    #expect(Self.avoided(&reputation, Self.at(1_804)) == [])
  }

  @Test func failuresFarApartAreNone() {
    var reputation = Self.make()
    for second in 0..<20 { #expect(!Self.failed(&reputation, "a", now: Self.at(Int64(second) * 16 + 1))) }
    #expect(reputation.quarantined(now: Self.at(330)) == [])
  }
}
