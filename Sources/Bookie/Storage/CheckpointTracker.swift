import NIOCore

/// Where replay would begin. The mark moves only to a point before which everything is flushed, and never back; a failed flush
/// pins it.
struct CheckpointTracker {
  /// What to do about a failed flush.
  enum Failure: Equatable {
    case retry(at: NIODeadline)
    case stop
  }

  /// The mark on disk.
  private(set) var mark: JournalMark
  private var target: JournalMark?
  private var isFlushed = false
  private var failures = 0
  private let maximumFailures: Int

  init(mark: JournalMark, maximumFailures: Int) {
    self.mark = mark
    self.maximumFailures = maximumFailures
  }

  var isUnderWay: Bool { target != nil }

  /// A flush begins. `synced` is the journal's mark at the moment when the halves were swapped: whatever is before it is in the
  /// half being flushed or was flushed earlier. A flush that is repeated keeps its first target.
  mutating func begin(synced: JournalMark) {
    guard target == nil else { return }
    target = synced
    isFlushed = false
  }

  /// The half, its locations and the changed ledgers are durable. Returns the mark to write; nil if it does not move.
  mutating func flushed() -> JournalMark? {
    failures = 0
    guard let target else { return nil }
    guard target.sequence > mark.sequence else {
      self.target = nil
      return nil
    }
    isFlushed = true
    return target
  }

  /// The mark that `flushed` returned is on disk. Returns it: the journal before it may go.
  mutating func persisted() -> JournalMark? {
    guard isFlushed, let target else { return nil }
    mark = target
    self.target = nil
    isFlushed = false
    return mark
  }

  /// The flush, or writing the mark, failed.
  mutating func failed(now: NIODeadline) -> Failure {
    failures += 1
    isFlushed = false
    return failures >= maximumFailures ? .stop : .retry(at: now + .milliseconds(Int64(min(failures, 10)) * 200))
  }
}
