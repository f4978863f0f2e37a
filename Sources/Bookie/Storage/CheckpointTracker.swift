import NIOCore

/// Where replay would begin in each journal. The marks move only to points before which everything is flushed, each by
/// itself, and never back; a failed flush pins them.
struct CheckpointTracker {
  /// What to do about a failed flush.
  enum Failure: Equatable {
    case retry(at: NIODeadline)
    case stop
  }

  /// The marks on disk, one for each journal.
  private(set) var marks: [JournalMark]
  private var target: [JournalMark]?
  private var isFlushed = false
  private var failures = 0
  /// Whether the last failure was that the disk is full.
  private(set) var isOutOfSpace = false
  private let maximumFailures: Int

  init(marks: [JournalMark], maximumFailures: Int) {
    self.marks = marks
    self.maximumFailures = maximumFailures
  }

  /// The marks as they will be when the flush that has begun is done.
  var pending: [JournalMark] { target.map { Self.later(marks, $0) } ?? marks }

  /// Whether the last flush failed.
  var isFailing: Bool { failures > 0 }

  /// Whether a journal has gone on since the marks on disk.
  func isBehind(_ synced: [JournalMark]) -> Bool {
    zip(marks, synced).contains { $0.sequence < $1.sequence }
  }

  /// A flush begins. `synced` are the journals' marks at the moment when the halves were swapped: whatever is before them is
  /// in the half being flushed or was flushed earlier. A flush that is repeated keeps its first target.
  mutating func begin(synced: [JournalMark]) {
    guard target == nil else { return }
    target = synced
    isFlushed = false
  }

  /// The half, its locations and the changed ledgers are durable. Returns the marks to write; nil if none moves.
  mutating func flushed() -> [JournalMark]? {
    guard let target else {
      failures = 0
      return nil
    }
    guard isBehind(target) else {
      self.target = nil
      failures = 0
      return nil
    }
    isFlushed = true
    return Self.later(marks, target)
  }

  /// The marks that `flushed` returned are on disk. Returns them: the journals before them may go.
  mutating func persisted() -> [JournalMark]? {
    guard isFlushed, let target else { return nil }
    marks = Self.later(marks, target)
    self.target = nil
    isFlushed = false
    failures = 0
    return marks
  }

  /// The flush, or writing the marks, failed.
  /// - Parameter isOutOfSpace: because the disk is full: no reason to stop, since the data is in the journal and in memory,
  ///   and space may come back.
  mutating func failed(now: NIODeadline, isOutOfSpace: Bool = false) -> Failure {
    failures += 1
    isFlushed = false
    self.isOutOfSpace = isOutOfSpace
    if !isOutOfSpace && failures >= maximumFailures { return .stop }
    return .retry(at: now + .milliseconds(Int64(min(failures, 10)) * 200))
  }

  private static func later(_ first: [JournalMark], _ second: [JournalMark]) -> [JournalMark] {
    zip(first, second).map { $0.sequence < $1.sequence ? $1 : $0 }
  }
}
