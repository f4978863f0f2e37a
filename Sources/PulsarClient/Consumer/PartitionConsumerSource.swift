import NIOConcurrencyHelpers

/// Makes the consumers of a topic's partitions, which share a queue.
final class PartitionConsumerSource: Sendable {
  let client: PulsarClient
  let topic: String
  let subscription: String
  let configuration: ConsumerConfiguration
  let queue: MessageQueue
  private let start: StartPoint?
  private let route = PermitRoute()
  private let count = NIOLockedValueBox(0)

  init(
    client: PulsarClient, topic: String, subscription: String, start: StartPoint?, configuration: ConsumerConfiguration
  ) {
    self.client = client
    self.topic = topic
    self.subscription = subscription
    self.start = start
    self.configuration = configuration
    queue = MessageQueue(partitions: 0, capacity: configuration.receiverQueueSize) { [route] index, permits in
      route.grant(index, permits)
    }
  }

  /// A consumer that is yet to be opened. Partitions are made in the order of their numbers; one that could not be
  /// opened may be made again.
  ///
  /// - Parameters:
  ///   - partition: its number; `nil` for a topic without partitions.
  ///   - isLater: it was added after the consumer was made. All that is in it is new, so it begins with the first.
  func addPartition(_ partition: Int?, isLater: Bool = false) -> PartitionConsumer {
    let index = partition ?? 0
    let isKnown = count.withLockedValue { count in
      defer { count = max(count, index + 1) }
      return index < count
    }
    if !isKnown { queue.addPartition() }
    var configuration = configuration
    var start = start
    if isLater {
      configuration.initialPosition = .earliest
      start = start.map { StartPoint(.earliest, isInclusive: true, publishTimeMs: $0.publishTimeMs) }
    }
    let consumer = PartitionConsumer(
      client: client, topic: partition.map { "\(topic)-partition-\($0)" } ?? topic, index: index,
      partition: Int32(partition ?? -1), subscription: subscription, start: start, isDurable: start == nil,
      configuration: configuration, queue: queue, logger: client.logger)
    route.set(consumer, at: index)
    return consumer
  }
}
