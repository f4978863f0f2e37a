import BookieWire
import NIOCore

/// The threads that read from disk. Fencing and recovery reads have one of their own, and a limit of their own: they never
/// wait behind ordinary ones.
final class ReaderPool: Sendable {
  struct Task {
    var request: BookieRequest
    var target: any ReplyTarget
    var at: NIODeadline
  }

  /// Takes one read a turn; turns may overlap.
  private final class Reader: StorageWorker {
    let mailbox = Mailbox<Task>()
    private let storage: BookieStorage
    private let disk: BookieStorage.DiskUse

    init(_ storage: BookieStorage, _ disk: BookieStorage.DiskUse) {
      self.storage = storage
      self.disk = disk
    }

    func turn() -> WorkerTurn {
      guard let tasks = mailbox.take(limit: 1) else { return .ended }
      guard let task = tasks.first else { return .wait(until: nil) }
      let start = storage.environment.now()
      guard let response = storage.answer(task.request, disk) else { return .again }
      let end = storage.environment.now()
      storage.state.withLockedValue { state in
        state.statistics.readQueueLatency.record(nanoseconds: (start - task.at).nanoseconds)
        state.statistics.readLatency.record(nanoseconds: (end - task.at).nanoseconds)
      }
      task.target.deliver([.responses([response])])
      return .again
    }
  }

  private let ordinary: Reader
  private let urgent: Reader
  private let limit: Int
  private let threads: Int
  private let now: @Sendable () -> NIODeadline

  init(storage: BookieStorage) {
    ordinary = Reader(storage, .paced)
    urgent = Reader(storage, .urgent)
    limit = storage.configuration.maximumPendingReads
    threads = max(1, storage.configuration.readThreads)
    now = storage.environment.now
  }

  func start(_ workers: StorageWorkers) {
    workers.start("bookie-urgent", urgent)
    // Somebody who catches up must not take processors from those who publish.
    workers.start("bookie-read", ordinary, priority: .background, count: threads)
  }

  var queueLength: Int { ordinary.mailbox.count + urgent.mailbox.count }

  /// Queues a read; false if too many wait.
  func submit(_ request: BookieRequest, _ target: any ReplyTarget, isUrgent: Bool) -> Bool {
    let queue = isUrgent ? urgent.mailbox : ordinary.mailbox
    guard queue.count < limit else { return false }
    return queue.push(Task(request: request, target: target, at: now()))
  }

  /// Answers what is queued and ends the threads. Blocks.
  func close(_ workers: StorageWorkers) {
    ordinary.mailbox.close()
    urgent.mailbox.close()
    workers.join("bookie-urgent")
    workers.join("bookie-read")
  }
}
