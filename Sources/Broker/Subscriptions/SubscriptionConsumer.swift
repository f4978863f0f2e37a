import NIOCore
import TopicLog

/// What a consumer declares when it subscribes.
struct ConsumerOptions: Sendable {
  /// The id that the client gave it, unique within its connection.
  var consumerID: UInt64
  var name: String
  /// Lower numbers come first.
  var priorityLevel: Int
  var keyShared: KeySharedPolicy
  /// The client's key-value pairs, shown in the statistics.
  var metadata: [String: String]
  /// For the statistics.
  var address: String
  var clientVersion: String
  /// The role the connection authenticated as; nil without authentication.
  var role: String?

  init(
    consumerID: UInt64, name: String, priorityLevel: Int = 0, keyShared: KeySharedPolicy = KeySharedPolicy(),
    metadata: [String: String] = [:], address: String = "", clientVersion: String = "", role: String? = nil
  ) {
    self.consumerID = consumerID
    self.name = name
    self.priorityLevel = priorityLevel
    self.keyShared = keyShared
    self.metadata = metadata
    self.address = address
    self.clientVersion = clientVersion
    self.role = role
  }
}

/// One message id that a client acknowledges. Ids come from outside: any value is possible and must be harmless.
struct Acknowledgement: Sendable, Hashable {
  var position: Position
  /// For one or some messages of a batch: a set bit is a message that is *not yet* acknowledged. nil: the whole entry.
  var ackSet: [Int64]?
  /// The size of the batch as the client knows it.
  var batchSize: Int?

  init(_ position: Position, ackSet: [Int64]? = nil, batchSize: Int? = nil) {
    self.position = position
    self.ackSet = ackSet
    self.batchSize = batchSize
  }
}

/// A consumer attached to a subscription: the handle through which a session speaks to it. Confined to the topic's
/// event loop.
final class SubscriptionConsumer: @unchecked Sendable {
  let options: ConsumerOptions
  let sink: any ConsumerSink
  let connectedSinceMs: Int64
  /// Identifies the consumer within its subscription's dispatcher.
  let key: ConsumerKey
  /// nil after the consumer left.
  private(set) weak var host: (any SubscriptionHost)?
  let eventLoop: any EventLoop

  /// What the current dispatch round has for this consumer.
  var outgoing: [Delivery] = []
  /// How many entries of `outgoing` are chunks of larger messages.
  var outgoingChunks = 0
  var knowsEndOfTopic = false
  var counters = ConsumerCounters()

  init(
    options: ConsumerOptions, sink: any ConsumerSink, key: ConsumerKey, host: any SubscriptionHost,
    eventLoop: any EventLoop, nowMs: Int64
  ) {
    self.options = options
    self.sink = sink
    self.key = key
    self.host = host
    self.eventLoop = eventLoop
    self.connectedSinceMs = nowMs
  }

  var name: String { options.name }

  /// False after `close()`, a seek, or the end of the subscription.
  var isAttached: Bool { host != nil }

  func detach() { host = nil }

  /// The client takes `permits` more messages. Ignored when not positive or after the consumer left.
  func flow(permits: Int) {
    eventLoop.assertInEventLoop()
    guard permits > 0 else { return }
    host?.flow(self, permits: permits)
  }

  /// Acknowledges single messages. Unknown, repeated or impossible ids do nothing.
  /// - Returns: nil, or why the request is refused.
  func acknowledge(_ ids: [Acknowledgement]) -> SubscriptionError? {
    eventLoop.assertInEventLoop()
    return host?.acknowledge(self, ids)
  }

  /// Acknowledges everything up to and including a message.
  /// - Returns: nil, or why the request is refused: shared kinds know no order.
  func acknowledgeCumulative(_ id: Acknowledgement) -> SubscriptionError? {
    eventLoop.assertInEventLoop()
    return host?.acknowledgeCumulative(self, id)
  }

  /// Hands out unacknowledged messages again: those named (shared kinds), or all that this consumer holds when empty.
  func redeliver(_ positions: [Position]) {
    eventLoop.assertInEventLoop()
    host?.redeliver(self, positions)
  }

  /// The connection takes bytes again.
  func sinkBecameWritable() {
    eventLoop.assertInEventLoop()
    host?.sinkBecameWritable(self)
  }

  /// The client closed the consumer, or its connection ended: what it holds goes to others. May be called twice.
  func close() {
    eventLoop.assertInEventLoop()
    host?.remove(self)
  }
}

/// What a subscription offers to its consumers. On the topic's event loop only.
protocol SubscriptionHost: AnyObject {
  var name: String { get }
  func flow(_ consumer: SubscriptionConsumer, permits: Int)
  func acknowledge(_ consumer: SubscriptionConsumer, _ ids: [Acknowledgement]) -> SubscriptionError?
  func acknowledgeCumulative(_ consumer: SubscriptionConsumer, _ id: Acknowledgement) -> SubscriptionError?
  func redeliver(_ consumer: SubscriptionConsumer, _ positions: [Position])
  func sinkBecameWritable(_ consumer: SubscriptionConsumer)
  func remove(_ consumer: SubscriptionConsumer)
}

/// What is counted for one consumer.
struct ConsumerCounters: Sendable {
  var out = RateMeter()
  var redelivered = RateMeter()
  var acknowledged = RateMeter()
  var entriesOut: Int64 = 0
  var chunks = RateMeter()
  var lastAckedMs: Int64 = 0
  var lastConsumedMs: Int64 = 0
  var firstSentMs: Int64 = 0
  var lastFlowMs: Int64 = 0
  var firstFlowMs: Int64 = 0
  var joinedAt: Position?

  mutating func sent(messages: Int, bytes: Int, entries: Int, now: NIODeadline, nowMs: Int64) {
    out.record(messages: messages, bytes: bytes, now: now)
    entriesOut += Int64(entries)
    lastConsumedMs = nowMs
    if firstSentMs == 0 { firstSentMs = nowMs }
  }
}
