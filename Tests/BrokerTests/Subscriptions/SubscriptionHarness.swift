import Logging
import MetadataStore
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import Broker
@testable import TopicLog

/// A topic's log over ledgers in memory, and subscriptions on it.
final class SubscriptionHarness: Sendable {
  let loop: any EventLoop
  let log: TopicLog
  let ledgers: MemoryLedgers
  let clockMs = NIOLockedValueBox<Int64>(1_000_000)
  private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  private init(loop: any EventLoop, log: TopicLog, ledgers: MemoryLedgers) {
    self.loop = loop
    self.log = log
    self.ledgers = ledgers
  }

  static func with(
    entriesPerLedger: Int64 = 50_000, _ body: (SubscriptionHarness) async throws -> Void
  ) async throws {
    try await TemporaryDirectory.with { directory in
      let store = try await RocksDBStore.open(path: directory.file("metadata"))
      let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
      let ledgers = MemoryLedgers()
      var configuration = TopicLogConfiguration()
      configuration.maxEntriesPerLedger = entriesPerLedger
      configuration.minimumRolloverTime = .zero
      configuration.retentionTime = nil
      configuration.retentionSize = nil
      let log = try await TopicLog.open(
        name: "public/default/persistent/t", provider: ledgers, metadata: store, configuration: configuration,
        cache: EntryCacheBudget(limit: 64 * 1024 * 1024), on: group.next(), logger: logger)
      let harness = SubscriptionHarness(loop: group.next(), log: log, ledgers: ledgers)
      let result: Result<Void, any Error>
      do {
        try await body(harness)
        result = .success(())
      } catch {
        result = .failure(error)
      }
      try await log.close()
      try await store.close()
      try await group.shutdownGracefully()
      try result.get()
    }
  }

  func on<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
    try await loop.submit(body).get()
  }

  func open(
    _ name: String = "s", initial: InitialPosition = .earliest, properties: [String: String] = [:],
    isReplicated: Bool? = nil, configuration: SubscriptionConfiguration = SubscriptionConfiguration()
  ) async throws -> Subscription {
    let clock = clockMs
    return try await Subscription.open(
      topic: "persistent://public/default/t", name: name, log: log, initial: initial, configuration: configuration,
      properties: properties, isReplicated: isReplicated, wallClockMs: { clock.withLockedValue { $0 } },
      logger: Self.logger)
  }

  func reader(_ start: InitialPosition) async throws -> Subscription {
    let clock = clockMs
    return try await on { [log] in
      Subscription.makeNonDurable(
        topic: "persistent://public/default/t", name: "reader", log: log, start: start,
        wallClockMs: { clock.withLockedValue { $0 } }, logger: Self.logger)
    }
  }

  /// Adds a consumer that has given `permits`.
  func consumer(
    _ subscription: Subscription, _ name: String = "c", type: SubscriptionType = .exclusive, permits: Int = 1_000,
    sink: RecordingSink = RecordingSink(), priority: Int = 0
  ) async throws -> (SubscriptionConsumer, RecordingSink) {
    let consumer = try await on {
      let options = ConsumerOptions(consumerID: 1, name: name, priorityLevel: priority)
      let consumer = try subscription.addConsumer(options, type: type, sink: sink)
      consumer.flow(permits: permits)
      return consumer
    }
    return (consumer, sink)
  }

  @discardableResult
  func append(_ entries: [ByteBuffer]) async throws -> [Position] {
    let positions = NIOLockedValueBox<[Position]>([])
    let promise = loop.makePromise(of: Void.self)
    loop.execute { [log] in
      for entry in entries {
        log.append(ByteBuffer(), entry) { result in
          switch result {
          case .success(let position):
            let count = positions.withLockedValue { all in
              all.append(position)
              return all.count
            }
            if count == entries.count { promise.succeed() }
          case .failure(let error): promise.fail(error)
          }
        }
      }
    }
    if entries.isEmpty { promise.succeed() }
    try await promise.futureResult.get()
    return positions.withLockedValue { $0 }
  }

  /// Appends the texts `range`, published at 1,000 ms times their number.
  @discardableResult
  func append(_ range: Range<Int>, key: String? = nil) async throws -> [Position] {
    try await append(
      range.map { try StoredEntry.make("\($0)", key: key, publishTimeMs: Int64($0) * 1_000) })
  }

  func wait(_ sink: RecordingSink, count: Int) async {
    await eventually(on: loop) { sink.deliveries.count >= count }
  }

  func texts(_ sink: RecordingSink) async throws -> [String] { try await on { sink.texts } }
}
