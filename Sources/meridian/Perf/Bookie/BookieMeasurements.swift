import Foundation
import NIOCore
import NIOPosix

/// The measurements of `perf bookie`, one after the other, each with a bookie of its own. Used by one task.
final class BookieMeasurements {
  let options: PerfBookieCommand
  let root: String
  let group: MultiThreadedEventLoopGroup
  var figures: PerfFigures

  init(options: PerfBookieCommand, root: String, group: MultiThreadedEventLoopGroup) {
    self.options = options
    self.root = root
    self.group = group
    figures = PerfFigures(settings: [
      "cores": String(System.coreCount), "directory": options.directory, "size": String(options.size.bytes),
      "writers": String(options.writers), "window": String(options.window),
      "readSize": String(options.readSize.bytes),
    ])
  }

  /// Calls `body` with a bookie on a new directory, which is removed afterwards.
  func withBookie<R>(_ name: String, _ body: (BookieUnderTest) async throws -> R) async throws -> R {
    let directory = "\(root)/\(name)"
    let bookie = try await BookieUnderTest.start(directory, group: group)
    do {
      let result = try await body(bookie)
      try await bookie.stop()
      try? FileManager.default.removeItem(atPath: directory)
      return result
    } catch {
      try? await bookie.stop()
      throw error
    }
  }

  /// Runs writers for the warm-up and the time that is measured.
  /// - Returns: their outcome, the seconds measured, and the CPU seconds of the rest of this process.
  func drive(
    _ streams: [AddStream], warmup: Duration, measured: Duration
  ) async throws -> (outcome: AddStream.Outcome, seconds: Double, restCPU: Double) {
    let gate = MeasureGate()
    return try await withThrowingTaskGroup(of: AddStream.Outcome.self) { group in
      for stream in streams { group.addTask { try await onThread { try stream.run(gate) } } }
      try? await Task.sleep(for: warmup)
      gate.set(.measuring)
      let (start, cpu) = (ContinuousClock.now, CPUTime.process)
      try? await Task.sleep(for: measured)
      gate.set(.over)
      let (seconds, used) = ((ContinuousClock.now - start).inSeconds, CPUTime.process - cpu)
      var sum = AddStream.Outcome()
      for try await outcome in group { sum = sum + outcome }
      return (sum, seconds, max(0, used - sum.cpuSeconds))
    }
  }

  /// Adds a ledger of so many entries, each of `payloadBytes`, and flushes.
  func fill(_ bookie: BookieUnderTest, ledgerID: Int64, entries: Int, payloadBytes: Int) async throws {
    let stream = AddStream(
      address: bookie.address, ledgerID: ledgerID, payloadBytes: payloadBytes,
      window: max(64, min(options.window, (8 << 20) / payloadBytes)), limit: entries)
    _ = try await onThread { try stream.run(MeasureGate()) }
  }
}
