/// Counts of durations in fixed buckets. Two of them can be added, and one taken from a later state of itself.
public struct LatencyHistogram: Sendable, Equatable {
  /// Upper bounds of the buckets in microseconds; the last bucket has none.
  public static let boundsInMicroseconds: [Int64] = [
    20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000,
    5_000_000, 10_000_000, 30_000_000, 60_000_000,
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

  /// The observations that were added since `earlier`, a state that this one had before.
  public func since(_ earlier: LatencyHistogram) -> LatencyHistogram {
    var difference = LatencyHistogram()
    for index in counts.indices { difference.counts[index] = max(0, counts[index] - earlier.counts[index]) }
    difference.sumInMicroseconds = max(0, sumInMicroseconds - earlier.sumInMicroseconds)
    return difference
  }

  /// The duration in microseconds that a share (0...1) of the observations do not exceed, interpolated within its bucket; of
  /// the last bucket, which has no end, where it begins. Nil without observations.
  public func quantile(_ share: Double) -> Double? {
    let total = count
    guard total > 0 else { return nil }
    let wanted = min(max(share, 0), 1) * Double(total)
    var seen = 0.0
    for (index, number) in counts.enumerated() where number > 0 {
      let before = seen
      seen += Double(number)
      guard seen >= wanted else { continue }
      let lower = index == 0 ? 0 : Double(Self.boundsInMicroseconds[index - 1])
      guard index < Self.boundsInMicroseconds.count else { return lower }
      return lower + (Double(Self.boundsInMicroseconds[index]) - lower) * max(0, wanted - before) / Double(number)
    }
    return nil
  }
}
