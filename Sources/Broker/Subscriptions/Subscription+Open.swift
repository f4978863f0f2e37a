import Logging
import NIOCore
import TopicLog

extension Subscription {
  /// Opens the durable subscription `name`, or creates it at `initial`.
  /// - Parameters:
  ///   - properties: kept with the subscription when it is created; one that exists keeps its own.
  ///   - isReplicated: whether its state is to be replicated; nil leaves it as it is (false for a new one).
  static func open(
    topic: String, name: String, log: TopicLog, initial: InitialPosition, partitionIndex: Int = -1,
    configuration: SubscriptionConfiguration = SubscriptionConfiguration(), properties: [String: String] = [:],
    isReplicated: Bool? = nil, wallClockMs: @escaping @Sendable () -> Int64, logger: Logger
  ) async throws -> Subscription {
    let cursor = try await openCursor(
      name, log: log, initial: initial, properties: properties, isReplicated: isReplicated)
    do {
      return try await log.eventLoop.submit {
        if let isReplicated { cursor.properties[replicatedProperty] = isReplicated ? 1 : nil }
        return Subscription(
          topic: topic, name: name, log: log, cursor: cursor, partitionIndex: partitionIndex,
          configuration: configuration,
          isReplicated: cursor.properties[replicatedProperty] == 1, wallClockMs: wallClockMs, logger: logger)
      }.get()
    } catch {
      throw translated(error)
    }
  }

  /// Opens the cursor of a durable subscription, or creates it with what is to be kept with it.
  static func openCursor(
    _ name: String, log: TopicLog, initial: InitialPosition, properties: [String: String] = [:],
    isReplicated: Bool? = nil
  ) async throws -> TopicCursor {
    do {
      let cursor = try await log.openCursor(
        name, initial: initial, properties: isReplicated == true ? [replicatedProperty: 1] : [:])
      guard !properties.isEmpty else { return cursor }
      let place = try await log.eventLoop.submit { (cursor.markDelete, cursor.attachment) }.get()
      // One that existed keeps the properties it was made with.
      if place.1 == nil {
        try await cursor.setMarkDelete(place.0, attachment: SubscriptionProperties.encode(properties))
      }
      return cursor
    } catch {
      throw translated(error)
    }
  }

  /// Makes a subscription that ends with its consumers: a reader. On the loop.
  static func makeNonDurable(
    topic: String, name: String, log: TopicLog, start: InitialPosition, startAckSet: [Int64]? = nil,
    partitionIndex: Int = -1, configuration: SubscriptionConfiguration = SubscriptionConfiguration(),
    properties: [String: String] = [:], wallClockMs: @escaping @Sendable () -> Int64, logger: Logger
  ) -> Subscription {
    let cursor = log.makeNonDurableCursor(name: name, start: start)
    if case .at(let position) = start, let startAckSet, !startAckSet.isEmpty {
      _ = cursor.acknowledge(position, batchAckSet: startAckSet, batchSize: nil)
    }
    return Subscription(
      topic: topic, name: name, log: log, cursor: cursor, partitionIndex: partitionIndex,
      configuration: configuration, properties: properties, wallClockMs: wallClockMs, logger: logger)
  }

  /// Replaces the subscription's properties; durable when it returns.
  func setProperties(_ properties: [String: String]) async throws {
    let place = try await eventLoop.submit { () -> Position in
      self.properties = properties
      return self.cursor.markDelete
    }.get()
    guard isDurable else { return }
    do {
      try await cursor.setMarkDelete(place, attachment: SubscriptionProperties.encode(properties))
    } catch {
      throw Self.translated(error)
    }
  }
}

/// Subscription properties in a cursor's attachment: `[version 1][count u32]`, then for each key and value
/// `[length u32][UTF-8]`.
enum SubscriptionProperties {
  private static let version: UInt8 = 1

  static func encode(_ properties: [String: String]) -> [UInt8] {
    var buffer = ByteBuffer()
    buffer.writeInteger(version)
    buffer.writeInteger(UInt32(properties.count))
    for (key, value) in properties.sorted(by: { $0.key < $1.key }) {
      for text in [key, value] {
        buffer.writeInteger(UInt32(text.utf8.count))
        buffer.writeString(text)
      }
    }
    return Array(buffer.readableBytesView)
  }

  /// Empty if the bytes are of another kind.
  static func decode(_ bytes: [UInt8]) -> [String: String] {
    var buffer = ByteBuffer(bytes: bytes)
    guard buffer.readInteger(as: UInt8.self) == version, let count = buffer.readInteger(as: UInt32.self) else {
      return [:]
    }
    var properties: [String: String] = [:]
    for _ in 0..<count {
      guard let keyLength = buffer.readInteger(as: UInt32.self), let key = buffer.readString(length: Int(keyLength)),
        let valueLength = buffer.readInteger(as: UInt32.self),
        let value = buffer.readString(length: Int(valueLength))
      else { return properties }
      properties[key] = value
    }
    return properties
  }
}
