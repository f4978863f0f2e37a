import NIOCore

/// A dispatch rate in force, of a topic or of a subscription. Confined to the topic's loop.
final class DispatchLimiter {
  private var rate: DispatchRate?
  private var published = (messages: 0.0, bytes: 0.0)
  private(set) var limit: RateLimit?
  /// Looked at for every entry.
  private(set) var isOverdrawn = false

  init(_ rate: DispatchRate? = nil) { apply(rate) }

  /// Puts a rate into force; nil for none.
  /// - Returns: whether it is another one than before.
  @discardableResult
  func apply(_ rate: DispatchRate?) -> Bool {
    guard rate != self.rate else { return false }
    self.rate = rate
    make()
    return true
  }

  /// Says what is published to the topic in a second: some limits are relative to it.
  func published(messages: Double, bytes: Double) {
    guard rate?.relativeToPublishRate == true, published != (messages, bytes) else { return }
    published = (messages, bytes)
    let debt = limit
    make()
    // A new limit does not forgive what was taken.
    limit?.inherit(debt)
    isOverdrawn = limit?.isOverdrawn == true
  }

  private func make() {
    limit = rate.map { RateLimit($0, publishedPerSecond: published, now: .now()) }
    if limit?.isUnlimited == true { limit = nil }
    isOverdrawn = false
  }

  func take(messages: Int, bytes: Int, now: NIODeadline) {
    limit?.take(messages: messages, bytes: bytes, now: now)
    isOverdrawn = limit?.isOverdrawn == true
  }

  func wait(now: NIODeadline) -> TimeAmount {
    let wait = limit?.wait(now: now) ?? .zero
    isOverdrawn = wait > .zero
    return wait
  }
}

/// What limits one subscription's deliveries: the topic's rate, shared with the others, and its own.
struct DispatchLimits {
  /// How often deliveries were held back, as the statistics tell it.
  struct Counters: Hashable, Sendable {
    var messagesByTopic: Int64 = 0
    var bytesByTopic: Int64 = 0
    var messagesBySubscription: Int64 = 0
    var bytesBySubscription: Int64 = 0
  }

  var topic: DispatchLimiter?
  let own = DispatchLimiter()
  private(set) var counters = Counters()

  /// Whether something is limited at all.
  var isActive: Bool { own.limit != nil || topic?.limit != nil }
  var isOverdrawn: Bool { own.isOverdrawn || topic?.isOverdrawn == true }

  func take(messages: Int, bytes: Int) {
    let now = NIODeadline.now()
    own.take(messages: messages, bytes: bytes, now: now)
    topic?.take(messages: messages, bytes: bytes, now: now)
  }

  /// How long nothing may be delivered; zero if something may. A wait is counted.
  mutating func wait(now: NIODeadline) -> TimeAmount {
    let (byTopic, bySubscription) = (topic?.wait(now: now) ?? .zero, own.wait(now: now))
    if byTopic > .zero {
      if topic?.limit?.messages?.isOverdrawn == true { counters.messagesByTopic += 1 }
      if topic?.limit?.bytes?.isOverdrawn == true { counters.bytesByTopic += 1 }
    }
    if bySubscription > .zero {
      if own.limit?.messages?.isOverdrawn == true { counters.messagesBySubscription += 1 }
      if own.limit?.bytes?.isOverdrawn == true { counters.bytesBySubscription += 1 }
    }
    return max(byTopic, bySubscription)
  }
}
