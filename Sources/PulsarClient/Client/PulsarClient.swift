import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import PulsarWire
import Transport

/// A client of a Pulsar-compatible region: makes producers, consumers and readers, which share its connections.
///
/// ```swift
/// let client = try PulsarClient(serviceURL: "pulsar://localhost:6650")
/// let producer = try await client.producer(topic: "demo/orders/created")
/// try await producer.send(Message("hello"))
/// let consumer = try await client.consumer(topic: "demo/orders/created", subscription: "billing")
/// let message = try await consumer.receive()
/// consumer.acknowledge(message)
/// await client.close()
/// ```
public final class PulsarClient: Sendable {
  /// How it connects.
  public let configuration: ClientConfiguration
  let serviceAddress: ServiceAddress
  let group: any EventLoopGroup
  let logger: Logger
  private let pool: ConnectionPool
  private let ids = NIOLockedValueBox<UInt64>(0)
  private let closers = NIOLockedValueBox<[UInt64: @Sendable () async -> Void]>([:])

  /// A client for the region at `serviceURL`; nothing is connected yet.
  ///
  /// - Throws: ``PulsarClientError`` if the URL or the certificates cannot be used.
  public init(
    serviceURL: String, configuration: ClientConfiguration = ClientConfiguration(),
    group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
    logger: Logger = Logger(label: "pulsar-client", factory: { _ in SwiftLogNoOpLogHandler() })
  ) throws {
    self.configuration = configuration
    self.group = group
    self.logger = logger
    serviceAddress = try ServiceAddress(serviceURL)
    var options = ConnectionOptions()
    options.connectionTimeout = configuration.connectionTimeout
    options.keepAliveInterval = configuration.keepAliveInterval
    options.authentication = configuration.authentication
    if let tls = configuration.tls {
      do {
        options.tls = try TLSContext(tls, role: .client)
      } catch {
        throw PulsarClientError.invalidConfiguration("\(error)")
      }
    }
    pool = ConnectionPool(options: options, connectionsPerBroker: configuration.connectionsPerBroker, logger: logger)
  }

  /// How many partitions a topic has; 0 if it is not partitioned.
  public func partitions(of topic: String) async throws -> Int {
    let topic = Self.fullName(topic)
    return try await retrying("the partitions of \(topic)") { loop in
      self.pool.connection(to: self.serviceAddress, on: loop, slot: 0).flatMap { connection in
        var request = ProtoCommandPartitionedTopicMetadata()
        request.topic = topic
        request.requestID = connection.makeID()
        return connection.request(ProtoBaseCommand(request), id: request.requestID)
      }.flatMapThrowing { answer in
        let response = answer.partitionMetadataResponse
        guard response.response == .success else {
          throw PulsarClientError.broker(response.error, response.message)
        }
        return Int(response.partitions)
      }
    }
  }

  /// Closes every producer, consumer and reader, and the connections.
  public func close() async {
    let closers = self.closers.withLockedValue { closers in
      defer { closers.removeAll() }
      return Array(closers.values)
    }
    await withTaskGroup(of: Void.self) { group in
      for close in closers { group.addTask { await close() } }
    }
    await pool.close()
  }

  // MARK: - For producers and consumers

  func makeID() -> UInt64 {
    ids.withLockedValue { id in
      id += 1
      return id
    }
  }

  func onClose(_ id: UInt64, _ close: @escaping @Sendable () async -> Void) {
    closers.withLockedValue { $0[id] = close }
  }

  func forget(_ id: UInt64) {
    closers.withLockedValue { _ = $0.removeValue(forKey: id) }
  }

  /// A connection, on `loop`, to the broker that owns the topic.
  func connectionToOwner(of topic: String, on loop: any EventLoop, slot: Int) -> EventLoopFuture<PulsarConnection> {
    lookUp(topic, at: serviceAddress, authoritative: false, on: loop, redirects: 20).flatMap { owner in
      self.pool.connection(to: owner, on: loop, slot: slot)
    }
  }

  private func lookUp(
    _ topic: String, at address: ServiceAddress, authoritative: Bool, on loop: any EventLoop, redirects: Int
  ) -> EventLoopFuture<ServiceAddress> {
    pool.connection(to: address, on: loop, slot: 0).flatMap { connection in
      var request = ProtoCommandLookupTopic()
      request.topic = topic
      request.requestID = connection.makeID()
      request.authoritative = authoritative
      return connection.request(ProtoBaseCommand(request), id: request.requestID)
    }.flatMap { answer in
      let response = answer.lookupTopicResponse
      do {
        guard response.response != .failed else {
          throw PulsarClientError.broker(response.error, response.message)
        }
        if response.proxyThroughServiceURL { return loop.makeSucceededFuture(address) }
        let url = self.serviceAddress.isTLS ? response.brokerServiceURLTls : response.brokerServiceURL
        let owner = try ServiceAddress(url)
        guard response.response == .redirect else { return loop.makeSucceededFuture(owner) }
        guard redirects > 0 else {
          throw PulsarClientError.connection("the lookup of \(topic) is passed on without end")
        }
        return self.lookUp(
          topic, at: owner, authoritative: response.authoritative, on: loop, redirects: redirects - 1)
      } catch {
        return loop.makeFailedFuture(error)
      }
    }
  }

  /// Tries until it works, it cannot work, or the operation's time is over.
  func retrying<Value: Sendable>(
    _ what: String, on loop: (any EventLoop)? = nil,
    _ attempt: @escaping @Sendable (any EventLoop) -> EventLoopFuture<Value>
  ) async throws -> Value {
    let loop = loop ?? group.next()
    let deadline = NIODeadline.now() + configuration.operationTimeout
    var backoff = Backoff(configuration.backoff)
    var generator = SystemRandomNumberGenerator()
    while true {
      do {
        return try await loop.flatSubmit { attempt(loop) }.get()
      } catch let error as PulsarClientError where error.isRetryable {
        let pause = backoff.next(using: &generator)
        guard NIODeadline.now() + pause.timeAmount < deadline else {
          throw PulsarClientError.timeout("\(what): no success in time; last: \(error)")
        }
        try await Task.sleep(for: pause)
      }
    }
  }

  /// `persistent://tenant/namespace/topic` for every form that a topic may be written in.
  public static func fullName(_ topic: String) -> String {
    if topic.contains("://") { return topic }
    return topic.contains("/") ? "persistent://\(topic)" : "persistent://public/default/\(topic)"
  }
}

extension Duration {
  var timeAmount: TimeAmount {
    .nanoseconds(components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000)
  }
}
