import Foundation
import NIOConcurrencyHelpers

#if canImport(Glibc)
  import Glibc
#endif

/// A process that was started here, its output going to a file.
final class ServerProcess: Sendable {
  /// How a process ended.
  enum End: Equatable, Sendable {
    case code(Int32)
    case signal(Int32)
  }

  private let process: NIOLockedValueBox<Process>
  let processID: Int32

  /// Starts `program`; what it prints is appended to the file at `log`.
  init(_ program: String, _ arguments: [String], log: String, environment: [String: String] = [:]) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    if !FileManager.default.fileExists(atPath: log) { _ = FileManager.default.createFile(atPath: log, contents: nil) }
    let output = FileHandle(forWritingAtPath: log)
    _ = try? output?.seekToEnd()
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = output
    try process.run()
    processID = process.processIdentifier
    self.process = NIOLockedValueBox(process)
  }

  /// How it ended; nil: it runs.
  var end: End? {
    process.withLockedValue { process in
      guard !process.isRunning else { return nil }
      return process.terminationReason == .uncaughtSignal
        ? .signal(process.terminationStatus) : .code(process.terminationStatus)
    }
  }

  /// Sends a signal, unless it has ended.
  func send(_ signal: Int32) {
    if end == nil { kill(processID, signal) }
  }

  /// Waits for its end, at most for `limit`. - Returns: how it ended, or nil.
  func waitForEnd(within limit: Duration) async -> End? {
    let deadline = ContinuousClock.now + limit
    while end == nil, ContinuousClock.now < deadline { try? await Task.sleep(for: .milliseconds(5)) }
    return end
  }
}
