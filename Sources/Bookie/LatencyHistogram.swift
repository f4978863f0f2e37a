/// Counts of durations in fixed buckets.
public struct LatencyHistogram: Sendable, Equatable {
  /// Upper bounds of the buckets in microseconds; the last bucket has none.
  public static let boundsInMicroseconds: [Int64] = [
    100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
  ]

  /// Observations per bucket: one more than there are bounds.
  public private(set) var counts = [Int64](repeating: 0, count: LatencyHistogram.boundsInMicroseconds.count + 1)
  /// Sum of all observations in microseconds.
  public private(set) var sumInMicroseconds: Int64 = 0

  /// An empty histogram.
  public init() {}

  /// Number of observations.
  public var count: Int64 { counts.reduce(0, +) }

  /// Counts `times` observations of the same duration.
  public mutating func record(nanoseconds: Int64, times: Int = 1) {
    let value = nanoseconds / 1000
    let bucket = Self.boundsInMicroseconds.firstIndex { value <= $0 } ?? Self.boundsInMicroseconds.count
    counts[bucket] += Int64(times)
    sumInMicroseconds += value * Int64(times)
  }

  /// Adds the observations of another one.
  public mutating func merge(_ other: LatencyHistogram) {
    for index in counts.indices { counts[index] += other.counts[index] }
    sumInMicroseconds += other.sumInMicroseconds
  }
}
