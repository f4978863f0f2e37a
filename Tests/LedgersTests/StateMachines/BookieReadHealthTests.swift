import NIOCore
import Testing

@testable import Ledgers

@Suite struct BookieReadHealthTests {
  @Test func percentilesComeFromWhatWasSeenOfLate() throws {
    var latencies = ReadLatencies()
    for _ in 0..<31 { latencies.record(.milliseconds(1)) }
    #expect(latencies.percentile(99) == nil)
    for _ in 0..<969 { latencies.record(.milliseconds(1)) }
    for _ in 0..<5 { latencies.record(.milliseconds(800)) }
    let usual = try #require(latencies.percentile(99))
    #expect((TimeAmount.milliseconds(1)...TimeAmount.microseconds(1_300)).contains(usual))
    #expect(try #require(latencies.percentile(99.9)) >= .milliseconds(800))
    for _ in 0..<20_000 { latencies.record(.milliseconds(50)) }
    let later = try #require(latencies.percentile(50))
    #expect((TimeAmount.milliseconds(50)...TimeAmount.milliseconds(64)).contains(later))
  }

  @Test func speculationFollowsTheLatencyWithinBounds() {
    var health = BookieReadHealth(maximumOutstanding: 10)
    let delay = { (health: BookieReadHealth) in
      health.speculativeDelay(percentile: 99, shortest: .milliseconds(5), longest: .milliseconds(500))
    }
    #expect(delay(health) == .milliseconds(500), "nothing is known yet")
    for _ in 0..<100 { health.answered("a", after: .microseconds(100), isAnswer: true) }
    #expect(delay(health) == .milliseconds(5))
    for _ in 0..<1_000 { health.answered("a", after: .milliseconds(40), isAnswer: true) }
    #expect((TimeAmount.milliseconds(80)...TimeAmount.milliseconds(110)).contains(delay(health)))
  }

  @Test func slowFailedAndMissingBookiesComeLast() {
    var health = BookieReadHealth(maximumOutstanding: 10)
    let bookies = ["gone", "suspect", "slow", "busy", "good"]
    health.answered("slow", after: .milliseconds(200), isAnswer: true)
    for bookie in ["good", "busy", "suspect"] { health.answered(bookie, after: .milliseconds(1), isAnswer: true) }
    for _ in 0..<11 { health.asked("busy") }
    let ranks = health.ranks(of: bookies, suspects: ["suspect"]) { $0 != "gone" }
    #expect(ranks == ["gone": 3, "suspect": 2, "slow": 1, "busy": 1])
    // In time it is tried again.
    for _ in 0..<20 { health.decay() }
    #expect(health.ranks(of: ["slow", "good"], suspects: []) { _ in true }.isEmpty)
  }
}
