import Foundation
import Mesh

/// Figures of an answer, as people read them.
extension JSONValue {
  /// Bytes, `41.2M`; `-` if there are none given.
  var bytesText: String { doubleValue.map { Humanize.bytes($0) } ?? "-" }

  /// A time in ms since 1970, as `2026-01-31T12:00:00Z`; `never` for 0 or none.
  var timeText: String {
    guard let ms = integerValue, ms > 0 else { return "never" }
    return Date(timeIntervalSince1970: Double(ms) / 1000).formatted(.iso8601)
  }

  /// How long ago a time in ms since 1970 is; `never` for 0 or none.
  var ageText: String {
    guard let ms = integerValue, ms > 0 else { return "never" }
    return Humanize.seconds(Double(max(0, Clock.nowMs() - ms)) / 1000) + " ago"
  }

  var isTrue: Bool { self == .bool(true) }
}
