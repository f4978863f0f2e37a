import DequeModule
import NIOCore

/// The entries of one producer that wait for their receipt, in the order in which they are sent.
///
/// Receipts come in order. One that is older than the first entry belongs to a resend and is ignored; one that is newer
/// means that a receipt was lost, and everything has to be sent again.
struct PendingSends<Payload> {
  struct Entry {
    var firstSequence: UInt64
    var lastSequence: UInt64
    var messages: Int
    var bytes: Int
    var enqueuedAt: NIODeadline
    var payload: Payload
  }

  enum Receipt {
    case completed(Entry)
    case stale
    case outOfOrder
  }

  private(set) var entries: Deque<Entry> = []
  private(set) var messages = 0
  private(set) var bytes = 0

  var isEmpty: Bool { entries.isEmpty }
  var oldest: NIODeadline? { entries.first?.enqueuedAt }

  mutating func append(_ entry: Entry) {
    entries.append(entry)
    messages += entry.messages
    bytes += entry.bytes
  }

  mutating func receipt(sequence: UInt64) -> Receipt {
    guard let first = entries.first, sequence >= first.firstSequence else { return .stale }
    guard sequence <= first.lastSequence else { return .outOfOrder }
    entries.removeFirst()
    messages -= first.messages
    bytes -= first.bytes
    return .completed(first)
  }

  /// Takes out the entries that `condition` holds for, in order.
  mutating func remove(where condition: (Entry) -> Bool) -> [Entry] {
    let removed = entries.filter(condition)
    guard !removed.isEmpty else { return [] }
    entries.removeAll(where: condition)
    for entry in removed {
      messages -= entry.messages
      bytes -= entry.bytes
    }
    return Array(removed)
  }

  mutating func removeAll() -> Deque<Entry> {
    defer {
      entries.removeAll()
      messages = 0
      bytes = 0
    }
    return entries
  }
}
