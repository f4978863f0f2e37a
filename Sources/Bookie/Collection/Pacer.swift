import NIOCore

/// Spreads background work over time, by bytes.
struct Pacer {
  private let rate: Int
  private var free: NIODeadline?

  /// - Parameter bytesPerSecond: 0 for no limit.
  init(bytesPerSecond: Int) {
    rate = bytesPerSecond
  }

  /// So many bytes were worked on.
  mutating func spent(_ bytes: Int, now: NIODeadline) {
    guard rate > 0 else { return }
    let time = TimeAmount.nanoseconds(Int64(Double(bytes) / Double(rate) * 1e9))
    // What was not used before is not saved up: a pause is not followed by a burst.
    free = max(free ?? now, now) + time
  }

  /// When work may go on; nil if it may now.
  func pause(now: NIODeadline) -> NIODeadline? {
    guard let free, free > now else { return nil }
    return free
  }
}
