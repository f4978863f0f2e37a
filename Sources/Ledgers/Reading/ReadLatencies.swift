import NIOCore

/// How long reads take, as a histogram that forgets: the base of when a second replica is asked. A value without a clock.
struct ReadLatencies {
  /// Four buckets for each power of two of microseconds, up to about a minute.
  private static let bucketCount = 4 * 26
  private static let window = 2_048
  private var buckets = [UInt32](repeating: 0, count: bucketCount)
  private var count = 0

  /// A read took this long.
  mutating func record(_ latency: TimeAmount) {
    buckets[Self.bucket(of: latency)] += 1
    count += 1
    guard count >= Self.window else { return }
    count = 0
    for index in buckets.indices {
      buckets[index] /= 2
      count += Int(buckets[index])
    }
  }

  /// The time within which `percentile` percent of reads end, rounded up to a bucket; nil until there are enough of them.
  func percentile(_ percentile: Double) -> TimeAmount? {
    guard count >= 32 else { return nil }
    let wanted = Double(count) * percentile / 100
    var seen = 0.0
    for (index, number) in buckets.enumerated() {
      seen += Double(number)
      if seen >= wanted, number > 0 { return Self.upperBound(of: index) }
    }
    return Self.upperBound(of: Self.bucketCount - 1)
  }

  private static func bucket(of latency: TimeAmount) -> Int {
    let micros = UInt64(max(1, latency.nanoseconds / 1_000))
    let power = 63 - micros.leadingZeroBitCount
    let quarter = power >= 2 ? Int((micros >> UInt64(power - 2)) & 3) : 0
    return min(4 * power + quarter, bucketCount - 1)
  }

  private static func upperBound(of bucket: Int) -> TimeAmount {
    let power = bucket / 4
    let quarter = Int64(bucket % 4)
    let base: Int64 = 1 << Int64(power)
    return .microseconds(base + max(1, base / 4) * (quarter + 1))
  }
}
