import NIOCore
import Testing

@testable import PulsarClient

@Suite struct ProducerStateTests {
  private func entry(_ first: UInt64, _ last: UInt64, payload: Int = 0) -> PendingSends<Int>.Entry {
    .init(
      firstSequence: first, lastSequence: last, messages: Int(last - first) + 1, bytes: 10, enqueuedAt: .now(),
      payload: payload)
  }

  @Test func receiptsCompleteEntriesInOrder() {
    var pending = PendingSends<Int>()
    pending.append(entry(0, 4))
    pending.append(entry(5, 5))
    guard case .outOfOrder = pending.receipt(sequence: 5) else {
      Issue.record("a receipt that skips an entry was taken")
      return
    }
    guard case .completed(let first) = pending.receipt(sequence: 2) else {
      Issue.record("a number of the batch was not recognised")
      return
    }
    #expect(first.messages == 5 && pending.messages == 1 && pending.bytes == 10)
    guard case .stale = pending.receipt(sequence: 4) else {
      Issue.record("an old receipt was taken")
      return
    }
    let removed = pending.remove { $0.firstSequence == 5 }
    #expect(removed.count == 1)
    #expect(pending.isEmpty && pending.messages == 0 && pending.bytes == 0)
  }

  @Test func keysHashAsInOtherClients() {
    #expect(KeyHashing.javaString.hash("hello") == 99_162_322)
    #expect(KeyHashing.javaString.hash("") == 0)
    #expect(KeyHashing.murmur3.hash("") == 0)
    // Values that the Java client's own tests state.
    #expect(KeyHashing.murmur3.hash("k1") == 2_110_152_746)
    #expect(KeyHashing.murmur3.hash("k2") == 1_479_966_664)
    #expect(KeyHashing.murmur3.hash("key1") == 462_881_061)
    #expect(KeyHashing.murmur3.hash("key2") == 1_936_800_180)
    #expect(KeyHashing.murmur3.hash("key01") == 39_696_932)
    #expect(KeyHashing.murmur3.hash("key02") == 751_761_803)
  }

  @Test func messagesWithoutKeyFillABatchBeforeTheyMoveOn() {
    var configuration = ProducerConfiguration()
    configuration.batchingMaxMessages = 3
    var router = PartitionRouter(partitions: 3, configuration: configuration, start: 0)
    let now = NIODeadline.uptimeNanoseconds(1_000_000)
    let route = (0..<9).map { _ in router.route(key: nil, bytes: 1, now: now) }
    #expect(route == [0, 0, 0, 1, 1, 1, 2, 2, 2])
    #expect(router.route(key: nil, bytes: 1, now: now) == 0)
    #expect(router.route(key: nil, bytes: 1, now: now + .seconds(1)) == 1)
    #expect(router.route(key: "hello", bytes: 1, now: now) == 99_162_322 % 3)
  }
}
