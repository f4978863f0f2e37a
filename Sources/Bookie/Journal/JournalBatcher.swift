import NIOCore

/// Decides when the journal writes and syncs, and how much: group commit.
///
/// Idle and quiet: at once, so that a lone writer waits for one sync and nothing else. Everything that arrives during a sync
/// is in the next one. Busy (the last group was large): collect for a moment, so that many small requests share a sync.
struct JournalBatcher {
  /// The limits of a group.
  struct Limits {
    var maxWait: TimeAmount
    var maxBytes: Int
    var flushWhenIdle: Bool
    var busyEntries: Int
  }

  /// What the journal's thread does next.
  enum Action: Equatable {
    /// Nothing is queued.
    case wait
    /// Collect until then.
    case waitUntil(NIODeadline)
    /// Write and sync the first `count` queued appends.
    case write(count: Int)
  }

  private struct Queued {
    var bytes: Int
    var entries: Int
    var at: NIODeadline
  }

  private let limits: Limits
  private var queue: CircularBuffer<Queued> = []
  private var queuedBytes = 0
  private var lastStart: NIODeadline?
  private var lastEntries = 0

  init(_ limits: Limits) {
    self.limits = limits
  }

  /// Appends that are not written yet.
  var count: Int { queue.count }

  /// An append of `bytes` with `entries` entries joined the queue.
  mutating func enqueued(bytes: Int, entries: Int, now: NIODeadline) {
    queue.append(Queued(bytes: bytes, entries: entries, at: now))
    queuedBytes += bytes
  }

  /// What to do now, the thread being free.
  func next(now: NIODeadline) -> Action {
    guard let oldest = queue.first else { return .wait }
    if queuedBytes >= limits.maxBytes { return .write(count: groupSize()) }
    var due = oldest.at + limits.maxWait
    if limits.flushWhenIdle {
      guard lastEntries >= limits.busyEntries, let lastStart else { return .write(count: groupSize()) }
      due = min(due, lastStart + limits.maxWait)
    }
    return now >= due ? .write(count: groupSize()) : .waitUntil(due)
  }

  /// The first `count` appends are being written.
  mutating func began(count: Int, now: NIODeadline) {
    lastStart = now
    lastEntries = 0
    for _ in 0..<min(count, queue.count) {
      let first = queue.removeFirst()
      queuedBytes -= first.bytes
      lastEntries += first.entries
    }
  }

  /// As many appends as fit into a group; always one.
  private func groupSize() -> Int {
    var bytes = 0
    var count = 0
    for item in queue {
      if count > 0 && bytes + item.bytes > limits.maxBytes { break }
      bytes += item.bytes
      count += 1
    }
    return count
  }
}
