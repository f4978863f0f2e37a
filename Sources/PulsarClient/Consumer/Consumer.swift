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
  private let source: PartitionConsumerSource
  private let list: PartitionList<PartitionConsumer>
  private let timerLoop: any EventLoop
  var partitions: [PartitionConsumer] { list.all }

  init(source: PartitionConsumerSource, first: PartitionConsumer, partitions: [PartitionConsumer]) {
    client = source.client
    topic = source.topic
    subscription = source.subscription
    queue = source.queue
    self.source = source
    list = PartitionList(partitions)
    timerLoop = first.eventLoop
    id = client.makeID()
    client.onClose(id) { [weak self] in await self?.close() }
    if first.partition >= 0, let interval = source.configuration.autoUpdatePartitionsInterval {
      list.keep(
        PartitionWatch(topic: topic, client: client, interval: interval) { [weak self] count in
          await self?.addPartitions(upTo: count) ?? false
        })
    }
  }

  /// Consumes partitions that were added, from their first message; those that cannot be had yet are tried again.
  ///
  /// - Returns: `false` when it is closed.
  private func addPartitions(upTo count: Int) async -> Bool {
    while partitionCount < count {
      let partition = source.addPartition(partitionCount, isLater: true)
      let isOpen: Bool
      do {
        try await partition.open()
        isOpen = true
      } catch {
        client.logger.debug("\(partition.topic), which was added, cannot be consumed yet: \(error)")
        isOpen = false
      }
      if isOpen, list.append([partition]) { continue }
      try? await partition.eventLoop.flatSubmit { partition.close() }.get()
      return !isOpen
    }
    return true
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
    guard let message = try await queue.next(timeout: nil, on: timerLoop) else {
      throw PulsarClientError.closed
    }
    return message
  }

  /// The next message, or `nil` if none came in time.
  public func receive(timeout: TimeAmount) async throws -> ReceivedMessage? {
    try await queue.next(timeout: timeout, on: timerLoop)
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
    guard let first = try await queue.next(timeout: timeout, on: timerLoop) else { return [] }
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

  /// The message is done; returns when the broker has confirmed that it knows. Does not wait for the group time.
  ///
  /// - Throws: ``PulsarClientError`` if the broker refuses, the consumer is closed, or no answer comes within the
  ///   client's `operationTimeout`; then the message may be delivered again.
  public func acknowledgeAndWait(_ message: ReceivedMessage) async throws { try await acknowledgeAndWait(message.id) }

  /// The message is done; returns when the broker has confirmed that it knows. Does not wait for the group time.
  public func acknowledgeAndWait(_ id: MessageID) async throws {
    try await knownPartition(of: id).confirmed { .acknowledge(id, $0) }
  }

  /// The message and all before it on its partition are done; returns when the broker has confirmed that it knows.
  public func acknowledgeCumulativeAndWait(_ message: ReceivedMessage) async throws {
    try await acknowledgeCumulativeAndWait(message.id)
  }

  /// The message and all before it on its partition are done; returns when the broker has confirmed that it knows.
  public func acknowledgeCumulativeAndWait(_ id: MessageID) async throws {
    try await knownPartition(of: id).confirmed { .acknowledgeCumulative(id, $0) }
  }

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
    for partition in list.close() { try? await partition.eventLoop.flatSubmit { partition.close() }.get() }
  }

  private func partition(of id: MessageID) -> PartitionConsumer? {
    let index = max(0, Int(id.partition))
    let partitions = self.partitions
    return index < partitions.count ? partitions[index] : nil
  }

  private func knownPartition(of id: MessageID) throws -> PartitionConsumer {
    guard let partition = partition(of: id) else {
      throw PulsarClientError.invalidConfiguration("\(topic) has no partition \(id.partition), which \(id) names")
    }
    return partition
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
    let source = PartitionConsumerSource(
      client: self, topic: topic, subscription: subscription, start: start, configuration: configuration)
    let first = source.addPartition(count == 0 ? nil : 0)
    let partitions = [first] + (1..<max(1, count)).map { source.addPartition($0) }
    do {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for partition in partitions { group.addTask { try await partition.open() } }
        try await group.waitForAll()
      }
    } catch {
      for partition in partitions { try? await partition.eventLoop.flatSubmit { partition.close() }.get() }
      throw error
    }
    return Consumer(source: source, first: first, partitions: partitions)
  }
}
