import Bookie
import Foundation
import Histogram

extension BookieMeasurements {
  /// As many entries as pipelined writers can add.
  func adds() async throws {
    guard let remote = options.address.flatMap({ BookieAddress($0) }) else {
      return try await withBookie("adds") { try await adds(to: $0.address, $0) }
    }
    try await adds(to: remote, nil)
  }

  private func adds(to address: BookieAddress, _ local: BookieUnderTest?) async throws {
    let streams = (0..<options.writers).map { writer in
      AddStream(
        address: address, ledgerID: options.ledger + Int64(writer), payloadBytes: options.size.bytes,
        window: options.window)
    }
    let before = local?.bookie.statistics()
    let server = options.pid.flatMap { ProcessUsage(name: "bookie", pid: $0) }
    let (outcome, seconds, restCPU) = try await drive(streams, warmup: options.warming, measured: options.measured)
    let rate = Double(outcome.measured) / seconds
    figures.add("adds", "entries", rate, "1/s", target: options.size.bytes == 100 ? .atLeast(250_000) : nil)
    figures.add("adds", "payload", rate * Double(options.size.bytes) / 1e6, "MB/s")
    figures.add("adds", "latency", outcome.latency)
    let perEntry = 1e6 / max(1, Double(outcome.measured))
    if local != nil {
      figures.add("adds", "CPU of the bookie for an entry", restCPU * perEntry, "us")
      figures.add("adds", "CPU of the bookie", restCPU / seconds, "cores")
    } else if let used = server?.report() {
      // It counts the warm-up too, as the entries of the warm-up do.
      figures.add(
        "adds", "CPU of the bookie for an entry", used.cpuSeconds * 1e6 / max(1, Double(outcome.acknowledged)), "us")
    }
    figures.add("adds", "CPU of the writers for an entry", outcome.cpuSeconds * perEntry, "us")
    figures.add("adds", "CPU of the writers", outcome.cpuSeconds / seconds, "cores")
    guard let before, let after = local?.bookie.statistics() else { return }
    let syncs = Double(max(1, after.journalSyncs - before.journalSyncs))
    let bytes = Double(after.journalBytes - before.journalBytes)
    figures.add("adds", "entries in a sync", Double(after.journalEntries - before.journalEntries) / syncs, "")
    figures.add("adds", "batches that waited for room", Double(after.throttledAdds - before.throttledAdds), "")
    let directory = options.directory
    let raw = try await onThread {
      try RawSyncedWrites(directory: directory, size: Int(bytes / syncs)).megabytesPerSecond(for: .seconds(2))
    }
    // The warm-up is about as fast as the rest.
    let whole = (options.warming + options.measured).inSeconds
    figures.add(
      "adds", "journal", bytes / 1e6 / whole, "MB/s",
      against: ("write+fdatasync of \(Int(bytes / syncs)) bytes", raw))
  }

  /// One add at a time, taking turns with one raw write and sync at a time.
  func latency() async throws {
    guard let remote = options.address.flatMap({ BookieAddress($0) }) else {
      return try await withBookie("latency") { try await latency(of: $0.address) }
    }
    try await latency(of: remote)
  }

  private func latency(of address: BookieAddress) async throws {
    let (directory, size, ledger) = (options.directory, options.size.bytes, options.ledger + 1_000_000)
    let (adds, raw) = try await onThread { () -> (AddStream.Outcome, Histogram<UInt64>) in
      let writes = try RawSyncedWrites(directory: directory, size: size + 128)
      var raw = LatencyRecorder.empty()
      var adds = AddStream.Outcome()
      for turn in 0..<40 {
        for _ in 0..<100 { _ = raw.record(UInt64(max(1, try writes.once() * 1e6))) }
        let gate = MeasureGate()
        gate.set(.measuring)
        let stream = AddStream(
          address: address, ledgerID: ledger, firstEntry: Int64(turn * 100), payloadBytes: size, window: 1, limit: 100)
        let outcome = try stream.run(gate)
        adds = adds + outcome
      }
      return (adds, raw)
    }
    for (percentile, target) in [(50.0, PerfFigures.Target.atMost(1.3)), (90, nil), (99, nil)] {
      figures.add(
        "latency", "one add p\(Int(percentile))", Double(adds.latency.valueAtPercentile(percentile)), "us",
        against: ("one write+fdatasync", Double(raw.valueAtPercentile(percentile))), target: target)
    }
  }
}
