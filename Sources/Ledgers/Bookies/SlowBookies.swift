import NIOCore

/// A mean that follows what was added last. A value.
struct MovingMean {
  private var nanoseconds: Int64?

  /// The mean; nil if nothing was added.
  var value: TimeAmount? { nanoseconds.map { .nanoseconds($0) } }

  mutating func add(_ sample: TimeAmount) {
    let time = max(0, sample.nanoseconds)
    guard let mean = nanoseconds else { return nanoseconds = time }
    nanoseconds = mean + (time - mean) / 8
  }
}

/// Which bookies take so much longer to store entries than the others do, and for so long, that ledgers are better off with
/// other bookies. A value without a clock.
///
/// Such a bookie delays nothing as long as an ack quorum of faster ones is there; but entries have one copy fewer for a
/// while, and the next bookie that falters makes everybody wait for the slow one.
struct SlowBookies {
  struct Limits {
    /// How many times as long as the median bookie; 0: no bookie is ever slow.
    var factor: Int64
    /// What is never slow.
    var floor: TimeAmount
    /// For how long without interruption.
    var patience: TimeAmount
  }

  private let limits: Limits
  private var slowSince: [String: NIODeadline] = [:]

  init(_ limits: Limits) {
    self.limits = limits
  }

  /// The bookies that are slow by now, given how long adds take on each one.
  mutating func slow(_ latencies: [String: TimeAmount], now: NIODeadline) -> Set<String> {
    guard limits.factor > 0, latencies.count > 1 else {
      slowSince = [:]
      return []
    }
    let sorted = latencies.values.sorted()
    let usual = sorted[(sorted.count - 1) / 2].nanoseconds
    let (bound, overflow) = usual.multipliedReportingOverflow(by: limits.factor)
    let limit = max(limits.floor.nanoseconds, overflow ? Int64.max : bound)
    var next: [String: NIODeadline] = [:]
    for (bookie, latency) in latencies where latency.nanoseconds > limit {
      next[bookie] = slowSince[bookie] ?? now
    }
    slowSince = next
    let patience = limits.patience
    return Set(next.filter { $0.value + patience <= now }.keys)
  }
}
