import NIOCore
import Testing

@testable import Broker

@Suite struct OriginWatermarksTests {
  private var state = OriginWatermarks()
  private let us = OriginKey(region: "us", incarnation: 7)

  private func at(_ ledger: Int64, _ entry: Int64) -> OriginPosition {
    OriginPosition(ledgerID: ledger, entryID: entry)
  }

  @Test mutating func anEntryIsStoredOnlyBehindItsPredecessor() {
    #expect(state.push(us, at(3, 0), previous: .none) == .store)
    #expect(state.push(us, at(3, 2), previous: at(3, 0)) == .store)
    #expect(state.push(us, at(3, 4), previous: at(3, 3)) == .refused(expected: at(3, 2)))
    #expect(state.push(us, at(4, 0), previous: at(3, 2)) == .store)
    #expect(state.watermark(us) == .none)
  }

  @Test mutating func whatIsStoredOrInFlightIsNotStoredAgain() {
    _ = state.push(us, at(3, 0), previous: .none)
    #expect(state.push(us, at(3, 0), previous: .none) == .inFlight)
    state.persist(us, at(3, 0))
    #expect(state.push(us, at(3, 0), previous: .none) == .stored)
    #expect(state.watermark(us) == at(3, 0))
    #expect(state.push(us, at(3, 1), previous: .none) == .refused(expected: at(3, 0)))
  }

  @Test mutating func anotherIncarnationBeginsAnew() {
    _ = state.push(us, at(9, 9), previous: .none)
    state.persist(us, at(9, 9))
    let reborn = OriginKey(region: "us", incarnation: 8)
    #expect(state.push(reborn, at(1, 0), previous: .none) == .store)
    #expect(state.watermark(us) == at(9, 9))
  }

  @Test mutating func afterAFailureTheChainGoesOnFromTheWatermark() {
    _ = state.push(us, at(3, 0), previous: .none)
    state.persist(us, at(3, 0))
    _ = state.push(us, at(3, 1), previous: at(3, 0))
    state.forgetUnpersisted()
    #expect(state.push(us, at(3, 2), previous: at(3, 1)) == .refused(expected: at(3, 0)))
    #expect(state.push(us, at(3, 1), previous: at(3, 0)) == .store)
  }

  @Test mutating func aPulsarOriginOnlyGrows() {
    let key = OriginKey(region: "old", incarnation: 0)
    #expect(state.pushIncreasing(key, at(3, 5)) == .store)
    #expect(state.pushIncreasing(key, at(3, 4)) == .inFlight)
    state.persist(key, at(3, 5))
    #expect(state.pushIncreasing(key, at(3, 4)) == .stored)
    #expect(state.pushIncreasing(key, at(5, 0)) == .store)
  }

  @Test mutating func snapshotsComeBack() throws {
    state.persist(us, at(3, 5))
    state.persist(OriginKey(region: "eu", incarnation: .max), at(1, 0))
    var buffer = ByteBuffer()
    state.encode(into: &buffer)
    let restored = try #require(OriginWatermarks(decoding: &buffer))
    #expect(restored.persisted == state.persisted)
    #expect(buffer.readableBytes == 0)
  }

  /// Whatever is sent, repeated, lost or failed: what is stored is the chain without gaps and without repetitions.
  @Test func randomDeliveriesNeverBreakTheChain() {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<200 {
      var state = OriginWatermarks()
      let chain = (0..<30).map { OriginPosition(ledgerID: Int64($0 / 7), entryID: Int64($0 % 7)) }
      var pushed: [OriginPosition] = []
      var stored: [OriginPosition] = []
      for _ in 0..<300 {
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<6:
          let index = Int.random(in: 0..<chain.count, using: &random)
          let previous = index == 0 ? OriginPosition.none : chain[index - 1]
          if state.push(us, chain[index], previous: previous) == .store { pushed.append(chain[index]) }
        case 6..<9:
          guard !pushed.isEmpty else { continue }
          let position = pushed.removeFirst()
          state.persist(us, position)
          stored.append(position)
        default:
          pushed = []
          state.forgetUnpersisted()
        }
      }
      #expect(stored == Array(chain.prefix(stored.count)))
    }
  }

  @Test func sourcePropertiesAreParsedStrictly() {
    #expect(OriginPosition(sourceProperty: "12:34") == at(12, 34))
    for bad in [nil, "", "12", "1:2:3", "-1:2", "1:-2", "a:b", "1: 2"] {
      #expect(OriginPosition(sourceProperty: bad) == nil)
    }
  }
}
