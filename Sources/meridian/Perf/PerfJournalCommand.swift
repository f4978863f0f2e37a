import ArgumentParser
import Bookie
import Foundation

/// `meridian perf journal`: how fast a disk makes bytes durable, and how near a bookie's journal comes to it.
struct PerfJournalCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "journal", abstract: "Measure a disk's synced writes, and a bookie's journal on it.",
    discussion: "Example: meridian perf journal --directory /data/journal --size 128K --count 2000")

  @Option(help: "An existing directory on the disk to measure. The files made there are removed.")
  var directory = "."
  @Option(help: ArgumentHelp("Bytes of each synced write.", valueName: "size")) var size = SizeArgument(4096)
  @Option(help: "Synced writes of each way.") var count = 1000
  @Flag(help: "Print a report for programs.") var json = false

  func validate() throws {
    guard size.bytes > 0, size.bytes <= 64 << 20 else { throw ValidationError("--size must be between 1 and 64M.") }
    guard count > 0 else { throw ValidationError("--count must be positive.") }
  }

  func run() async throws {
    let (directory, bytes, count) = (directory, size.bytes, count)
    let results = try await withCheckedThrowingContinuation { continuation in
      Thread.detachNewThread {
        continuation.resume(
          with: Result { try JournalBenchmark.run(directory: directory, batchBytes: bytes, batches: count) })
      }
    }
    let best = results.filter { !$0.name.hasPrefix("journal") }.map(\.bytesPerSecond).max() ?? 0
    if json {
      let rows = results.map { result in
        """
        {"name":"\(result.name)","batchBytes":\(result.batchBytes),"batches":\(result.batches),\
        "bytesPerSecond":\(Int(result.bytesPerSecond)),"p25us":\(Int(result.quartileMicroseconds)),"p50us":\(Int(result.medianMicroseconds)),\
        "p99us":\(Int(result.p99Microseconds))}
        """
      }
      print("[\(rows.joined(separator: ",\n"))]")
      return
    }
    print("each synced write \(bytes) bytes, \(count) of them")
    for result in results {
      let name = result.name.padding(toLength: 36, withPad: " ", startingAt: 0)
      let rate = String(format: "%8.1f MB/s", result.bytesPerSecond / 1e6)
      let times = String(
        format: "p25 %7.0f  p50 %7.0f  p99 %7.0f us", result.quartileMicroseconds, result.medianMicroseconds,
        result.p99Microseconds)
      let share = best > 0 ? String(format: "  %3.0f %% of the best", result.bytesPerSecond / best * 100) : ""
      print("\(name)\(rate)  \(times)\(share)")
    }
  }
}
