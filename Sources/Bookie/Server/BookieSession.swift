import BookieWire
import NIOCore

/// Takes the requests of one connection apart: adds are gathered into a batch, reads go to the storage one by one.
struct BookieSession {
  private let storage: BookieStorage
  private var batch: AddBatch?

  init(storage: BookieStorage) {
    self.storage = storage
  }

  /// Takes a request. Returns what can be answered at once.
  /// - Parameter capacity: bytes that the batch of adds may grow to, as far as the caller knows.
  mutating func receive(_ request: BookieRequest, from target: any ReplyTarget, capacity: Int) -> BookieResponse? {
    switch request {
    case .add(let add):
      guard add.ledgerID >= 0, add.entryID >= 0, add.entry.count <= storage.configuration.maximumFrameSize else {
        return request.failure(.badRequest)
      }
      if batch == nil { batch = AddBatch(capacity: capacity, at: .now()) }
      batch?.append(add)
      return nil
    case .read, .batchRead:
      // Adds of this connection that came before must be seen by the read.
      _ = flush(to: target)
      storage.read(request, from: target)
      return nil
    case .auth(let message):
      return .auth(message.answer)
    }
  }

  /// Hands the batch over. False if it has to wait, and the connection should stop reading.
  mutating func flush(to target: any ReplyTarget) -> Bool {
    guard let ready = batch else { return true }
    batch = nil
    return storage.add(ready, from: target)
  }
}
