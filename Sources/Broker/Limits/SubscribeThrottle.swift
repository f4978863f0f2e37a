import NIOCore

/// How often each consumer of a topic may subscribe.
struct SubscribeThrottle: Sendable {
  /// What tells consumers apart, over their reconnections.
  struct Consumer: Hashable, Sendable {
    /// Without the port, which changes.
    var host: String
    var name: String
    var id: UInt64
  }

  /// Consumers remembered before those that have not tried lately are forgotten.
  private static let maximumConsumers = 10_000

  private(set) var rate: SubscribeRate?
  private var buckets: [Consumer: TokenBucket] = [:]

  /// Puts a rate into force; nil for none.
  mutating func apply(_ rate: SubscribeRate?) {
    guard rate != self.rate else { return }
    self.rate = rate
    buckets = [:]
  }

  /// Whether the consumer may subscribe now; counted if it may.
  mutating func admit(_ consumer: Consumer, now: NIODeadline) -> Bool {
    guard let rate, rate.subscribeThrottlingRatePerConsumer > 0 else { return true }
    let limit = Double(rate.subscribeThrottlingRatePerConsumer)
    if buckets.count >= Self.maximumConsumers { forgetIdle(now: now) }
    var bucket =
      buckets[consumer]
      ?? TokenBucket(perSecond: limit / Double(max(1, rate.ratePeriodInSecond)), capacity: limit, now: now)
    bucket.refill(now: now)
    guard bucket.tokens >= 1 else {
      buckets[consumer] = bucket
      return false
    }
    bucket.take(1, now: now)
    buckets[consumer] = bucket
    return true
  }

  private mutating func forgetIdle(now: NIODeadline) {
    buckets = buckets.filter { _, bucket in
      var bucket = bucket
      bucket.refill(now: now)
      return bucket.tokens < bucket.capacity
    }
    // All of them try all the time: better to forget what they did than to grow.
    if buckets.count >= Self.maximumConsumers { buckets = [:] }
  }
}
