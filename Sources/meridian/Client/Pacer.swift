/// When the messages of a steady rate are due.
struct Pacer {
  private let nanosecondsEach: Double
  private let start: ContinuousClock.Instant
  private var count = 0.0

  /// - Parameter rate: messages a second, above 0.
  init(rate: Double, start: ContinuousClock.Instant = .now) {
    nanosecondsEach = 1e9 / rate
    self.start = start
  }

  /// The time at which the next message is due.
  mutating func next() -> ContinuousClock.Instant {
    defer { count += 1 }
    return start + .nanoseconds(Int64(count * nanosecondsEach))
  }
}
