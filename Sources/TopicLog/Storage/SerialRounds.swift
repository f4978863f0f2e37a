/// Runs one piece of work at a time, and answers every request by a run that began after it.
///
/// Requests that come while a run is under way share the next one. Confined to the executor's loop.
final class SerialRounds: @unchecked Sendable {
  private let executor: LoopTaskExecutor
  private let work: @Sendable () async throws -> Void
  private var waiters: [CheckedContinuation<Void, any Error>] = []
  private var isRunning = false

  init(executor: LoopTaskExecutor, work: @escaping @Sendable () async throws -> Void) {
    self.executor = executor
    self.work = work
  }

  /// Returns when a run that began after this call has succeeded; throws what it threw.
  func request() async throws {
    executor.eventLoop.preconditionInEventLoop()
    try await withCheckedThrowingContinuation { continuation in
      waiters.append(continuation)
      guard !isRunning else { return }
      isRunning = true
      executor.start { await self.run() }
    }
  }

  private func run() async {
    while !waiters.isEmpty {
      let round = waiters
      waiters = []
      do {
        try await work()
        for waiter in round { waiter.resume() }
      } catch {
        for waiter in round { waiter.resume(throwing: error) }
      }
    }
    isRunning = false
  }
}
