import Testing

@testable import Broker

@Suite struct ProducerAdmissionTests {
  private var state = ProducerAdmission(maximumProducers: 0, topicEpoch: nil)

  private func request(
    _ id: UInt64, _ name: String? = nil, _ mode: ProducerAdmission.AccessMode = .shared, topicEpoch: Int64? = nil,
    epoch: UInt64 = 0, chosen: Bool = true, connection: UInt64 = 1
  ) -> ProducerAdmission.Request {
    ProducerAdmission.Request(
      id: id, name: name ?? "p\(id)", mode: mode, topicEpoch: topicEpoch, epoch: epoch, isNameChosen: chosen,
      connection: connection)
  }

  private func isRefused(_ decision: ProducerAdmission.Decision, _ kind: BrokerError.Kind) -> Bool {
    if case .refused(kind, _) = decision { return true }
    return false
  }

  @Test mutating func aNameIsTakenOnce() {
    #expect(state.request(request(1, "a")) == .admitted(topicEpoch: nil, fenced: []))
    #expect(isRefused(state.request(request(2, "a")), .producerBusy))
    #expect(isRefused(state.request(request(3, "a", epoch: 1, connection: 2)), .producerBusy))
    #expect(state.request(request(4, "a", epoch: 1)) == .admitted(topicEpoch: nil, fenced: [1]))
    #expect(state.count == 1)
  }

  @Test mutating func aNameThatWeMadeUpFollowsItsProducerToANewConnection() {
    _ = state.request(request(1, "a", chosen: false))
    #expect(
      state.request(request(2, "a", epoch: 1, chosen: false, connection: 2))
        == .admitted(topicEpoch: nil, fenced: [1]))
  }

  @Test mutating func anExclusiveProducerKeepsOthersOut() {
    #expect(state.request(request(1, mode(.exclusive))) == .admitted(topicEpoch: 0, fenced: []))
    #expect(isRefused(state.request(request(2)), .producerBusy))
    #expect(isRefused(state.request(request(3, mode(.exclusive))), .producerFenced))
    #expect(state.leave(1) == nil)
    #expect(state.request(request(4)) == .admitted(topicEpoch: nil, fenced: []))
    #expect(isRefused(state.request(request(5, mode(.exclusive))), .producerFenced))
  }

  @Test mutating func waitingProducersComeInOrder() {
    _ = state.request(request(1, mode(.exclusive)))
    #expect(state.request(request(2, mode(.waitForExclusive))) == .queued)
    #expect(state.request(request(3, mode(.waitForExclusive))) == .queued)
    #expect(state.waitingCount == 2)
    #expect(state.leave(1) == ProducerAdmission.Promotion(id: 2, topicEpoch: 1))
    #expect(state.leave(3) == nil)
    #expect(state.leave(2) == nil)
    #expect(state.request(request(4, mode(.waitForExclusive))) == .admitted(topicEpoch: 2, fenced: []))
  }

  @Test mutating func fencingTellsThoseWhoWaitThatTheirTurnWillNotCome() {
    _ = state.request(request(1, mode(.exclusive)))
    #expect(state.request(request(2, mode(.waitForExclusive))) == .queued)
    #expect(state.request(request(3, mode(.exclusiveWithFencing))) == .admitted(topicEpoch: 1, fenced: [1, 2]))
    #expect(state.waitingCount == 0)
  }

  @Test mutating func fencingTakesTheTopicAndTheOldEpochIsOver() {
    _ = state.request(request(1, mode(.exclusive)))
    #expect(state.request(request(2, mode(.exclusiveWithFencing))) == .admitted(topicEpoch: 1, fenced: [1]))
    _ = state.leave(1)
    #expect(state.hasExclusive)
    _ = state.leave(2)
    #expect(isRefused(state.request(request(3, mode(.exclusive, topicEpoch: 0))), .producerFenced))
    #expect(state.request(request(4, mode(.exclusive, topicEpoch: 1))) == .admitted(topicEpoch: 1, fenced: []))
  }

  @Test func theLimitHolds() {
    var state = ProducerAdmission(maximumProducers: 2, topicEpoch: nil)
    _ = state.request(request(1))
    _ = state.request(request(2))
    #expect(isRefused(state.request(request(3)), .producerBusy))
    _ = state.leave(1)
    #expect(state.request(request(4)) == .admitted(topicEpoch: nil, fenced: []))
  }

  private struct Mode {
    var mode: ProducerAdmission.AccessMode
    var topicEpoch: Int64?
  }

  private func mode(_ mode: ProducerAdmission.AccessMode, topicEpoch: Int64? = nil) -> Mode {
    Mode(mode: mode, topicEpoch: topicEpoch)
  }

  private func request(_ id: UInt64, _ mode: Mode) -> ProducerAdmission.Request {
    request(id, nil, mode.mode, topicEpoch: mode.topicEpoch)
  }
}
