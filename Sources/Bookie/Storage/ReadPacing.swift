import NIOCore

/// How much of the disk reads of old entries may take while entries are added.
///
/// A journal's write waits behind whatever the disk is doing. So beside adds such reads come one at a time, in small pieces, and
/// after each the disk is left alone for a while in proportion to what it took: somebody who catches up at full speed costs
/// those who publish a bounded share of a small piece.
struct ReadPacing {
  /// What is read at a time beside adds.
  static let pieceBytes = 128 * 1024
  /// How long after the last sync of a journal adds still count as coming.
  static let memory = TimeAmount.milliseconds(50)
  /// The longest pause after a read: a disk that hangs for a second is not left alone for ten.
  private static let longestPause = TimeAmount.milliseconds(20)

  /// The share of the time that reads take, above 0 and at most 1.
  let share: Double
  /// When the next read may begin.
  private(set) var next = NIODeadline.uptimeNanoseconds(0)

  init(share: Double) {
    self.share = min(1, max(0.01, share))
  }

  /// Whether entries are being added.
  static func isNeeded(lastSync: NIODeadline, now: NIODeadline) -> Bool { now < lastSync + memory }

  /// A read took this time.
  mutating func finished(from start: NIODeadline, to end: NIODeadline) {
    let pause = Double((end - start).nanoseconds) * (1 / share - 1)
    next = end + min(Self.longestPause, .nanoseconds(Int64(max(0, min(pause, 1e12)))))
  }
}
