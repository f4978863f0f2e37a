import Logging
import NIOConcurrencyHelpers

/// Follows changes, each watch on a stream of its own, which is opened again when it breaks.
final class EtcdWatches: Sendable {
  private typealias Continuation = AsyncStream<MetadataEvent>.Continuation

  private struct State {
    var tasks: [Int: Task<Void, Never>] = [:]
    var nextID = 0
    var isClosed = false
  }

  private let client: EtcdClient
  private let keys: EtcdKeys
  private let logger: Logger
  private let state = NIOLockedValueBox(State())

  init(client: EtcdClient, keys: EtcdKeys, logger: Logger) {
    self.client = client
    self.keys = keys
    self.logger = logger
  }

  /// Returns when the watch is in force.
  func watch(prefix: String) async throws -> AsyncStream<MetadataEvent> {
    let (stream, continuation) = AsyncStream.makeStream(of: MetadataEvent.self, bufferingPolicy: .unbounded)
    let (started, start) = AsyncThrowingStream.makeStream(of: Void.self)
    let id = state.withLockedValue { state -> Int? in
      guard !state.isClosed else { return nil }
      state.nextID += 1
      let id = state.nextID
      state.tasks[id] = Task {
        await self.follow(prefix, continuation, start)
        continuation.finish()
        _ = self.state.withLockedValue { $0.tasks.removeValue(forKey: id) }
      }
      return id
    }
    guard let id else { throw MetadataError.closed }
    continuation.onTermination = { [weak self] _ in
      let task = self?.state.withLockedValue { $0.tasks.removeValue(forKey: id) }
      task?.cancel()
    }
    for try await _ in started { return stream }
    try Task.checkCancellation()
    throw MetadataError.closed
  }

  /// Ends every watch.
  func close() async {
    let tasks = state.withLockedValue { state in
      state.isClosed = true
      return Array(state.tasks.values)
    }
    for task in tasks { task.cancel() }
    for task in tasks { await task.value }
  }

  private func follow(
    _ prefix: String, _ continuation: Continuation, _ start: AsyncThrowingStream<Void, any Error>.Continuation
  ) async {
    let position = NIOLockedValueBox(EtcdWatchPosition(root: keys.records))
    var patience = EtcdPatience(client.configuration.operationTimeout)
    var pause = Duration.milliseconds(20)
    var isStarted = false
    while !Task.isCancelled {
      let wasCreated = NIOLockedValueBox(false)
      let broken = NIOLockedValueBox<String?>(nil)
      do {
        let request = request(prefix, from: position.withLockedValue { $0.startRevision })
        try await withTimeLimit(wasCreated) {
          try await self.client.stream(.watch, request, timeout: nil) { response in
            switch position.withLockedValue({ $0.receive(response) }) {
            case .created:
              wasCreated.withLockedValue { $0 = true }
              start.yield()
            case .events(let events):
              for event in events { continuation.yield(event) }
            case .interrupted(let reason):
              throw EtcdFailure.lost(reason)
            case .broken(let reason):
              broken.withLockedValue { $0 = reason }
              return false
            }
            return true
          }
        }
      } catch EtcdFailure.refused(_, let reason) {
        broken.withLockedValue { $0 = reason }
      } catch EtcdFailure.closed {
        break
      } catch {
        if !isStarted, !wasCreated.withLockedValue({ $0 }), patience.pause() == nil {
          start.finish(throwing: EtcdFailure(error).metadataError)
          return
        }
      }
      if let reason = broken.withLockedValue({ $0 }) {
        logger.notice(
          "A watch of metadata ends, as it may have missed changes: \(reason).", metadata: ["keys": "\(prefix)"])
        start.finish(throwing: MetadataError.storage("etcd refuses to watch \(prefix): \(reason)."))
        return
      }
      if wasCreated.withLockedValue({ $0 }) {
        isStarted = true
        pause = .milliseconds(20)
      }
      try? await Task.sleep(for: pause)
      pause = min(pause * 2, .seconds(1))
    }
    start.finish()
  }

  /// A member that takes the request and says nothing must not be waited for.
  private func withTimeLimit(
    _ wasCreated: NIOLockedValueBox<Bool>, _ body: @escaping @Sendable () async throws -> Void
  ) async throws {
    try await withThrowingTaskGroup(of: Bool.self) { group in
      group.addTask {
        try await body()
        return true
      }
      let limit = client.configuration.attemptTimeout
      group.addTask {
        try await Task.sleep(for: limit)
        if !wasCreated.withLockedValue({ $0 }) { throw EtcdFailure.lost("no answer within \(limit)") }
        return false
      }
      defer { group.cancelAll() }
      while let isStream = try await group.next() {
        if isStream { return }
      }
    }
  }

  private func request(_ prefix: String, from revision: Int64) -> EtcdWatchRequest {
    var create = EtcdWatchCreateRequest()
    (create.key, create.rangeEnd) = keys.range(prefix: prefix, after: nil)
    create.startRevision = revision
    var request = EtcdWatchRequest()
    request.requestUnion = .createRequest(create)
    return request
  }
}
