import ArgumentParser
import Logging

/// The log of a process that serves: on standard error.
enum ServerLog {
  /// Sets logging up for the process.
  /// - Throws: a usage error if there is no such level.
  static func start(_ label: String, level: String) throws -> Logger {
    guard let level = Logger.Level(rawValue: level) else {
      throw ValidationError("--log-level must be trace, debug, info, notice, warning or error")
    }
    LoggingSystem.bootstrap(StreamLogHandler.standardError)
    var logger = Logger(label: label)
    logger.logLevel = level
    return logger
  }
}
