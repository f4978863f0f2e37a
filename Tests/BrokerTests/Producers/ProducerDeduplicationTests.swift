import NIOCore
import Testing

@testable import Broker

@Suite struct ProducerDeduplicationTests {
  private typealias Sequence = ProducerDeduplication.Sequence
  private var state = ProducerDeduplication(maximumProducers: 100)

  @Test mutating func aStoredMessageIsADuplicateAndOneInFlightIsUndetermined() {
    #expect(state.push("p", Sequence(0)) == .store)
    #expect(state.push("p", Sequence(0)) == .undetermined)
    state.persist("p", Sequence(0))
    #expect(state.push("p", Sequence(0)) == .duplicate)
    #expect(state.push("p", Sequence(1)) == .store)
    #expect(state.lastPersisted("p") == 0)
    #expect(state.lastPersisted("q") == -1)
  }

  @Test mutating func aBatchCoversItsLastId() {
    #expect(state.push("p", Sequence(0, through: 9)) == .store)
    state.persist("p", Sequence(0, through: 9))
    #expect(state.push("p", Sequence(5)) == .duplicate)
    #expect(state.push("p", Sequence(10, through: 12)) == .store)
    #expect(state.lastPersisted("p") == 9)
  }

  @Test mutating func chunksOfOneMessageAreToldApart() {
    for index in Int32(0)..<3 {
      #expect(state.push("p", Sequence(7, chunk: (index, 3))) == .store)
    }
    state.persist("p", Sequence(7, chunk: (0, 3)))
    #expect(state.push("p", Sequence(7, chunk: (2, 3))) == .undetermined)
    state.persist("p", Sequence(7, chunk: (1, 3)))
    state.persist("p", Sequence(7, chunk: (2, 3)))
    for index in Int32(0)..<3 {
      #expect(state.push("p", Sequence(7, chunk: (index, 3))) == .duplicate)
    }
    #expect(state.lastPersisted("p") == 7)
  }

  @Test mutating func aChunkedMessageThatWasCutOffGoesOn() {
    #expect(state.push("p", Sequence(7, chunk: (0, 2))) == .store)
    state.persist("p", Sequence(7, chunk: (0, 2)))
    #expect(state.lastPersisted("p") == -1)
    #expect(state.push("p", Sequence(7, chunk: (0, 2))) == .duplicate)
    #expect(state.push("p", Sequence(7, chunk: (1, 2))) == .store)
  }

  @Test mutating func afterAFailureWhatIsNotStoredMayComeAgain() {
    #expect(state.push("p", Sequence(0)) == .store)
    #expect(state.push("p", Sequence(1)) == .store)
    #expect(state.push("q", Sequence(4)) == .store)
    state.persist("p", Sequence(0))
    state.forgetUnpersisted()
    #expect(state.push("p", Sequence(0)) == .duplicate)
    #expect(state.push("p", Sequence(1)) == .store)
    #expect(state.push("q", Sequence(4)) == .store)
  }

  @Test mutating func aSnapshotAndTheEntriesBehindItAreTheWhole() throws {
    for id in Int64(0)..<5 {
      _ = state.push("p", Sequence(id))
      state.persist("p", Sequence(id))
    }
    _ = state.push("p", Sequence(5))
    var buffer = ByteBuffer()
    state.encode(into: &buffer)
    var restored = try #require(ProducerDeduplication(maximumProducers: 100, decoding: &buffer))
    #expect(buffer.readableBytes == 0)
    #expect(restored.lastPersisted("p") == 4)
    restored.replay("p", Sequence(4))
    restored.replay("p", Sequence(5))
    restored.replay("r", Sequence(0, through: 3))
    #expect(restored.push("p", Sequence(5)) == .duplicate)
    #expect(restored.push("p", Sequence(6)) == .store)
    #expect(restored.lastPersisted("r") == 3)
  }

  @Test func theProducersSilentLongestAreForgotten() {
    var state = ProducerDeduplication(maximumProducers: 10)
    for number in 0..<50 {
      _ = state.push("p\(number)", Sequence(1))
      state.persist("p\(number)", Sequence(1))
    }
    #expect(state.count <= 10)
    #expect(state.lastPersisted("p49") == 1)
    #expect(state.lastPersisted("p0") == -1)
  }

  @Test func aDamagedSnapshotIsRefused() {
    var state = ProducerDeduplication(maximumProducers: 10)
    state.persist("p", Sequence(1))
    var whole = ByteBuffer()
    state.encode(into: &whole)
    for length in 0..<whole.readableBytes {
      var cut = whole.getSlice(at: 0, length: length) ?? ByteBuffer()
      #expect(ProducerDeduplication(maximumProducers: 10, decoding: &cut) == nil)
    }
  }
}
