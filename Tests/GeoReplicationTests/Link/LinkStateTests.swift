import GeoReplication
import NIOCore
import Testing

@Suite struct LinkStateTests {
  private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

  private func up() -> LinkState {
    var state = LinkState(heartbeatTimeout: .seconds(5))
    #expect(state.start(now: start) == [.connect(attempt: 1)])
    #expect(state.connected(attempt: 1, now: start, nowMs: 100) == [.announceUp, .ping(100)])
    return state
  }

  @Test func heartbeatsGiveRoundTripAndSkew() {
    var state = up()
    state.answered(number: 100, remoteClockMs: 1_140, now: start + .milliseconds(80))
    #expect(state.roundTrip == .milliseconds(80))
    #expect(state.clockSkewMs == 1_000)
    #expect(state.tick(remote: "eu", now: start + .seconds(1), nowMs: 1_100) == [.ping(1_100)])
    state.answered(number: 1_100, remoteClockMs: 9_999, now: start + .milliseconds(1_200))
    #expect(state.roundTrip == .milliseconds(200))
    #expect(state.shortestRoundTrip == .milliseconds(80))
    // A slow answer says less of the clock.
    #expect(state.clockSkewMs == 1_000)
  }

  @Test func anEarlierAttemptIsNotCurrentOnceTheAddressChanged() {
    var state = LinkState(heartbeatTimeout: .seconds(5))
    #expect(state.start(now: start) == [.connect(attempt: 1)])
    #expect(state.isCurrent(attempt: 1))
    #expect(state.addressChanged().last == .connect(attempt: 2))
    #expect(!state.isCurrent(attempt: 1))
    #expect(state.isCurrent(attempt: 2))
  }

  @Test func silenceTakesItDownWithAReasonAndItComesBack() {
    var state = up()
    for second in 1..<5 {
      let actions = state.tick(remote: "eu (h:1)", now: start + .seconds(Int64(second)), nowMs: 100)
      #expect(actions.count == 1)
    }
    let actions = state.tick(remote: "eu (h:1)", now: start + .seconds(5), nowMs: 100)
    #expect(actions == [.disconnect(reason: "no answer from eu (h:1) for 5 s"), .retry(failures: 0)])
    #expect(state.phase == .waiting)
    #expect(state.retry(now: start) == [.connect(attempt: 2)])
    #expect(state.failed(attempt: 2, reason: "refused") == [.disconnect(reason: "refused"), .retry(failures: 1)])
    #expect(state.retry(now: start) == [.connect(attempt: 3)])
    #expect(state.reason == "refused")
    #expect(state.connected(attempt: 3, now: start, nowMs: 0).first == .announceUp)
    #expect(state.reason.isEmpty)
  }

  @Test func whatAnEarlierAttemptSaysCountsForNothing() {
    var state = up()
    #expect(state.addressChanged().last == .connect(attempt: 2))
    #expect(state.failed(attempt: 1, reason: "late").isEmpty)
    #expect(state.connected(attempt: 1, now: start, nowMs: 0).isEmpty)
    #expect(state.phase == .connecting)
    #expect(state.stop().count == 1)
    #expect(state.connected(attempt: 2, now: start, nowMs: 0).isEmpty)
  }
}
