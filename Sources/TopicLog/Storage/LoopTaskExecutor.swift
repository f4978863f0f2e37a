import NIOCore

/// Runs tasks on an event loop, so that `async` code can touch what is confined to it without hopping.
final class LoopTaskExecutor: TaskExecutor {
  let eventLoop: any EventLoop

  init(_ eventLoop: any EventLoop) {
    self.eventLoop = eventLoop
  }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    eventLoop.execute { [self] in job.runSynchronously(on: asUnownedTaskExecutor()) }
  }

  /// Runs `body` on the loop.
  func run<T>(_ body: () async throws -> T) async throws -> T {
    try await withTaskExecutorPreference(self) {
      try await body()
    }
  }

  /// Starts a task on the loop.
  @discardableResult
  func start<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) -> Task<T, any Error> {
    Task(executorPreference: self) { try await body() }
  }
}
