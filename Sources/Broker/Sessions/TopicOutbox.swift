import NIOCore
import PulsarWire
import TopicLog

/// Something that a session asks of a topic's loop, on the path that every message takes.
enum TopicRequest: Sendable {
  case publish(LoadedTopic, TopicProducer, PublishRequest)
  case closeProducer(LoadedTopic, TopicProducer, requestID: UInt64?)
  case flow(SubscriptionConsumer, permits: Int)
  case acknowledge(SubscriptionConsumer, [Acknowledgement], AckReply?)
  case acknowledgeCumulative(SubscriptionConsumer, Acknowledgement, AckReply?)
  case redeliver(SubscriptionConsumer, [Position])
  case sinkBecameWritable(SubscriptionConsumer)

  /// What it costs its topic, in ids.
  var weight: Int {
    switch self {
    case .acknowledge(_, let ids, _): max(1, ids.count)
    case .redeliver(_, let positions): max(1, positions.count)
    default: 1
    }
  }
}

/// Called on the topic's loop with the result of an acknowledgement whose client waits for it.
typealias AckReply = @Sendable (SubscriptionError?) -> Void

/// Collects what one read of a connection asks of the topics on one loop, so that it crosses over once, in order.
///
/// Confined to the session's loop.
final class TopicOutbox: @unchecked Sendable {
  let eventLoop: any EventLoop
  /// The way back.
  let port: SessionPort
  private var requests: [TopicRequest] = []
  private var weight = 0
  private var pace = OutboxPace()

  init(eventLoop: any EventLoop, port: SessionPort) {
    self.eventLoop = eventLoop
    self.port = port
  }

  func append(_ request: TopicRequest) {
    requests.append(request)
    weight += request.weight
  }

  /// Whether the topics' loop is behind with what it was asked.
  var isBehind: Bool { pace.isBehind }

  /// Passes everything on.
  /// - Returns: whether it is time for a mark that says how far the topics have come: for a call of `caughtUp()` behind
  ///   all of this.
  func flush() -> Bool {
    guard !requests.isEmpty else { return false }
    let batch = requests
    requests.removeAll(keepingCapacity: true)
    if eventLoop.inEventLoop {
      weight = 0
      Self.run(batch)
      return false
    }
    eventLoop.execute { Self.run(batch) }
    defer { weight = 0 }
    return pace.sent(weight)
  }

  /// Everything up to the last mark is done.
  /// - Returns: whether it is time for the next one.
  func caughtUp() -> Bool { pace.reached() }

  private static func run(_ batch: [TopicRequest]) {
    let nowMs = WallClock.nowMs()
    for request in batch {
      switch request {
      case .publish(let topic, let producer, let request): topic.publish(producer, request, nowMs: nowMs)
      case .closeProducer(let topic, let producer, let requestID): topic.close(producer, requestID: requestID)
      case .flow(let consumer, let permits): consumer.flow(permits: permits)
      case .acknowledge(let consumer, let ids, let reply):
        let error = consumer.acknowledge(ids)
        reply?(error)
      case .acknowledgeCumulative(let consumer, let id, let reply):
        let error = consumer.acknowledgeCumulative(id)
        reply?(error)
      case .redeliver(let consumer, let positions): consumer.redeliver(positions)
      case .sinkBecameWritable(let consumer): consumer.sinkBecameWritable()
      }
    }
  }
}
