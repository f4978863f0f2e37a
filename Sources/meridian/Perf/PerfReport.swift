import Histogram
import Mesh

/// What a measurement found; printed as text or JSON (schemaVersion 1).
struct PerfReport: Encodable {
  /// Messages and bytes over the measured time.
  struct Flow: Encodable {
    var messages: Int
    var bytes: Int
    var seconds: Double
    var messagesPerSecond: Double
    var megabytesPerSecond: Double

    init(messages: Int, bytes: Int, seconds: Double) {
      self.messages = messages
      self.bytes = bytes
      self.seconds = seconds
      messagesPerSecond = seconds > 0 ? Double(messages) / seconds : 0
      megabytesPerSecond = seconds > 0 ? Double(bytes) / 1e6 / seconds : 0
    }
  }

  /// Milliseconds.
  struct Latency: Encodable {
    var mean: Double
    var p50: Double
    var p90: Double
    var p95: Double
    var p99: Double
    var p999: Double
    var max: Double

    init?(_ histogram: Histogram<UInt64>) {
      guard histogram.totalCount > 0 else { return nil }
      func at(_ percentile: Double) -> Double { Double(histogram.valueAtPercentile(percentile)) / 1000 }
      mean = histogram.mean / 1000
      p50 = at(50)
      p90 = at(90)
      p95 = at(95)
      p99 = at(99)
      p999 = at(99.9)
      max = Double(histogram.maxRecorded) / 1000
    }
  }

  var schemaVersion = 1
  var measurement: String
  var settings: [String: String]
  var published: Flow?
  var received: Flow?
  var publishLatencyMs: Latency?
  var endToEndLatencyMs: Latency?
  var lost: Int?
  var failed = 0
  var firstError: String?
  var processes: [ProcessUsage.Report] = []
  var machine: MachineLimits?

  func print(json: Bool) throws {
    if json { return try JSONOutput.print(self) }
    Swift.print(
      "\(measurement)  " + settings.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " "))
    if let published { Swift.print("published   \(Self.text(published))") }
    if let received { Swift.print("received    \(Self.text(received))") }
    var table = Table([
      ("LATENCY ms", .left), ("MEAN", .right), ("P50", .right), ("P90", .right), ("P95", .right), ("P99", .right),
      ("P99.9", .right), ("MAX", .right),
    ])
    for (name, latency) in [("publish", publishLatencyMs), ("end to end", endToEndLatencyMs)] {
      guard let latency else { continue }
      table.add(
        [name]
          + [latency.mean, latency.p50, latency.p90, latency.p95, latency.p99, latency.p999, latency.max].map {
            Humanize.fixed($0, digits: 2)
          })
    }
    table.print()
    if failed > 0 { Swift.print("failed      \(failed), the first: \(firstError ?? "unknown")") }
    if let lost, lost > 0 { Swift.print("not arrived \(lost)") }
    for process in processes {
      Swift.print(
        "process     \(process.name) (\(process.pid)): \(Humanize.fixed(process.cpuSeconds, digits: 1)) s CPU, "
          + "\(Humanize.fixed(process.cpuCores, digits: 2)) cores, peak \(Humanize.fixed(process.peakMegabytes, digits: 0)) MB"
      )
    }
    for line in machine?.lines ?? [] { Swift.print("machine     \(line)") }
  }

  private static func text(_ flow: Flow) -> String {
    "\(flow.messages) messages in \(Humanize.fixed(flow.seconds, digits: 1)) s: "
      + "\(Humanize.fixed(flow.messagesPerSecond, digits: 0))/s, \(Humanize.fixed(flow.megabytesPerSecond, digits: 2)) MB/s"
  }
}

/// What the machine itself can do, measured in the same run.
struct MachineLimits: Encodable {
  var cores: Int
  /// Sequential writes of `batchBytes`, each followed by fdatasync.
  var batchBytes: Int?
  var syncWriteMegabytesPerSecond: Double?
  var syncWritesPerSecond: Double?
  /// fdatasync after each 4 KiB.
  var syncs4KiBPerSecond: Double?
  /// One TLS stream over the same emulated link.
  var tlsStreamMegabytesPerSecond: Double?

  var lines: [String] {
    var lines = ["\(cores) cores"]
    if let batchBytes, let rate = syncWriteMegabytesPerSecond, let syncs = syncs4KiBPerSecond {
      lines.append(
        "write+fdatasync of \(Humanize.bytes(Double(batchBytes))): \(Humanize.fixed(rate, digits: 1)) MB/s; of 4 KiB: "
          + "\(Humanize.fixed(syncs, digits: 0)) syncs/s")
    }
    if let rate = tlsStreamMegabytesPerSecond {
      lines.append("one TLS stream over the same link: \(Humanize.fixed(rate, digits: 1)) MB/s")
    }
    return lines
  }
}
