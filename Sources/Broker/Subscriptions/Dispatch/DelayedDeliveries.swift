import HeapModule
import TopicLog

/// Positions of entries whose delivery time has not come, by that time.
struct DelayedDeliveries: Sendable {
  private struct Item: Comparable, Sendable {
    var deliverAtMs: Int64
    var position: Position
    var keyHash: UInt16

    static func < (a: Item, b: Item) -> Bool {
      a.deliverAtMs != b.deliverAtMs ? a.deliverAtMs < b.deliverAtMs : a.position < b.position
    }
  }

  private var heap = Heap<Item>()

  var count: Int { heap.count }

  /// When the next one is due, in milliseconds since 1970.
  var nextDueMs: Int64? { heap.min?.deliverAtMs }

  mutating func insert(_ position: Position, keyHash: UInt16, deliverAtMs: Int64) {
    heap.insert(Item(deliverAtMs: deliverAtMs, position: position, keyHash: keyHash))
  }

  /// Takes out the next entry that is due at `nowMs`.
  mutating func popDue(_ nowMs: Int64) -> (position: Position, keyHash: UInt16)? {
    guard let first = heap.min, first.deliverAtMs <= nowMs else { return nil }
    heap.removeMin()
    return (first.position, first.keyHash)
  }

  mutating func removeAll() { heap = Heap() }
}
