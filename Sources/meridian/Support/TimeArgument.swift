import ArgumentParser
import Foundation

/// A moment on the command line, as `2026-01-31T12:00:00Z` or with an offset and a fraction.
struct TimeArgument: ExpressibleByArgument {
  /// Milliseconds since 1970.
  let ms: Int64

  init?(argument: String) {
    for style in [Date.ISO8601FormatStyle(), Date.ISO8601FormatStyle(includingFractionalSeconds: true)] {
      if let date = try? style.parse(argument) {
        ms = Int64((date.timeIntervalSince1970 * 1000).rounded())
        return
      }
    }
    return nil
  }
}

/// Which kind of topics a command is about.
enum TopicDomainArgument: String, CaseIterable, ExpressibleByArgument {
  case persistent
  case nonPersistent = "non_persistent"

  /// As it stands in paths and names.
  var path: String { self == .persistent ? "persistent" : "non-persistent" }
}
