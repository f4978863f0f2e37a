import BookieWire
import DequeModule
import NIOCore

/// Hears how an add ended on one bookie.
protocol BookieAddReceiver: AnyObject {
  /// `code` is nil if the bookie did not answer: it is gone or was too slow.
  func addAnswered(_ entry: EntryID, slot: Int, generation: UInt32, _ code: BookieReturnCode?)
}

/// The requests of one connection that have no answer yet, found again by their ids, which rise by one.
struct BookieRequestTable {
  enum Waiter {
    case add(any BookieAddReceiver, EntryID, slot: Int, generation: UInt32, size: Int)
    case read((BookieReturnCode?, ByteBuffer?) -> Void)
    case batchRead((BookieReturnCode?, [ByteBuffer]) -> Void)
  }

  private struct Waiting {
    var waiter: Waiter
    var deadline: NIODeadline
  }

  private var waiting = Deque<Waiting?>()
  private var firstID: UInt64 = 1
  /// Bytes of adds without an answer.
  private(set) var addBytes = 0

  var isEmpty: Bool { waiting.isEmpty }

  /// Notes a request and returns its id.
  mutating func register(_ waiter: Waiter, deadline: NIODeadline) -> UInt64 {
    if case .add(_, _, _, _, let size) = waiter { addBytes += size }
    waiting.append(Waiting(waiter: waiter, deadline: deadline))
    return firstID + UInt64(waiting.count - 1)
  }

  /// Whoever waits for the answer with this id; only once.
  mutating func take(_ id: UInt64) -> Waiter? {
    guard id >= firstID, id - firstID < UInt64(waiting.count) else { return nil }
    let index = Int(id - firstID)
    guard let found = waiting[index]?.waiter else { return nil }
    waiting[index] = nil
    forget(found)
    dropAnswered()
    return found
  }

  /// Those whose deadline has passed.
  mutating func takeExpired(now: NIODeadline) -> [Waiter] {
    var expired: [Waiter] = []
    for index in waiting.indices {
      guard let candidate = waiting[index] else { continue }
      guard candidate.deadline <= now else { break }
      waiting[index] = nil
      forget(candidate.waiter)
      expired.append(candidate.waiter)
    }
    dropAnswered()
    return expired
  }

  /// All of them; their ids are not used again.
  mutating func takeAll() -> [Waiter] {
    let all = waiting.compactMap { $0?.waiter }
    firstID += UInt64(waiting.count)
    waiting.removeAll()
    addBytes = 0
    return all
  }

  private mutating func forget(_ waiter: Waiter) {
    if case .add(_, _, _, _, let size) = waiter { addBytes -= size }
  }

  private mutating func dropAnswered() {
    while let first = waiting.first, first == nil {
      waiting.removeFirst()
      firstID += 1
    }
  }
}

extension BookieRequestTable.Waiter {
  /// Ends the wait without an answer, or with a refusal.
  func fail(_ code: BookieReturnCode? = nil) {
    switch self {
    case .add(let receiver, let entry, let slot, let generation, _):
      receiver.addAnswered(entry, slot: slot, generation: generation, code)
    case .read(let completion): completion(code, nil)
    case .batchRead(let completion): completion(code, [])
    }
  }

  /// Ends the wait with an answer; one of another kind counts as none.
  func answer(_ response: BookieResponse) {
    switch (self, response) {
    case (.add(let receiver, let entry, let slot, let generation, _), .add(let add)):
      receiver.addAnswered(entry, slot: slot, generation: generation, add.code)
    case (.read(let completion), .read(let read)): completion(read.code, read.entry)
    case (.batchRead(let completion), .batchRead(let read)): completion(read.code, read.entries)
    default: fail()
    }
  }
}
