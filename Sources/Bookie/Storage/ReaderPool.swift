import BookieWire

/// The threads that read from disk. Fencing and recovery reads have one of their own and never wait behind ordinary ones.
final class ReaderPool: Sendable {
  private struct Task {
    var request: BookieRequest
    var target: any ReplyTarget
  }

  private let ordinary = Mailbox<Task>()
  private let urgent = Mailbox<Task>()
  private let limit: Int
  private let threads: [WorkerThread]

  init(storage: BookieStorage) {
    limit = storage.configuration.maximumPendingReads
    let queues = [urgent] + Array(repeating: ordinary, count: max(1, storage.configuration.readThreads))
    threads = queues.map { queue in
      WorkerThread(name: "bookie-read") { [weak storage] in
        while let tasks = queue.take(limit: 1) {
          for task in tasks {
            guard let response = storage?.answer(task.request, mayBlock: true) else { continue }
            task.target.deliver([.responses([response])])
          }
        }
      }
    }
  }

  var queueLength: Int { ordinary.count + urgent.count }

  /// Queues a read; false if too many wait.
  func submit(_ request: BookieRequest, _ target: any ReplyTarget, isUrgent: Bool) -> Bool {
    let queue = isUrgent ? urgent : ordinary
    guard queue.count < limit else { return false }
    return queue.push(Task(request: request, target: target))
  }

  /// Answers what is queued and ends the threads. Blocks.
  func close() {
    ordinary.close()
    urgent.close()
    threads.forEach { $0.join() }
  }
}
