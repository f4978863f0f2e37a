import NIOCore

/// Refuses adds that have waited too long. A worker of its own: what they wait for may be a disk that hangs, and with it every
/// other worker.
final class AddExpiry: StorageWorker {
  let mailbox = Mailbox<Void>()
  private let storage: BookieStorage

  init(storage: BookieStorage) { self.storage = storage }

  /// Something waits now, and nothing did before.
  func wake() { mailbox.push(()) }

  func turn() -> WorkerTurn {
    guard mailbox.take() != nil else { return .ended }
    return .wait(until: storage.expireWaiting())
  }
}
