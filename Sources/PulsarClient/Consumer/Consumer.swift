import NIOCore

/// Receives the messages of a subscription, from all partitions of a topic; made by
/// ``PulsarClient/consumer(topic:subscription:configuration:)``.
public final class Consumer: Sendable {
  /// The topic, in full.
  public let topic: String
  /// The subscription's name.
  public let subscription: String
  private let client: PulsarClient
  private let id: UInt64
  let queue: MessageQueue
  let partitions: [PartitionConsumer]

  init(
    client: PulsarClient, topic: String, subscription: String, queue: MessageQueue, partitions: [PartitionConsumer]
  ) {
    self.client = client
    self.topic = topic
    self.subscription = subscription
    self.queue = queue
    self.partitions = partitions
    id = client.makeID()
    client.onClose(id) { [weak self] in await self?.close() }
  }

  /// How many partitions it consumes; 1 for a topic without.
  public var partitionCount: Int { partitions.count }

  /// Entries that could not be used, and were acknowledged with the reason: damaged, or compressed in a way not known.
  public var corruptEntries: Int {
    get async throws {
      var count = 0
      for partition in partitions { count += try await partition.eventLoop.submit { partition.corruptEntries }.get() }
      return count
    }
  }

  /// Whether the topic is terminated, and everything on it was delivered.
  public var hasReachedEnd: Bool {
    get async throws {
      for partition in partitions
      where try await !partition.eventLoop.submit({ partition.hasReachedEnd }).get() {
        return false
      }
      return true
    }
  }

  /// The next message; waits for one.
  ///
  /// - Throws: ``PulsarClientError`` when the consumer is closed or refused, `CancellationError`.
  public func receive() async throws -> ReceivedMessage {
    guard let message = try await queue.next(timeout: nil, on: partitions[0].eventLoop) else {
      throw PulsarClientError.closed
    }
    return message
  }

  /// The next message, or `nil` if none came in time.
  public func receive(timeout: TimeAmount) async throws -> ReceivedMessage? {
    try await queue.next(timeout: timeout, on: partitions[0].eventLoop)
  }

  /// The messages that are there, at least one; waits for the first.
  ///
  /// - Parameters:
  ///   - count: messages at most, 1 or more.
  ///   - timeout: how long to wait for the first; `nil` waits for ever.
  /// - Returns: the messages; none if none came in time.
  public func receive(atMost count: Int, timeout: TimeAmount? = nil) async throws -> [ReceivedMessage] {
    let available = queue.takeAvailable(atMost: count)
    if !available.isEmpty { return available }
    guard let first = try await queue.next(timeout: timeout, on: partitions[0].eventLoop) else { return [] }
    return [first] + queue.takeAvailable(atMost: count - 1)
  }

  /// All messages, until the consumer is closed.
  public var messages: Messages { Messages(consumer: self) }

  /// The messages of a consumer, as they come.
  public struct Messages: AsyncSequence, Sendable {
    let consumer: Consumer

    /// Receives them.
    public struct AsyncIterator: AsyncIteratorProtocol {
      let consumer: Consumer

      /// The next message; `nil` when the consumer is closed.
      public mutating func next() async throws -> ReceivedMessage? {
        do {
          return try await consumer.receive()
        } catch PulsarClientError.closed {
          return nil
        }
      }
    }

    /// An iterator; several share the messages.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(consumer: consumer) }
  }

  // MARK: - Acknowledging

  /// The message is done: it is not delivered again. The broker hears of it within the group time.
  public func acknowledge(_ message: ReceivedMessage) { acknowledge(message.id) }

  /// The message is done: it is not delivered again. The broker hears of it within the group time.
  public func acknowledge(_ id: MessageID) { partition(of: id)?.submit(.acknowledge(id)) }

  /// The message and all before it on its partition are done. Not for shared subscriptions.
  public func acknowledgeCumulative(_ message: ReceivedMessage) { acknowledgeCumulative(message.id) }

  /// The message and all before it on its partition are done. Not for shared subscriptions.
  public func acknowledgeCumulative(_ id: MessageID) { partition(of: id)?.submit(.acknowledgeCumulative(id)) }

  /// The message could not be handled: it is to be delivered again, after the configured delay. In exclusive and
  /// failover subscriptions all that is not acknowledged comes again with it.
  public func negativeAcknowledge(_ message: ReceivedMessage) { negativeAcknowledge(message.id) }

  /// The message could not be handled: it is to be delivered again, after the configured delay.
  public func negativeAcknowledge(_ id: MessageID) { partition(of: id)?.submit(.negativeAcknowledge(id)) }

  /// Tells the broker now what was acknowledged so far.
  public func flushAcknowledgements() async throws {
    for partition in partitions {
      try await partition.eventLoop.submit {
        partition.drainInbox()
        partition.sendAcknowledgements()
      }.get()
    }
  }

  // MARK: - Moving

  /// Moves the subscription: the next message is the one with this id, or the first behind it.
  ///
  /// - Parameter id: a message, `.earliest` or `.latest`; on a partitioned topic a message moves its partition only.
  public func seek(to id: MessageID) async throws {
    let moved = id == .earliest || id.ledgerID == .max ? partitions : [partition(of: id)].compactMap { $0 }
    try await seek(moved, .message(id))
  }

  /// Moves the subscription to the first message published at this time or later, in milliseconds since 1970.
  public func seek(toPublishTimeMs time: Int64) async throws {
    try await seek(partitions, .publishTime(time))
  }

  private func seek(_ partitions: [PartitionConsumer], _ place: SeekPlace) async throws {
    for partition in partitions {
      try await client.retrying("the seek on \(partition.topic)", on: partition.eventLoop) { _ in
        partition.seek(place)
      }
    }
  }

  /// The last message of each partition; entry -1 if nothing is there.
  public func lastMessageIDs() async throws -> [MessageID] {
    var ids: [MessageID] = []
    for partition in partitions {
      ids.append(
        try await client.retrying("the last message of \(partition.topic)", on: partition.eventLoop) { _ in
          partition.lastMessageID()
        }.last)
    }
    return ids
  }

  // MARK: - Ending

  /// Deletes the subscription with what it has not acknowledged, and closes the consumer.
  public func unsubscribe() async throws {
    for partition in partitions {
      try await client.retrying("to unsubscribe from \(partition.topic)", on: partition.eventLoop) { _ in
        partition.unsubscribe()
      }
    }
    await close()
  }

  /// Sends the last acknowledgements and closes it; waiting receivers fail with ``PulsarClientError/closed``.
  public func close() async {
    client.forget(id)
    queue.fail(.closed)
    for partition in partitions { try? await partition.eventLoop.flatSubmit { partition.close() }.get() }
  }

  private func partition(of id: MessageID) -> PartitionConsumer? {
    let index = max(0, Int(id.partition))
    return index < partitions.count ? partitions[index] : nil
  }
}

extension PulsarClient {
  /// Opens a consumer of a subscription, which the broker creates if it does not exist.
  ///
  /// - Parameters:
  ///   - topic: `persistent://tenant/namespace/topic`, `tenant/namespace/topic`, or a name in `public/default`.
  ///   - subscription: the subscription's name.
  ///   - configuration: type, first position and the rest.
  /// - Throws: ``PulsarClientError`` if the broker refuses it, or cannot be reached in `operationTimeout`.
  public func consumer(
    topic: String, subscription: String, configuration: ConsumerConfiguration = ConsumerConfiguration()
  ) async throws -> Consumer {
    guard !subscription.isEmpty else {
      throw PulsarClientError.invalidConfiguration("a subscription needs a name")
    }
    return try await openConsumer(topic: topic, subscription: subscription, start: nil, configuration: configuration)
  }

  func openConsumer(
    topic: String, subscription: String, start: StartPoint?, configuration: ConsumerConfiguration
  ) async throws -> Consumer {
    let topic = Self.fullName(topic)
    let count = try await partitions(of: topic)
    let route = PermitRoute()
    let queue = MessageQueue(partitions: max(1, count), capacity: configuration.receiverQueueSize) { index, permits in
      route.grant(index, permits)
    }
    let partitions = (0..<max(1, count)).map { index in
      PartitionConsumer(
        client: self, topic: count == 0 ? topic : "\(topic)-partition-\(index)", index: index,
        partition: count == 0 ? -1 : Int32(index), subscription: subscription, start: start, isDurable: start == nil,
        configuration: configuration, queue: queue, logger: logger)
    }
    route.set(partitions)
    do {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for partition in partitions { group.addTask { try await partition.open() } }
        try await group.waitForAll()
      }
    } catch {
      for partition in partitions { try? await partition.eventLoop.flatSubmit { partition.close() }.get() }
      throw error
    }
    return Consumer(client: self, topic: topic, subscription: subscription, queue: queue, partitions: partitions)
  }
}
