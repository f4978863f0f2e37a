import Testing

@testable import Transport

@Suite("Histograms of durations")
struct LatencyHistogramTests {
  @Test("Quantiles are within the bucket that holds them, and never beyond what is known")
  func quantiles() {
    var histogram = LatencyHistogram()
    #expect(histogram.quantile(0.5) == nil)
    histogram.record(nanoseconds: 150_000, times: 50)
    histogram.record(nanoseconds: 3_000_000, times: 50)
    #expect(histogram.quantile(0) == 100)
    #expect(histogram.quantile(0.25) == 150)
    #expect(histogram.quantile(0.5) == 200)
    #expect(histogram.quantile(0.75) == 3_500)
    #expect(histogram.quantile(1) == 5_000)
    #expect(histogram.quantile(7) == 5_000)
    histogram.record(nanoseconds: 3_600_000_000_000)
    #expect(histogram.quantile(1) == 60_000_000)
  }

  @Test("What was added since an earlier state, and the sum of two")
  func differences() {
    var histogram = LatencyHistogram()
    histogram.record(nanoseconds: 1_000)
    let earlier = histogram
    histogram.record(nanoseconds: 7_000_000, times: 2)
    let added = histogram.since(earlier)
    #expect(added.count == 2 && added.sumInMicroseconds == 14_000)
    var sum = earlier
    sum.merge(added)
    #expect(sum == histogram)
    #expect(earlier.since(histogram) == LatencyHistogram())
  }
}
