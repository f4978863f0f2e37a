/// Counts what a consumer may still get: permits go to the broker when half of the queue has been taken.
///
/// Permits count messages. Each message that the broker sends costs one, also one that is dropped here; each that leaves
/// the queue gives one back.
struct PermitCounter: Equatable {
  /// Messages that fit the queue.
  let capacity: Int
  /// Which opening of the consumer the count belongs to; what was delivered before it counts no more.
  private(set) var epoch: UInt64 = 0
  private var freed = 0

  init(capacity: Int) {
    self.capacity = max(1, capacity)
  }

  /// The consumer was opened, and its queue is empty: everything is to be granted.
  mutating func opened() -> Int {
    epoch += 1
    freed = 0
    return capacity
  }

  /// Messages left the queue, or never entered it.
  ///
  /// - Returns: permits to grant now; `nil` if that can wait.
  mutating func free(_ count: Int, epoch: UInt64) -> Int? {
    guard epoch == self.epoch, count > 0 else { return nil }
    freed += count
    guard freed >= (capacity + 1) / 2 else { return nil }
    defer { freed = 0 }
    return freed
  }
}
