import ArgumentParser
import Bookie
import Foundation
import Transport

/// `meridian perf bookie-start`: starts a bookie in a fresh process and says how long it took and what it holds in memory.
/// The other measurements run it; it is not meant for people.
struct BookieStartProbe: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bookie-start", abstract: "Start a bookie of `perf bookie` and stop it.", shouldDisplay: false)

  struct Report: Codable {
    var seconds: Double
    /// Resident bytes when it serves.
    var residentBytes: Double
    var ledgers: Int
    var cpuSeconds: Double
  }

  @Argument var directory: String
  @Option var writeCacheBytes: Int?

  func run() async throws {
    let cpu = CPUTime.process
    let start = ContinuousClock.now
    let writeCacheBytes = writeCacheBytes
    let bookie = try await BookieUnderTest.start(directory, group: EventLoops.makeGroup(count: 1)) { configuration in
      if let writeCacheBytes { configuration.writeCacheSize = writeCacheBytes }
    }
    let report = Report(
      seconds: (ContinuousClock.now - start).inSeconds, residentBytes: ProcessUsage.residentBytes() ?? 0,
      ledgers: bookie.bookie.statistics().ledgers, cpuSeconds: CPUTime.process - cpu)
    try JSONOutput.printLine(report)
    try await bookie.stop(flushing: false)
  }

  /// Runs it in a process of its own.
  static func measure(_ directory: String, writeCacheBytes: Int? = nil) async throws -> Report {
    try await onThread {
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
      process.arguments = ["perf", "bookie-start", directory]
      if let writeCacheBytes { process.arguments?.append("--write-cache-bytes=\(writeCacheBytes)") }
      let output = Pipe()
      process.standardOutput = output
      try process.run()
      let bytes = output.fileHandleForReading.readDataToEndOfFile()
      process.waitUntilExit()
      guard process.terminationStatus == 0, let report = try? JSONDecoder().decode(Report.self, from: bytes) else {
        throw CommandFailure("the bookie in \(directory) did not start")
      }
      return report
    }
  }
}
