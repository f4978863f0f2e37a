import BookieWire
import NIOCore

/// Takes the requests of one connection apart: adds are gathered into a batch for each journal, recovery's apart from ordinary
/// ones; reads go to the storage one by one.
struct BookieSession {
  private let storage: BookieStorage
  /// Ordinary batches of each journal, then urgent ones.
  private var batches: [AddBatch?]
  private var isEmpty = true
  /// Ordinary batches that wait for room, in the write cache or in the journal's queue.
  private(set) var waiting = 0

  init(storage: BookieStorage) {
    self.storage = storage
    batches = Array(repeating: nil, count: 2 * storage.journals.count)
  }

  /// Takes a request. Returns what can be answered at once.
  /// - Parameter capacity: bytes that the batch of adds may grow to, as far as the caller knows.
  mutating func receive(_ request: BookieRequest, from target: any ReplyTarget, capacity: Int) -> BookieResponse? {
    switch request {
    case .add(let add):
      guard add.ledgerID >= 0, add.entryID >= 0, add.entry.count <= storage.configuration.maximumFrameSize else {
        return request.failure(.badRequest)
      }
      let journal = storage.journal(of: add.ledgerID)
      let isUrgent = !add.flags.isDisjoint(with: [.recoveryAdd, .highPriority])
      let index = isUrgent ? storage.journals.count + journal : journal
      if batches[index] == nil {
        batches[index] = AddBatch(
          capacity: capacity, journal: journal, isUrgent: isUrgent, at: storage.environment.now())
      }
      batches[index]?.append(add)
      isEmpty = false
      return nil
    case .read, .batchRead:
      // Adds of this connection that came before must be seen by the read.
      flush(to: target)
      storage.read(request, from: target)
      return nil
    case .auth(let message):
      return .auth(message.answer)
    }
  }

  /// Hands the batches over. While `waiting` is not 0 the connection should not be read.
  mutating func flush(to target: any ReplyTarget) {
    guard !isEmpty else { return }
    isEmpty = true
    for index in batches.indices {
      guard let ready = batches[index] else { continue }
      batches[index] = nil
      if !storage.add(ready, from: target) { waiting += 1 }
    }
  }

  /// A batch that waited was let in, or refused.
  mutating func resume() {
    waiting = max(0, waiting - 1)
  }
}
