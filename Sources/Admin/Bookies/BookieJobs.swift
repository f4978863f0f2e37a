import Bookie
import Logging
import NIOConcurrencyHelpers

/// The long work that operators have bookies do: what of it runs now.
final class BookieJobs: Sendable {
  enum Job: Hashable, Sendable {
    case collection
    case compaction(CompactionKind)
    case verification
  }

  private struct Key: Hashable {
    var bookie: String
    var job: Job
  }

  private let running = NIOLockedValueBox<[Key: Int]>([:])

  /// Whether work that was asked for through here is not done yet.
  func isRunning(_ job: Job, of bookie: Bookie) -> Bool {
    running.withLockedValue { $0[Key(bookie: bookie.bookieID, job: job)] != nil }
  }

  /// Whether anything that was asked for through here is not done yet, verification apart.
  func isCollecting(_ bookie: Bookie) -> Bool {
    running.withLockedValue { running in
      running.keys.contains { $0.bookie == bookie.bookieID && $0.job != .verification }
    }
  }

  /// Does the work and waits for it.
  func run<Result>(_ job: Job, of bookie: Bookie, _ body: () async throws -> Result) async throws -> Result {
    let key = Key(bookie: bookie.bookieID, job: job)
    begin(key)
    defer { end(key) }
    return try await body()
  }

  /// Has the work done, without waiting; `isRunning` is true when this returns.
  func start(
    _ job: Job, of bookie: Bookie, logger: Logger, _ body: @escaping @Sendable () async throws -> Void
  ) {
    let key = Key(bookie: bookie.bookieID, job: job)
    begin(key)
    Task {
      do {
        try await body()
      } catch {
        logger.warning(
          "Work that an operator asked for failed.",
          metadata: ["bookie": "\(key.bookie)", "work": "\(key.job)", "error": "\(error)"])
      }
      end(key)
    }
  }

  private func begin(_ key: Key) {
    running.withLockedValue { $0[key, default: 0] += 1 }
  }

  private func end(_ key: Key) {
    running.withLockedValue { running in
      let left = (running[key] ?? 1) - 1
      running[key] = left > 0 ? left : nil
    }
  }
}
