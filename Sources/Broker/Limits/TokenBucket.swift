import NIOCore

/// A rate with a memory: what was not used for a moment can be used later, up to a limit, and what was used in excess is
/// paid for by waiting. So the average holds whatever the size of what is taken at once.
struct TokenBucket: Hashable, Sendable {
  /// Tokens that come in a second.
  private(set) var perSecond: Double
  /// Tokens that can be saved.
  private(set) var capacity: Double
  private(set) var tokens: Double
  private var updated: NIODeadline

  /// A full bucket. `perSecond` and `capacity` above 0.
  init(perSecond: Double, capacity: Double, now: NIODeadline) {
    self.perSecond = max(.leastNormalMagnitude, perSecond)
    self.capacity = max(1, capacity)
    tokens = self.capacity
    updated = now
  }

  /// Whether more was taken than there is; until the debt is paid, nothing more should be.
  var isOverdrawn: Bool { tokens <= 0 }

  mutating func refill(now: NIODeadline) {
    guard now > updated else { return }
    tokens = min(capacity, tokens + perSecond * Double((now - updated).nanoseconds) / 1e9)
    updated = now
  }

  /// Takes over what another bucket had saved or owed.
  mutating func inherit(_ other: TokenBucket?) {
    guard let other else { return }
    tokens = min(capacity, other.tokens)
    updated = other.updated
  }

  /// Takes tokens, more than there are if need be.
  mutating func take(_ count: Double, now: NIODeadline) {
    // First: a bucket that was full has not saved more meanwhile.
    refill(now: now)
    tokens -= count
  }

  /// How long until something can be taken again; zero if it can be now. At most an hour: whoever waits asks again.
  var wait: TimeAmount {
    guard isOverdrawn else { return .zero }
    // A whole token more than the debt, so that who wakes up then does not find nothing.
    let seconds = min(3600, (min(1, capacity) - tokens) / perSecond)
    return .nanoseconds(max(1_000_000, Int64(seconds * 1e9)))
  }
}

/// A limit on messages and bytes together: either may hold things up.
struct RateLimit: Hashable, Sendable {
  private(set) var messages: TokenBucket?
  private(set) var bytes: TokenBucket?

  /// Limits for each `period` seconds; a negative or zero limit is none.
  init(messages: Double, bytes: Double, period: Double = 1, now: NIODeadline) {
    let period = max(1, period)
    if messages > 0 { self.messages = TokenBucket(perSecond: messages / period, capacity: messages, now: now) }
    if bytes > 0 { self.bytes = TokenBucket(perSecond: bytes / period, capacity: bytes, now: now) }
  }

  /// Whether nothing is limited.
  var isUnlimited: Bool { messages == nil && bytes == nil }
  var isOverdrawn: Bool { messages?.isOverdrawn == true || bytes?.isOverdrawn == true }

  /// Takes over what another limit had saved or owed.
  mutating func inherit(_ other: RateLimit?) {
    messages?.inherit(other?.messages)
    bytes?.inherit(other?.bytes)
  }

  mutating func take(messages count: Int, bytes size: Int, now: NIODeadline) {
    messages?.take(Double(count), now: now)
    bytes?.take(Double(size), now: now)
  }

  /// How long nothing more should be taken; zero if something can be now.
  mutating func wait(now: NIODeadline) -> TimeAmount {
    messages?.refill(now: now)
    bytes?.refill(now: now)
    return max(messages?.wait ?? .zero, bytes?.wait ?? .zero)
  }
}

extension RateLimit {
  init(_ rate: PublishRate, now: NIODeadline) {
    self.init(
      messages: Double(rate.publishThrottlingRateInMsg), bytes: Double(rate.publishThrottlingRateInByte), now: now)
  }

  /// - Parameter published: what comes in a second, for a limit that is relative to it.
  init(_ rate: DispatchRate, publishedPerSecond published: (messages: Double, bytes: Double), now: NIODeadline) {
    let period = Double(max(1, rate.ratePeriodInSecond))
    func total(_ limit: Double, _ published: Double) -> Double {
      limit > 0 && rate.relativeToPublishRate ? limit + published * period : limit
    }
    self.init(
      messages: total(Double(rate.dispatchThrottlingRateInMsg), published.messages),
      bytes: total(Double(rate.dispatchThrottlingRateInByte), published.bytes), period: period, now: now)
  }
}
