import Foundation

/// The wall clock.
enum Clock {
  /// Milliseconds since 1970.
  @Sendable static func nowMs() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }

  /// `03:12:07Z`.
  static func timeOfDay() -> String {
    let seconds = nowMs() / 1000 % 86_400
    func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : String(value) }
    return "\(two(seconds / 3600)):\(two(seconds / 60 % 60)):\(two(seconds % 60))Z"
  }
}
