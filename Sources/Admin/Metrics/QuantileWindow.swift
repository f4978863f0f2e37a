import NIOCore
import Transport

/// What of a histogram that only grows was added in the last while: at least the window's length, at most twice that (or since
/// the beginning), if it is looked at that often. A value without a clock.
struct QuantileWindow {
  /// How long a window is.
  static let length = TimeAmount.seconds(60)

  private var base = LatencyHistogram()
  private var next = LatencyHistogram()
  private var nextAt: NIODeadline

  /// A window that begins now, with nothing added yet.
  init(now: NIODeadline) {
    nextAt = now
  }

  /// The observations of the window that ends now, when the histogram is `current`.
  mutating func recent(_ current: LatencyHistogram, now: NIODeadline) -> LatencyHistogram {
    if now - nextAt >= Self.length {
      base = next
      next = current
      nextAt = now
    }
    return current.since(base)
  }
}
