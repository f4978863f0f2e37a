import NIOConcurrencyHelpers
import NIOCore

/// Holds back those who publish to one topic faster than its policy allows: their connections are not read until the
/// topic takes more. Nothing is refused.
///
/// Confined to the topic's loop.
final class PublishThrottle: @unchecked Sendable {
  private let eventLoop: any EventLoop
  private var rate: PublishRate?
  private var limit: RateLimit?
  private var held: [ObjectIdentifier: SessionPort] = [:]
  private var timer: Scheduled<Void>?
  /// How often publishers were held back.
  private(set) var times: Int64 = 0

  init(eventLoop: any EventLoop) { self.eventLoop = eventLoop }

  /// Puts a rate into force; nil for none. Whoever is held back is judged by it from now on.
  func apply(_ rate: PublishRate?) {
    eventLoop.assertInEventLoop()
    guard rate != self.rate else { return }
    self.rate = rate
    limit = rate.map { RateLimit($0, now: .now()) }
    if limit?.isUnlimited == true { limit = nil }
    check()
  }

  /// A message was taken from the connection behind `port`.
  @inline(__always)
  func published(messages: Int, bytes: Int, by port: SessionPort) {
    guard limit != nil else { return }
    limit?.take(messages: messages, bytes: bytes, now: .now())
    if limit?.isOverdrawn == true { hold(port) }
  }

  private func hold(_ port: SessionPort) {
    guard held[ObjectIdentifier(port)] == nil, let wait = limit?.wait(now: .now()), wait > .zero else { return }
    held[ObjectIdentifier(port)] = port
    times += 1
    port.send(PublishReply(producerID: 0, life: 0, outcome: .hold(ObjectIdentifier(self))))
    if timer == nil { schedule(wait) }
  }

  private func schedule(_ wait: TimeAmount) {
    timer = eventLoop.scheduleTask(in: wait) { [weak self] in self?.check() }
  }

  private func check() {
    timer?.cancel()
    timer = nil
    let wait = limit?.wait(now: .now()) ?? .zero
    if wait > .zero {
      if !held.isEmpty { schedule(wait) }
    } else {
      release()
    }
  }

  /// Lets everybody go on, as when the topic is closed.
  func release() {
    timer?.cancel()
    timer = nil
    let ports = held.values
    held = [:]
    for port in ports { port.send(PublishReply(producerID: 0, life: 0, outcome: .release(ObjectIdentifier(self)))) }
  }
}

/// The limit on everything that is published to a broker (`brokerPublisherThrottlingMaxMessageRate`,
/// `brokerPublisherThrottlingMaxByteRate`), shared by the connections of all loops.
final class BrokerPublishLimit: Sendable {
  private let limit: NIOLockedValueBox<RateLimit>

  /// nil if nothing is limited.
  init?(messages: Int, bytes: Int64) {
    let limit = RateLimit(messages: Double(messages), bytes: Double(bytes), now: .now())
    guard !limit.isUnlimited else { return nil }
    self.limit = NIOLockedValueBox(limit)
  }

  /// Counts what a connection read.
  /// - Returns: how long it is not to read on.
  func take(messages: Int, bytes: Int) -> TimeAmount {
    limit.withLockedValue { limit in
      let now = NIODeadline.now()
      limit.take(messages: messages, bytes: bytes, now: now)
      return limit.wait(now: now)
    }
  }

  /// How long nobody is to read on.
  var wait: TimeAmount { limit.withLockedValue { $0.wait(now: .now()) } }
}
