/// How long to wait before the next attempt: exponential growth up to a ceiling, with jitter.
public struct BackoffPolicy: Sendable, Equatable {
  /// The wait after the first failure.
  public var initial: Duration
  /// The longest wait, before jitter.
  public var maximum: Duration
  /// Growth from one wait to the next; 1 or more.
  public var multiplier: Double
  /// Part of a wait that is random, from 0 to 1: the wait is drawn from `(1 - jitter) * w ... w`.
  public var jitter: Double

  /// A policy of the given parts.
  public init(
    initial: Duration = .milliseconds(100), maximum: Duration = .seconds(30), multiplier: Double = 2,
    jitter: Double = 0.2
  ) {
    self.initial = initial
    self.maximum = maximum
    self.multiplier = multiplier
    self.jitter = jitter
  }

  /// The wait after failure number `attempt`, counted from 0.
  public func delay(attempt: Int, using generator: inout some RandomNumberGenerator) -> Duration {
    let ceiling = Self.seconds(maximum)
    var wait = min(Self.seconds(initial), ceiling)
    var remaining = max(0, attempt)
    while remaining > 0, wait < ceiling, multiplier > 1, wait > 0 {
      wait = min(wait * multiplier, ceiling)
      remaining -= 1
    }
    let random = min(max(jitter, 0), 1)
    guard random > 0, wait > 0 else { return .seconds(wait) }
    return .seconds(Double.random(in: wait * (1 - random)...wait, using: &generator))
  }

  private static func seconds(_ duration: Duration) -> Double {
    let (seconds, attoseconds) = duration.components
    return max(0, Double(seconds) + Double(attoseconds) * 1e-18)
  }
}

/// The attempts made so far under a `BackoffPolicy`.
public struct Backoff: Sendable, Equatable {
  /// The policy.
  public var policy: BackoffPolicy
  /// Failures since the last success.
  public private(set) var failures = 0

  /// No failure yet.
  public init(_ policy: BackoffPolicy = BackoffPolicy()) {
    self.policy = policy
  }

  /// Counts a failure and returns how long to wait before the next attempt.
  public mutating func next(using generator: inout some RandomNumberGenerator) -> Duration {
    defer { failures += 1 }
    return policy.delay(attempt: failures, using: &generator)
  }

  /// Forgets the failures, after a success.
  public mutating func reset() {
    failures = 0
  }
}
