import NIOCore

/// Where a reader begins.
public enum ReaderStart: Sendable {
  /// With the oldest message that is there.
  case earliest
  /// With the next message that is published.
  case latest
  /// With this message, or the first behind it.
  case at(MessageID)
  /// With the first message behind this one.
  case after(MessageID)

  var point: StartPoint {
    switch self {
    case .earliest: StartPoint(.earliest, isInclusive: true)
    case .latest: StartPoint(.latest, isInclusive: false)
    case .at(let id): StartPoint(id, isInclusive: true)
    case .after(let id): StartPoint(id, isInclusive: false)
    }
  }
}

/// Reads a topic from a place of its own, without a subscription that stays; made by
/// ``PulsarClient/reader(topic:start:receiverQueueSize:)``.
public final class Reader: Sendable {
  /// The topic, in full.
  public var topic: String { consumer.topic }
  private let client: PulsarClient
  private let consumer: Consumer

  init(client: PulsarClient, consumer: Consumer) {
    self.client = client
    self.consumer = consumer
  }

  /// The next message; waits for one. It comes once, also over reconnects.
  public func next() async throws -> ReceivedMessage {
    let message = try await consumer.receive()
    consumer.acknowledgeCumulative(message.id)
    return message
  }

  /// The next message, or `nil` if none came in time.
  public func next(timeout: TimeAmount) async throws -> ReceivedMessage? {
    guard let message = try await consumer.receive(timeout: timeout) else { return nil }
    consumer.acknowledgeCumulative(message.id)
    return message
  }

  /// Whether ``next()`` would return without waiting for a message that is yet to be published.
  public func hasMessageAvailable() async throws -> Bool {
    guard consumer.queue.isEmpty else { return true }
    for partition in consumer.partitions {
      let taken = consumer.queue.lastTaken(partition.index)
      let isBehind = try await client.retrying("the last message of \(partition.topic)", on: partition.eventLoop) { _ in
        partition.lastMessageID().map { last, markDelete in
          guard last.entryID >= 0 else { return false }
          if let taken { return StartPoint(taken, isInclusive: false).isReached(by: last) }
          guard let start = partition.start else { return true }
          if start.publishTimeMs == nil, start.id == .earliest || start.id.ledgerID != .max {
            return start.isReached(by: last)
          }
          guard let markDelete else { return start.isReached(by: last) }
          return (markDelete.ledgerID, markDelete.entryID) < (last.ledgerID, last.entryID)
        }
      }
      if isBehind { return true }
    }
    return false
  }

  /// Moves the reader: the next message is the one with this id, or the first behind it.
  public func seek(to id: MessageID) async throws { try await consumer.seek(to: id) }

  /// Moves the reader to the first message published at this time or later, in milliseconds since 1970.
  public func seek(toPublishTimeMs time: Int64) async throws { try await consumer.seek(toPublishTimeMs: time) }

  /// Closes it; waiting calls fail with ``PulsarClientError/closed``.
  public func close() async { await consumer.close() }
}

extension PulsarClient {
  /// Opens a reader.
  ///
  /// - Parameters:
  ///   - topic: `persistent://tenant/namespace/topic`, `tenant/namespace/topic`, or a name in `public/default`.
  ///   - start: where it begins; a message on a partitioned topic must be of the partition that `topic` names.
  ///   - receiverQueueSize: messages that wait here, for each partition.
  public func reader(topic: String, start: ReaderStart, receiverQueueSize: Int = 1000) async throws -> Reader {
    var configuration = ConsumerConfiguration()
    configuration.receiverQueueSize = receiverQueueSize
    configuration.acknowledgesBatchIndexes = false
    let name = "reader-" + String(UInt64.random(in: 0 ... .max), radix: 16)
    return Reader(
      client: self,
      consumer: try await openConsumer(
        topic: topic, subscription: name, start: start.point, configuration: configuration))
  }
}
