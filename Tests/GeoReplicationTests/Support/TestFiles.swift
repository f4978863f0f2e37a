import Foundation
import Logging

/// The little of files that tests need.
enum TestFiles {
  static func makeDirectory(_ path: String) throws {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  static func write(_ text: String, to path: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
  }

  /// Says nothing, unless the environment's `MERIDIAN_TEST_LOG` names a level.
  static func logger(_ label: String) -> Logger {
    guard let level = ProcessInfo.processInfo.environment["MERIDIAN_TEST_LOG"].flatMap({ Logger.Level(rawValue: $0) })
    else {
      return Logger(label: label, factory: { _ in SwiftLogNoOpLogHandler() })
    }
    var logger = Logger(label: label, factory: { StreamLogHandler.standardError(label: $0) })
    logger.logLevel = level
    return logger
  }
}
