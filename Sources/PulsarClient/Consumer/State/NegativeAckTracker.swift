import DequeModule
import NIOCore

/// Messages that are to be delivered again after a while.
struct NegativeAckTracker {
  private let delay: TimeAmount
  private var waiting: Deque<(due: NIODeadline, entry: AckTracker.Entry)> = []
  private var known: Set<AckTracker.Entry> = []

  init(delay: TimeAmount) {
    self.delay = delay
  }

  /// When the next one is due.
  var nextDue: NIODeadline? { waiting.first?.due }

  mutating func add(_ entry: AckTracker.Entry, now: NIODeadline) {
    guard entry.entryID >= 0, known.insert(entry).inserted else { return }
    waiting.append((now + delay, entry))
  }

  /// Takes out those that are due.
  mutating func due(now: NIODeadline) -> [AckTracker.Entry] {
    var entries: [AckTracker.Entry] = []
    while let first = waiting.first, first.due <= now {
      waiting.removeFirst()
      known.remove(first.entry)
      entries.append(first.entry)
    }
    return entries
  }

  mutating func reset() {
    waiting.removeAll()
    known.removeAll()
  }
}
