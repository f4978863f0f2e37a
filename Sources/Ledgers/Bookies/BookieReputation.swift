import NIOCore

/// Which bookies failed of late, and which fail so often that they are left alone for long. A value without a clock.
///
/// Each failure is remembered for a while. A bookie whose failures within an interval reach the threshold is quarantined:
/// a success, such as a new connection, does not end that; time does.
struct BookieReputation {
  struct Limits {
    /// How long one failure counts (`bookieFailureHistoryExpirationMSec`).
    var memory: TimeAmount
    /// Failures are counted over this long (`bookieHealthCheckIntervalSeconds`).
    var interval: TimeAmount
    /// Failures within an interval that lead to quarantine; 0: never (`bookieErrorThresholdPerInterval`).
    var threshold: Int
    /// How long a quarantine lasts (`bookieQuarantineTimeSeconds`).
    var quarantine: TimeAmount
  }

  private struct Record {
    var suspectUntil = NIODeadline.uptimeNanoseconds(0)
    var quarantinedUntil = NIODeadline.uptimeNanoseconds(0)
    var intervalEnd = NIODeadline.uptimeNanoseconds(0)
    var errors = 0
  }

  private let limits: Limits
  private var records: [String: Record] = [:]

  init(_ limits: Limits) {
    self.limits = limits
  }

  /// The bookie failed `count` times. Returns whether it is quarantined now and was not before.
  mutating func failed(_ bookie: String, count: Int = 1, now: NIODeadline) -> Bool {
    var record = records[bookie] ?? Record()
    defer { records[bookie] = record }
    record.suspectUntil = now + limits.memory
    if record.intervalEnd <= now {
      record.intervalEnd = now + limits.interval
      record.errors = 0
    }
    record.errors += count
    guard limits.threshold > 0, record.errors >= limits.threshold, record.quarantinedUntil <= now else { return false }
    record.quarantinedUntil = now + limits.quarantine
    record.errors = 0
    return true
  }

  /// The bookie did what it was asked.
  mutating func succeeded(_ bookie: String) {
    records[bookie]?.suspectUntil = .uptimeNanoseconds(0)
  }

  /// Bookies to avoid: they failed within the memory of failures, or are quarantined.
  mutating func avoided(now: NIODeadline) -> Set<String> {
    guard !records.isEmpty else { return [] }
    records = records.filter {
      $0.value.suspectUntil > now || $0.value.quarantinedUntil > now || $0.value.intervalEnd > now
    }
    return Set(records.lazy.filter { $0.value.suspectUntil > now || $0.value.quarantinedUntil > now }.map(\.key))
  }

  /// Bookies in quarantine.
  func quarantined(now: NIODeadline) -> Set<String> {
    Set(records.lazy.filter { $0.value.quarantinedUntil > now }.map(\.key))
  }
}
