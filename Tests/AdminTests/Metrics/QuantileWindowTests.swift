import NIOCore
import Testing
import Transport

@testable import Admin

@Suite("Quantiles of the last minute or two")
struct QuantileWindowTests {
  private static func at(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(1_000_000_000) + .seconds(seconds) }

  @Test("What is older than two windows does not count any more")
  func forgetting() {
    var histogram = LatencyHistogram()
    var window = QuantileWindow(now: Self.at(0))
    histogram.record(nanoseconds: 900_000_000, times: 100)
    #expect(window.recent(histogram, now: Self.at(1)).count == 100)
    histogram.record(nanoseconds: 1_000_000, times: 10)
    // The first window ends: its observations stay for one more.
    #expect(window.recent(histogram, now: Self.at(60)).count == 110)
    #expect(window.recent(histogram, now: Self.at(119)).count == 110)
    histogram.record(nanoseconds: 1_000_000, times: 5)
    let recent = window.recent(histogram, now: Self.at(120))
    #expect(recent.count == 5 && recent.sumInMicroseconds == 5_000)
    #expect(window.recent(histogram, now: Self.at(121)).count == 5)
    #expect(window.recent(histogram, now: Self.at(300)).count == 0)
  }

  @Test("A summary has BookKeeper's quantiles in milliseconds, and totals of all time")
  func summary() {
    var histogram = LatencyHistogram()
    histogram.record(nanoseconds: 2_000_000, times: 99)
    histogram.record(nanoseconds: 400_000_000)
    var metrics = MetricsBuilder(windows: [:], now: Self.at(0))
    metrics.latency("x", histogram, failures: 3, [MetricSample.Label("bookie", "b")])
    metrics.latency("y", LatencyHistogram())
    let lines = PrometheusText.render(metrics.samples).split(separator: "\n").map(String.init)
    #expect(lines.prefix(2) == ["# TYPE x summary", #"x{bookie="b",success="true",quantile="0.5"} 1.505050505050505"#])
    #expect(lines.contains(#"x{bookie="b",success="true",quantile="0.99"} 2"#))
    #expect(lines.contains(#"x{bookie="b",success="true",quantile="1.0"} 500"#))
    #expect(lines.contains(#"x_sum{bookie="b",success="true"} 598"#))
    #expect(lines.contains(#"x_count{bookie="b",success="true"} 100"#))
    #expect(lines.contains(#"x_count{bookie="b",success="false"} 3"#))
    #expect(lines.contains(#"y{success="true",quantile="0.5"} NaN"#))
    #expect(lines.count { $0.hasPrefix("# TYPE") } == 2)
  }
}
