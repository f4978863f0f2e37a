import NIOCore
import Testing

@testable import Broker

@Suite struct RateLimitTests {
  private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

  @Test func whatIsTakenInExcessIsPaidForByWaiting() {
    var bucket = TokenBucket(perSecond: 100, capacity: 100, now: start)
    bucket.take(99, now: start)
    #expect(!bucket.isOverdrawn && bucket.wait == .zero)
    bucket.take(201, now: start)
    #expect(bucket.isOverdrawn)
    #expect(abs(bucket.wait.nanoseconds - 2_010_000_000) < 1_000_000)
    bucket.refill(now: start + .milliseconds(2011))
    #expect(!bucket.isOverdrawn)
    bucket.refill(now: start + .hours(1))
    #expect(bucket.tokens == 100, "no more is saved than the capacity")
    bucket.refill(now: start)
    #expect(bucket.tokens == 100, "time does not go back")
    bucket.take(100, now: start + .hours(2))
    #expect(bucket.isOverdrawn, "a full bucket has saved nothing more meanwhile")
  }

  @Test func theAverageHoldsWhateverIsTakenAtOnce() {
    var generator = SeededGenerator(seed: 7)
    var limit = RateLimit(messages: 1000, bytes: 50_000, now: start)
    var now = start
    var (messages, bytes) = (0, 0)
    for _ in 0..<2000 {
      let count = Int.random(in: 1...40, using: &generator)
      let size = Int.random(in: 1...5000, using: &generator)
      limit.take(messages: count, bytes: size, now: now)
      messages += count
      bytes += size
      now = now + limit.wait(now: now)
      let more = limit.wait(now: now)
      #expect(more == .zero, "who has waited can go on")
    }
    let seconds = Double((now - start).nanoseconds) / 1e9
    #expect(Double(messages) <= 1000 * (seconds + 1) + 40)
    #expect(Double(bytes) <= 50_000 * (seconds + 1) + 5000)
    #expect(max(Double(messages) / 1000, Double(bytes) / 50_000) >= seconds * 0.9, "nobody waits for nothing")
  }

  @Test func limitsThatAreNoneAndRelativeOnes() {
    #expect(
      RateLimit(PublishRate(publishThrottlingRateInMsg: -1, publishThrottlingRateInByte: 0), now: start).isUnlimited)
    let rate = DispatchRate(dispatchThrottlingRateInMsg: 10, relativeToPublishRate: true, ratePeriodInSecond: 2)
    let limit = RateLimit(rate, publishedPerSecond: (messages: 100, bytes: 1), now: start)
    #expect(limit.messages?.perSecond == 105)
    #expect(limit.bytes == nil)
    let limiter = DispatchLimiter(rate)
    limiter.take(messages: 1000, bytes: 1, now: .now())
    limiter.published(messages: 100, bytes: 1)
    #expect(limiter.isOverdrawn, "a debt stays when the rate grows")
    #expect(!limiter.apply(rate))
    #expect(limiter.apply(nil) && !limiter.isOverdrawn)
  }

  @Test func eachConsumerSubscribesSoOften() {
    var throttle = SubscribeThrottle()
    let (a, b) = (
      SubscribeThrottle.Consumer(host: "/127.0.0.1", name: "a", id: 1),
      SubscribeThrottle.Consumer(host: "/127.0.0.1", name: "b", id: 1)
    )
    func admits(_ consumer: SubscribeThrottle.Consumer, _ seconds: Int64 = 0) -> Bool {
      throttle.admit(consumer, now: start + .seconds(seconds))
    }
    #expect(admits(a))
    throttle.apply(SubscribeRate(subscribeThrottlingRatePerConsumer: 2, ratePeriodInSecond: 10))
    #expect([admits(a), admits(a), admits(a)] == [true, true, false])
    #expect(admits(b))
    #expect([admits(a, 5), admits(a, 5)] == [true, false])
    #expect((0..<20_000).allSatisfy { admits(SubscribeThrottle.Consumer(host: "h", name: "\($0)", id: 0), 5) })
    throttle.apply(nil)
    #expect(admits(a))
  }
}
