import NIOCore
import Testing

@testable import Broker

@Suite struct RateMeterTests {
  private func at(_ milliseconds: UInt64) -> NIODeadline { .uptimeNanoseconds(milliseconds * 1_000_000) }

  @Test func steadyRate() {
    var meter = RateMeter()
    #expect(meter.rates(now: at(5)).messages == 0)
    for tick in 0..<600 as Range<UInt64> { meter.record(messages: 5, bytes: 50, now: at(100_000 + tick * 100)) }
    let rates = meter.rates(now: at(159_950))
    #expect(rates.messages == 50)
    #expect(rates.bytes == 500)
    #expect(meter.totalMessages == 3_000)
    #expect(meter.totalBytes == 30_000)
  }

  @Test func aBurstShowsAtOnceAndEndsAfterTheWindow() {
    var meter = RateMeter()
    meter.record(messages: 100, bytes: 0, now: at(50_100))
    #expect(meter.rates(now: at(50_200)).messages == 100)
    #expect(meter.rates(now: at(54_900)).messages == 20)
    #expect(meter.rates(now: at(59_900)).messages == 10)
    #expect(meter.rates(now: at(60_100)).messages == 0)
    #expect(meter.rates(now: at(500_000)).messages == 0)
    meter.record(messages: 30, bytes: 0, now: at(500_000))
    #expect(meter.rates(now: at(500_000)).messages == 3)
    // A clock reading that is a little late is no reason to lose anything.
    meter.record(messages: 30, bytes: 0, now: at(499_000))
    #expect(meter.rates(now: at(500_000)).messages == 6)
  }
}
