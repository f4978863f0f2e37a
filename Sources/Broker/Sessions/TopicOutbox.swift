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
}

/// Called on the topic's loop with the result of an acknowledgement whose client waits for it.
typealias AckReply = @Sendable (SubscriptionError?) -> Void

/// Collects what one read of a connection asks of the topics on one loop, so that it crosses over once, in order.
///
/// Confined to the session's loop.
final class TopicOutbox {
  let eventLoop: any EventLoop
  /// The way back.
  let port: SessionPort
  private var requests: [TopicRequest] = []

  init(eventLoop: any EventLoop, port: SessionPort) {
    self.eventLoop = eventLoop
    self.port = port
  }

  func append(_ request: TopicRequest) { requests.append(request) }

  func flush() {
    guard !requests.isEmpty else { return }
    let batch = requests
    requests.removeAll(keepingCapacity: true)
    if eventLoop.inEventLoop {
      Self.run(batch)
    } else {
      eventLoop.execute { Self.run(batch) }
    }
  }

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
