import NIOCore

/// How each bookie answers reads, as one event loop sees it: who is asked first, and when to stop waiting. A value.
struct BookieReadHealth {
  private struct Record {
    /// Moving mean of the time to an answer, in nanoseconds.
    var mean: Int64 = 0
    var outstanding = 0
  }

  /// A bookie is slow if it takes this many times as long as the fastest of the replicas ...
  private static let slowFactor: Int64 = 8
  /// ... and at least this long.
  private static let slowFloor: Int64 = 5_000_000

  private var records: [String: Record] = [:]
  private var latencies = ReadLatencies()
  private let maximumOutstanding: Int

  /// - Parameter maximumOutstanding: reads without an answer beyond which a bookie counts as slow
  ///   (`readReorderThresholdPendingRequests`).
  init(maximumOutstanding: Int) {
    self.maximumOutstanding = maximumOutstanding
  }

  mutating func asked(_ bookie: String) {
    records[bookie, default: Record()].outstanding += 1
  }

  /// The bookie answered, or did not (nil) and the time is what was waited.
  mutating func answered(_ bookie: String, after latency: TimeAmount, isAnswer: Bool) {
    var record = records[bookie] ?? Record()
    record.outstanding = max(0, record.outstanding - 1)
    let time = max(0, latency.nanoseconds)
    // The first one counts in full. Silence counts too: what was waited is the least that it would have taken.
    record.mean = record.mean == 0 ? time : record.mean + (time - record.mean) / 8
    records[bookie] = record
    if isAnswer { latencies.record(latency) }
  }

  /// For each bookie of an ensemble its class: 0 is asked first, 3 last. Within a class the caller's order holds.
  /// Classes: healthy, slow, failed of late, not registered.
  func ranks(of bookies: [String], suspects: Set<String>, registered: (String) -> Bool) -> [String: Int] {
    let means = bookies.compactMap { records[$0]?.mean }.filter { $0 > 0 }
    let fastest = means.min() ?? 0
    var ranks: [String: Int] = [:]
    for bookie in bookies {
      let record = records[bookie] ?? Record()
      let isSlow = record.mean > max(Self.slowFloor, fastest * Self.slowFactor)
      if !registered(bookie) {
        ranks[bookie] = 3
      } else if suspects.contains(bookie) {
        ranks[bookie] = 2
      } else if isSlow || record.outstanding > maximumOutstanding {
        ranks[bookie] = 1
      }
    }
    return ranks
  }

  /// After how long a second replica is asked: a multiple of the given percentile of reads, within bounds.
  func speculativeDelay(percentile: Double, shortest: TimeAmount, longest: TimeAmount) -> TimeAmount {
    guard let usual = latencies.percentile(percentile) else { return longest }
    return max(shortest, min(longest, .nanoseconds(usual.nanoseconds * 2)))
  }

  /// Forgets what is known of slowness, little by little: a slow bookie is not asked first any more and so would stay slow.
  mutating func decay() {
    for bookie in records.keys {
      guard let mean = records[bookie]?.mean else { continue }
      records[bookie]?.mean = mean * 3 / 4
    }
  }
}
