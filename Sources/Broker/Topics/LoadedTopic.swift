import NIOCore
import PulsarWire
import TopicLog

/// A topic that this broker serves, of either domain.
enum LoadedTopic: Sendable {
  case persistent(Topic)
  case nonPersistent(NonPersistentTopic)

  var name: TopicName {
    switch self {
    case .persistent(let topic): topic.name
    case .nonPersistent(let topic): topic.name
    }
  }

  var eventLoop: any EventLoop {
    switch self {
    case .persistent(let topic): topic.eventLoop
    case .nonPersistent(let topic): topic.eventLoop
    }
  }

  /// On the topic's loop.
  func publish(_ producer: TopicProducer, _ request: PublishRequest, nowMs: Int64) {
    switch self {
    case .persistent(let topic): topic.publish(producer, request, nowMs: nowMs)
    case .nonPersistent(let topic): topic.publish(producer, request, nowMs: nowMs)
    }
  }

  /// On the topic's loop.
  func close(_ producer: TopicProducer, requestID: UInt64?) {
    switch self {
    case .persistent(let topic): topic.close(producer, requestID: requestID)
    case .nonPersistent(let topic): topic.close(producer, requestID: requestID)
    }
  }

  func addProducer(_ spec: ProducerSpec, port: SessionPort) async throws -> ProducerGrant {
    switch self {
    case .persistent(let topic): try await topic.addProducer(spec, port: port)
    case .nonPersistent(let topic): try await topic.addProducer(spec, port: port)
    }
  }

  func subscribe(_ spec: SubscribeSpec, sink: any ConsumerSink & Sendable) async throws -> SubscriptionConsumer {
    switch self {
    case .persistent(let topic): try await topic.subscribe(spec, sink: sink)
    case .nonPersistent(let topic): try await topic.subscribe(spec, sink: sink)
    }
  }

  func unsubscribe(_ consumer: SubscriptionConsumer, from subscription: String) async throws {
    switch self {
    case .persistent(let topic): try await topic.unsubscribe(consumer, from: subscription)
    case .nonPersistent(let topic): try await topic.deleteSubscription(subscription, force: true)
    }
  }

  func stats(_ options: StatsOptions) async throws -> TopicStats {
    switch self {
    case .persistent(let topic): try await topic.stats(options)
    case .nonPersistent(let topic): try await topic.stats(options)
    }
  }

  func close() async {
    switch self {
    case .persistent(let topic): await topic.close()
    case .nonPersistent(let topic): await topic.close()
    }
  }

  func apply(_ policies: EffectivePolicies) async {
    switch self {
    case .persistent(let topic): await topic.apply(policies)
    case .nonPersistent(let topic): await topic.apply(policies)
    }
  }
}
