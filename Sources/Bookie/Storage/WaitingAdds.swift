import DequeModule
import NIOCore

/// Adds that found the write cache, or their journal's queue, full: bounded in bytes and in time.
struct WaitingAdds {
  struct Item {
    var batch: AddBatch
    var target: any ReplyTarget
    var until: NIODeadline
  }

  private let limit: Int
  private let patience: TimeAmount
  private var items: Deque<Item> = []
  private(set) var byteCount = 0

  /// - Parameters:
  ///   - limit: most bytes that wait.
  ///   - patience: how long each waits, at most.
  init(limit: Int, patience: TimeAmount) {
    self.limit = limit
    self.patience = patience
  }

  var isEmpty: Bool { items.isEmpty }

  /// The batch that is next.
  var first: AddBatch? { items.first?.batch }

  /// When the first one has waited too long.
  var nextExpiry: NIODeadline? { items.first?.until }

  /// Lets a batch wait; false if there is no room for it.
  mutating func append(_ batch: AddBatch, _ target: any ReplyTarget, now: NIODeadline) -> Bool {
    guard byteCount + batch.byteCount <= limit else { return false }
    byteCount += batch.byteCount
    items.append(Item(batch: batch, target: target, until: now + patience))
    return true
  }

  /// The first one.
  mutating func popFirst() -> Item? {
    guard let first = items.popFirst() else { return nil }
    byteCount -= first.batch.byteCount
    return first
  }

  /// The first one if it has waited too long.
  mutating func popExpired(now: NIODeadline) -> Item? {
    guard let until = items.first?.until, until <= now else { return nil }
    return popFirst()
  }
}
