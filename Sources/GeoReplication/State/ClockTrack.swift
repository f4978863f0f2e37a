import NIOCore
import TopicLog

/// Turns the wall-clock times that entries carry into times of the loop's clock, which nobody sets.
///
/// It notes the difference of the two clocks. When the wall clock was set, entries up to the head of that moment keep the
/// difference that held when they were stored; of those that may have been stored before or after, the difference counts
/// that makes them older. So an age can come out too large for a moment, but never too small.
struct ClockTrack: Sendable {
  /// Milliseconds by which the difference may wander before it counts as set.
  static let tolerance: Int64 = 10
  /// Settings of the clock that are told apart.
  static let maximumSettings = 32

  /// The wall clock minus the loop's, in milliseconds.
  private var offset: Int64
  private var lastHead = Position.earliest
  /// What held for entries up to a position, oldest first.
  private var former: [(through: Position, offset: Int64)] = []

  init(now: NIODeadline, nowMs: Int64) {
    offset = nowMs &- Self.milliseconds(now)
  }

  static func milliseconds(_ time: NIODeadline) -> Int64 { Int64(clamping: time.uptimeNanoseconds / 1_000_000) }

  /// Takes note of both clocks.
  ///
  /// - Parameters:
  ///   - head: the last entry of the log.
  ///   - done: nobody asks for entries up to there any more.
  mutating func note(now: NIODeadline, nowMs: Int64, head: Position, done: Position) {
    if let first = former.first, first.through <= done { former.removeAll { $0.through <= done } }
    let present = nowMs &- Self.milliseconds(now)
    let change = present.subtractingReportingOverflow(offset)
    if change.overflow || change.partialValue.magnitude > UInt64(Self.tolerance) {
      former.append((lastHead, offset))
      if head > lastHead { former.append((head, max(offset, present))) }
      offset = present
      while former.count > Self.maximumSettings {
        former[1].offset = max(former[0].offset, former[1].offset)
        former.removeFirst()
      }
    }
    lastHead = max(lastHead, head)
  }

  /// When the entry at `position`, stored at `storedAtMs` by the wall clock, was stored by the loop's clock, in
  /// milliseconds: negative if that was before the machine started.
  func bornAtMs(_ position: Position, storedAtMs: Int64) -> Int64 {
    let offset = former.first { position <= $0.through }?.offset ?? offset
    let born = storedAtMs.subtractingReportingOverflow(offset)
    return born.overflow ? .min : born.partialValue
  }
}
