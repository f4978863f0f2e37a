import Bookie
import Foundation
import Histogram
import Transport

extension BookieMeasurements {
  private static let coldLedger: Int64 = 7

  private var coldEntries: Int { max(1, options.readBytes.bytes / (options.readSize.bytes + 44)) }

  /// Batches of about a quarter of a MiB, four under way, as a broker that catches up asks for them.
  private func coldStream(_ bookie: BookieUnderTest) -> ReadStream {
    ReadStream(
      address: bookie.address, ledgerID: Self.coldLedger, count: coldEntries,
      batch: max(1, (256 << 10) / (options.readSize.bytes + 40)), window: 4)
  }

  /// Calls `body` with a bookie that has one large ledger on its disk and nothing in its memory.
  private func withColdLedger<R>(_ name: String, _ body: (BookieUnderTest) async throws -> R) async throws -> R {
    let directory = "\(root)/\(name)"
    let filled = try await BookieUnderTest.start(directory, group: group)
    do {
      try await fill(filled, ledgerID: Self.coldLedger, entries: coldEntries, payloadBytes: options.readSize.bytes)
      try await filled.stop()
    } catch {
      try? await filled.stop()
      throw error
    }
    return try await withBookie(name, body)
  }

  /// A ledger read in sequence from a cold disk, in turns with reading its files as `dd` does.
  func reads() async throws {
    try await withColdLedger("reads") { bookie in
      let stream = coldStream(bookie)
      let logs = bookie.entryLogs
      var raw: [Double] = []
      var own: [ReadStream.Outcome] = []
      var restCPU = 0.0
      for _ in 0..<3 {
        raw.append(try await onThread { try DiskFiles.bestSequentialRead(logs) })
        bookie.dropCache()
        let cpu = CPUTime.process
        let outcome = try await onThread { try stream.run() }
        restCPU += CPUTime.process - cpu - outcome.cpuSeconds
        own.append(outcome)
        bookie.dropCache()
      }
      let megabytes = own.map(\.megabytesPerSecond).sorted()[1]
      figures.add(
        "reads", "cold entries in sequence (median of 3)", megabytes, "MB/s",
        against: ("dd of the entry logs (median of 3)", raw.sorted()[1]), target: .atLeast(0.8))
      let entries = Double(max(1, own.reduce(0) { $0 + $1.entries }))
      figures.add("reads", "entries", megabytes * 1e6 / Double(options.readSize.bytes + 36), "1/s")
      figures.add("reads", "CPU of the bookie for an entry", restCPU * 1e6 / entries, "us")
      figures.add("reads", "CPU of the reader for an entry", own.reduce(0) { $0 + $1.cpuSeconds } * 1e6 / entries, "us")
    }
  }

  /// Entries read as soon as their receipts are there, over several flushes.
  func tail() async throws {
    try await withBookie("tail") { bookie in
      let before = bookie.bookie.statistics()
      let (address, size, seconds) = (bookie.address, options.size.bytes, options.measured.inSeconds)
      let latency = try await onThread { () -> Histogram<UInt64> in
        var latency = LatencyRecorder.empty()
        let socket = try BookieSocket(address)
        let end = ContinuousClock.now + .seconds(seconds + 12)
        var next: Int64 = 0
        // Enough to fill the cache several times: entries are read while those around them are being flushed.
        while ContinuousClock.now < end {
          let add = AddStream(
            address: address, ledgerID: 1, firstEntry: next, payloadBytes: max(size, 8192), window: 64, limit: 64)
          _ = try add.run(MeasureGate())
          let read = ReadStream(
            address: address, ledgerID: 1, count: 64, firstEntry: next, batch: 32, window: 2)
          latency.add(try read.run(on: socket).latency)
          next += 64
        }
        return latency
      }
      let after = bookie.bookie.statistics()
      figures.add("tail", "entries read", Double(after.reads - before.reads), "")
      figures.add("tail", "flushes meanwhile", Double(after.flushes - before.flushes), "")
      figures.add(
        "tail", "reads that asked the disk", Double(after.cacheMisses - before.cacheMisses), "", target: .atMost(0))
      figures.add("tail", "a batch of 32", latency)
    }
  }

  /// Adds at a steady rate, alone and beside somebody who reads old entries as fast as it goes, in turns. Each turn has its own
  /// percentiles, and the median of the turns is what counts: one hiccup of the machine is in one turn.
  func isolation() async throws {
    try await withColdLedger("isolation") { bookie in
      let reader = coldStream(bookie)
      var alone: [AddStream.Outcome] = []
      var beside: [AddStream.Outcome] = []
      // What the bookie itself saw of it.
      var syncs = [LatencyHistogram(), LatencyHistogram()]
      var inside = [LatencyHistogram(), LatencyHistogram()]
      var readBytes = 0
      var readSeconds = 0.0
      let rounds = 9
      let turn = max(.seconds(1), options.measured / rounds)
      for round in 0..<rounds {
        for isBeside in [false, true] {
          let writer = AddStream(
            address: bookie.address, ledgerID: Int64(1000 + 2 * round + (isBeside ? 1 : 0)),
            payloadBytes: options.size.bytes, window: options.window, rate: options.rate)
          let gate = MeasureGate()
          let reading = Task { () -> (Int, Double) in
            var (bytes, seconds) = (0, 0.0)
            while isBeside, gate.phase != .over {
              bookie.dropCache()
              let outcome = try await onThread { try reader.run(gate) }
              bytes += outcome.bytes
              seconds += outcome.seconds
            }
            return (bytes, seconds)
          }
          let before = bookie.bookie.statistics()
          let (outcome, _, _) = try await drive([writer], warmup: .seconds(1), measured: turn)
          let after = bookie.bookie.statistics()
          syncs[isBeside ? 1 : 0].merge(after.journalSyncLatency.since(before.journalSyncLatency))
          inside[isBeside ? 1 : 0].merge(after.addLatency.since(before.addLatency))
          gate.set(.over)
          let (bytes, seconds) = try await reading.value
          readBytes += bytes
          readSeconds += seconds
          if isBeside { beside.append(outcome) } else { alone.append(outcome) }
        }
      }
      func median(_ outcomes: [AddStream.Outcome], _ percentile: Double) -> Double {
        outcomes.map { Double($0.latency.valueAtPercentile(percentile)) / 1000 }.sorted()[outcomes.count / 2]
      }
      figures.add("isolation", "adds", options.rate, "1/s")
      figures.add(
        "isolation", "old entries read meanwhile", readSeconds > 0 ? Double(readBytes) / 1e6 / readSeconds : 0, "MB/s")
      for (percentile, target) in [(50.0, nil), (99, PerfFigures.Target.atMost(1.2)), (99.9, nil)] {
        figures.add(
          "isolation", "add beside the reader p\(percentile), median of \(rounds)", median(beside, percentile), "ms",
          against: ("alone", median(alone, percentile)), target: target)
      }
      for (name, latency) in [("one sync", syncs), ("from the socket to the sync", inside)] {
        for share in [0.5, 0.99] {
          figures.add(
            "isolation", "\(name) beside the reader p\(Int(share * 100))", (latency[1].quantile(share) ?? 0) / 1000,
            "ms",
            against: ("alone", (latency[0].quantile(share) ?? 0) / 1000))
        }
      }
    }
  }
}
