import NIOConcurrencyHelpers
import NIOCore

/// Publishes to a topic, on all of its partitions; made by ``PulsarClient/producer(topic:configuration:)``.
///
/// Messages that one task sends one after the other are stored in that order (on each partition), over reconnects too.
/// Close it when done, or what waits in a batch may be lost.
public final class Producer: Sendable {
  /// The topic, in full.
  public let topic: String
  private let client: PulsarClient
  private let id: UInt64
  private let configuration: ProducerConfiguration
  private let first: PartitionProducer
  private let isPartitioned: Bool
  private let list: PartitionList<PartitionProducer>
  private let router: NIOLockedValueBox<PartitionRouter>
  var partitions: [PartitionProducer] { list.all }

  init(
    client: PulsarClient, topic: String, first: PartitionProducer, partitions: [PartitionProducer],
    configuration: ProducerConfiguration
  ) {
    self.client = client
    self.topic = topic
    self.configuration = configuration
    self.first = first
    isPartitioned = first.partition >= 0
    list = PartitionList(partitions)
    id = client.makeID()
    router = NIOLockedValueBox(
      PartitionRouter(
        partitions: partitions.count, configuration: configuration, start: Int.random(in: 0..<max(1, partitions.count)))
    )
    client.onClose(id) { [weak self] in await self?.close() }
    if isPartitioned, let interval = configuration.autoUpdatePartitionsInterval {
      list.keep(
        PartitionWatch(topic: topic, client: client, interval: interval) { [weak self] count in
          await self?.addPartitions(upTo: count) ?? false
        })
    }
  }

  /// Opens producers for partitions that were added; if one cannot be opened, all are tried again the next time.
  ///
  /// - Returns: `false` when it is closed.
  private func addPartitions(upTo count: Int) async -> Bool {
    let known = partitionCount
    guard count > known else { return true }
    let added = (known..<count).map { client.makeProducer(topic, partition: $0, configuration) }
    do {
      for partition in added { try await partition.open() }
    } catch {
      client.logger.debug("the partitions that \(topic) got cannot be published to yet: \(error)")
      for partition in added { try? await partition.eventLoop.flatSubmit { partition.close() }.get() }
      return true
    }
    guard list.append(added) else {
      for partition in added { try? await partition.eventLoop.flatSubmit { partition.close() }.get() }
      return false
    }
    router.withLockedValue { $0.partitions = count }
    return true
  }

  /// How many partitions it publishes to; 1 for a topic without.
  public var partitionCount: Int { partitions.count }

  /// The name that the broker knows it by.
  public var name: String {
    get async throws { try await first.eventLoop.submit { self.first.name }.get() }
  }

  /// The highest sequence number that was given to a message, on any partition; -1 before the first.
  public var lastSequenceID: Int64 {
    get async throws {
      var last: Int64 = -1
      for partition in partitions {
        last = max(last, try await partition.eventLoop.submit { partition.lastSequencePushed }.get())
      }
      return last
    }
  }

  /// Publishes a message; returns when it is stored. Waits while too many messages wait for their receipts.
  ///
  /// - Returns: where it is stored; ledger and entry are -1 if the broker recognised it as a duplicate.
  /// - Throws: ``PulsarClientError``; after `timeout` the message may be stored all the same.
  @discardableResult
  public func send(_ message: Message) async throws -> MessageID {
    let partition = route(message)
    while true {
      try Task.checkCancellation()
      let id: MessageID? = try await withCheckedThrowingContinuation { continuation in
        let isTaken = partition.submit(message) { result in
          switch result {
          case .success(let id): continuation.resume(returning: id)
          case .failure(let error): continuation.resume(throwing: error)
          }
        }
        if !isTaken { continuation.resume(returning: nil) }
      }
      if let id { return id }
      await partition.waitForRoom(message.payload.readableBytes)
    }
  }

  /// Hands a message over without waiting, for generators of load: many are passed on in one step.
  ///
  /// - Parameters:
  ///   - message: what to publish.
  ///   - completion: called once on an event loop when it is stored or has failed; it must not block. Not called if the
  ///     message is not taken.
  /// - Returns: whether it was taken; if not, too many wait for their receipt: see ``waitForRoom(for:)``.
  public func enqueue(
    _ message: Message, completion: @escaping @Sendable (Result<MessageID, PulsarClientError>) -> Void
  ) -> Bool {
    route(message).submit(message, completion: completion)
  }

  /// Returns when ``enqueue(_:completion:)`` of the message is worth another try.
  public func waitForRoom(for message: Message) async {
    let partitions = self.partitions
    if partitions.count == 1 || message.key != nil {
      await route(message).waitForRoom(message.payload.readableBytes)
      return
    }
    // Without a key the next partition will do as well as the one that is full.
    await withTaskGroup(of: Void.self) { group in
      let bytes = message.payload.readableBytes
      for partition in partitions { group.addTask { await partition.waitForRoom(bytes) } }
      await group.waitForAll()
    }
  }

  /// Sends what waits in batches, and returns when everything handed over before is stored or has failed.
  public func flush() async throws {
    let flushes = partitions.map { partition in partition.eventLoop.flatSubmit { partition.flush() } }
    for flush in flushes { try await flush.get() }
  }

  /// Flushes and closes it; later messages fail.
  public func close() async {
    client.forget(id)
    for partition in list.close() { try? await partition.eventLoop.flatSubmit { partition.close() }.get() }
  }

  private func route(_ message: Message) -> PartitionProducer {
    guard isPartitioned else { return first }
    let index = router.withLockedValue { router in
      router.route(key: message.key, bytes: message.payload.readableBytes, now: .now())
    }
    return partitions[index]
  }
}

extension PulsarClient {
  /// Opens a producer on a topic, which the broker creates if it may.
  ///
  /// - Parameters:
  ///   - topic: `persistent://tenant/namespace/topic`, `tenant/namespace/topic`, or a name in `public/default`.
  ///   - configuration: batching, compression and the rest.
  /// - Throws: ``PulsarClientError`` if the broker refuses it, or cannot be reached in `operationTimeout`.
  public func producer(
    topic: String, configuration: ProducerConfiguration = ProducerConfiguration()
  ) async throws -> Producer {
    let topic = Self.fullName(topic)
    let count = try await partitions(of: topic)
    let first = makeProducer(topic, partition: count == 0 ? nil : 0, configuration)
    let partitions =
      [first] + (1..<max(1, count)).map { makeProducer(topic, partition: $0, configuration) }
    do {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for partition in partitions { group.addTask { try await partition.open() } }
        try await group.waitForAll()
      }
    } catch {
      for partition in partitions { try? await partition.eventLoop.flatSubmit { partition.close() }.get() }
      throw error
    }
    return Producer(client: self, topic: topic, first: first, partitions: partitions, configuration: configuration)
  }

  fileprivate func makeProducer(
    _ topic: String, partition: Int?, _ configuration: ProducerConfiguration
  ) -> PartitionProducer {
    PartitionProducer(
      client: self, topic: partition.map { "\(topic)-partition-\($0)" } ?? topic, partition: Int32(partition ?? -1),
      configuration: configuration, logger: logger)
  }
}
