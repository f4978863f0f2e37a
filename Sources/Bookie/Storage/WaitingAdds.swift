import DequeModule
import NIOCore

/// Adds that found the write cache, or their journal's queue, full: bounded in bytes and in time. Those of one journal never wait
/// for another one's room.
struct WaitingAdds {
  struct Item {
    var batch: AddBatch
    var target: any ReplyTarget
    var until: NIODeadline
  }

  private let limit: Int
  private let patience: TimeAmount
  /// Those of each journal.
  private var queues: [Deque<Item>]
  /// Whose turn it is.
  private var turn = 0
  private(set) var byteCount = 0

  /// - Parameters:
  ///   - journals: number of journals.
  ///   - limit: most bytes that wait.
  ///   - patience: how long each waits, at most.
  init(journals: Int = 1, limit: Int, patience: TimeAmount) {
    self.limit = limit
    self.patience = patience
    queues = Array(repeating: [], count: max(1, journals))
  }

  var isEmpty: Bool { queues.allSatisfy(\.isEmpty) }

  /// Whether nothing waits for this journal.
  func isEmpty(journal: Int) -> Bool { queues[journal].isEmpty }

  /// When the first one has waited too long.
  var nextExpiry: NIODeadline? { queues.compactMap(\.first?.until).min() }

  /// Lets a batch wait; false if there is no room for it.
  mutating func append(_ batch: AddBatch, _ target: any ReplyTarget, now: NIODeadline) -> Bool {
    guard byteCount + batch.byteCount <= limit else { return false }
    byteCount += batch.byteCount
    queues[batch.journal].append(Item(batch: batch, target: target, until: now + patience))
    return true
  }

  /// The first one of a journal that has room; the journals take turns.
  mutating func popFirst(where hasRoom: (_ journal: Int) -> Bool) -> Item? {
    for step in queues.indices {
      let journal = (turn + step) % queues.count
      guard !queues[journal].isEmpty, hasRoom(journal) else { continue }
      turn = (journal + 1) % queues.count
      return pop(journal)
    }
    return nil
  }

  /// One that has waited too long.
  mutating func popExpired(now: NIODeadline) -> Item? {
    queues.firstIndex { $0.first.map { $0.until <= now } ?? false }.flatMap { pop($0) }
  }

  private mutating func pop(_ journal: Int) -> Item? {
    guard let first = queues[journal].popFirst() else { return nil }
    byteCount -= first.batch.byteCount
    return first
  }
}
