import Bookie
import Ledgers
import NIOConcurrencyHelpers
import NIOCore
import Transport

/// The figures of a process's bookies, of its client of ledgers and of its auto-recovery, under BookKeeper's names where they
/// mean the same; what is our own has `meridian` in its name.
final class StorageMetrics: Sendable {
  private let sources: BookieAdminSources
  private let windows = NIOLockedValueBox<[String: QuantileWindow]>([:])

  init(_ sources: BookieAdminSources) {
    self.sources = sources
  }

  /// All figures as of now.
  func samples() async -> [MetricSample] {
    let client = await sources.ledgers?.statistics()
    let now = NIODeadline.now()
    return windows.withLockedValue { windows in
      var metrics = MetricsBuilder(windows: windows, now: now)
      for bookie in sources.bookies where bookie.isRunning { metrics.add(bookie) }
      if let client { metrics.add(client) }
      if let autoRecovery = sources.autoRecovery { metrics.add(autoRecovery.statistics) }
      windows = metrics.windows
      return metrics.samples
    }
  }
}

/// Collects samples, and remembers what quantiles are to be taken of.
struct MetricsBuilder {
  typealias Label = MetricSample.Label

  /// The shares that BookKeeper reports.
  private static let quantiles: [(text: String, share: Double)] = [
    ("0.5", 0.5), ("0.75", 0.75), ("0.95", 0.95), ("0.99", 0.99), ("0.999", 0.999), ("0.9999", 0.9999), ("1.0", 1),
  ]

  private(set) var windows: [String: QuantileWindow]
  private(set) var samples: [MetricSample] = []
  private let now: NIODeadline

  init(windows: [String: QuantileWindow], now: NIODeadline) {
    self.windows = windows
    self.now = now
  }

  mutating func gauge(_ name: String, _ value: Double, _ labels: [Label] = []) {
    samples.append(MetricSample(name, value, labels: labels, kind: .gauge))
  }

  mutating func gauge(_ name: String, _ value: some BinaryInteger, _ labels: [Label] = []) {
    gauge(name, Double(value), labels)
  }

  mutating func counter(_ name: String, _ value: Int64, _ labels: [Label] = []) {
    samples.append(MetricSample(name, Double(value), labels: labels, kind: .counter))
  }

  /// A summary with the label `success`: durations in milliseconds, as BookKeeper has them. Quantiles are of the last one to two
  /// minutes; the sum and the count are of all time. Of what failed only the number is known, nil: it cannot fail.
  mutating func latency(
    _ name: String, _ histogram: LatencyHistogram, failures: Int64? = nil, _ labels: [Label] = []
  ) {
    let key = name + labels.map { "\u{0}\($0.value)" }.joined()
    var window = windows[key] ?? QuantileWindow(now: now)
    let recent = window.recent(histogram, now: now)
    windows[key] = window
    let good = labels + [Label("success", "true")]
    for quantile in Self.quantiles {
      let value = recent.quantile(quantile.share).map { $0 / 1000 } ?? .nan
      samples.append(
        MetricSample(name, value, labels: good + [Label("quantile", quantile.text)], kind: .summary, family: name))
    }
    totals(name, sum: Double(histogram.sumInMicroseconds) / 1000, count: histogram.count, good)
    if let failures { totals(name, sum: nil, count: failures, labels + [Label("success", "false")]) }
  }

  /// A summary of which only the totals are known.
  mutating func totals(_ name: String, sum: Double?, count: Int64, _ labels: [Label]) {
    if let sum {
      samples.append(MetricSample("\(name)_sum", sum, labels: labels, kind: .summary, family: name))
    }
    samples.append(MetricSample("\(name)_count", Double(count), labels: labels, kind: .summary, family: name))
  }
}
