import Testing

@testable import Transport

@Suite struct BackoffPolicyTests {
  @Test func waitsGrowToTheCeiling() {
    var random = SystemRandomNumberGenerator()
    let policy = BackoffPolicy(initial: .milliseconds(100), maximum: .seconds(1), multiplier: 2, jitter: 0)
    var backoff = Backoff(policy)
    let waits = (0..<6).map { _ in backoff.next(using: &random) }
    #expect(waits == [0.1, 0.2, 0.4, 0.8, 1, 1].map { .seconds($0) })
    backoff.reset()
    #expect(backoff.next(using: &random) == .seconds(0.1))
    #expect(policy.delay(attempt: .max, using: &random) == .seconds(1))
    #expect(policy.delay(attempt: -3, using: &random) == .seconds(0.1))
  }

  @Test func jitterOnlyShortens() {
    var random = SystemRandomNumberGenerator()
    let policy = BackoffPolicy(initial: .seconds(1), maximum: .seconds(8), multiplier: 2, jitter: 0.5)
    for attempt in 0..<20 {
      let wait = policy.delay(attempt: attempt, using: &random)
      #expect(wait <= .seconds(8) && wait >= .seconds(0.5))
    }
  }
}
