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
    case batchRead(BatchRead)
  }

  /// A batch read, as it was asked for: it may have to be asked for in another way.
  struct BatchRead {
    var ledgerID: LedgerID
    var from: EntryID
    var count: Int
    var maxBytes: Int
    var completion: (BookieReturnCode?, [ByteBuffer]) -> Void
  }

  private struct Waiting {
    var waiter: Waiter
    var since: NIODeadline
    var deadline: NIODeadline
  }

  /// What an add costs in memory besides its entry, about: its place here, in the outbox and in the channel's queue.
  private static let costOfAdd = 128

  private var waiting = Deque<Waiting?>()
  private var firstID: UInt64 = 1
  /// Bytes of memory that adds without an answer take.
  private(set) var addBytes = 0

  var isEmpty: Bool { waiting.isEmpty }

  /// Notes a request and returns its id.
  mutating func register(_ waiter: Waiter, now: NIODeadline, timeout: TimeAmount) -> UInt64 {
    addBytes += Self.cost(of: waiter)
    waiting.append(Waiting(waiter: waiter, since: now, deadline: now + timeout))
    return firstID + UInt64(waiting.count - 1)
  }

  /// Whether an add of an entry of `size` bytes keeps to the budget. A single one always does.
  func hasRoom(forAdd size: Int, budget: Int) -> Bool {
    addBytes == 0 || addBytes + size + Self.costOfAdd <= budget
  }

  /// Since when the oldest add has been without an answer.
  var oldestAdd: NIODeadline? {
    waiting.lazy.compactMap { $0 }.first { if case .add = $0.waiter { true } else { false } }?.since
  }

  /// Whether a batch read has no answer.
  var hasBatchReads: Bool {
    waiting.contains { if case .batchRead? = $0?.waiter { true } else { false } }
  }

  /// The batch reads without an answer.
  mutating func takeBatchReads() -> [BatchRead] {
    var reads: [BatchRead] = []
    for index in waiting.indices {
      guard case .batchRead(let read)? = waiting[index]?.waiter else { continue }
      waiting[index] = nil
      reads.append(read)
    }
    dropAnswered()
    return reads
  }

  /// Whoever waits for the answer with this id, and since when; only once.
  mutating func take(_ id: UInt64) -> (waiter: Waiter, since: NIODeadline)? {
    guard id >= firstID, id - firstID < UInt64(waiting.count) else { return nil }
    let index = Int(id - firstID)
    guard let found = waiting[index] else { return nil }
    waiting[index] = nil
    forget(found.waiter)
    dropAnswered()
    return (found.waiter, found.since)
  }

  /// Those whose deadline has passed; none of them is allowed less than `shortest`.
  mutating func takeExpired(now: NIODeadline, shortest: TimeAmount) -> [Waiter] {
    var expired: [Waiter] = []
    for index in waiting.indices {
      guard let candidate = waiting[index] else { continue }
      guard candidate.since + shortest <= now else { break }
      guard candidate.deadline <= now else { continue }
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
    addBytes -= Self.cost(of: waiter)
  }

  private static func cost(of waiter: Waiter) -> Int {
    if case .add(_, _, _, _, let size) = waiter { size + costOfAdd } else { 0 }
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
    case .batchRead(let read): read.completion(code, [])
    }
  }

  /// Ends the wait with an answer; one of another kind counts as none.
  func answer(_ response: BookieResponse) {
    switch (self, response) {
    case (.add(let receiver, let entry, let slot, let generation, _), .add(let add)):
      receiver.addAnswered(entry, slot: slot, generation: generation, add.code)
    case (.read(let completion), .read(let read)): completion(read.code, read.entry)
    case (.batchRead(let asked), .batchRead(let read)): asked.completion(read.code, read.entries)
    default: fail()
    }
  }
}
