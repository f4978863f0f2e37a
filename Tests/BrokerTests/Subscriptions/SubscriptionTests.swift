import NIOCore
import TestSupport
import Testing
@testable import TopicLog

@testable import Broker

@Suite struct SubscriptionTests {
  @Test func exclusiveConsumerGetsEverythingInOrder() async throws {
    try await SubscriptionHarness.with(entriesPerLedger: 7) { harness in
      let positions = try await harness.append(0..<20)
      let subscription = try await harness.open()
      let (consumer, sink) = try await harness.consumer(subscription, permits: 5)
      await harness.wait(sink, count: 5)
      #expect(try await harness.texts(sink) == (0..<5).map(String.init))
      try await harness.on { consumer.flow(permits: 100) }
      await harness.wait(sink, count: 20)
      try await harness.append(20..<25)
      await harness.wait(sink, count: 25)
      #expect(try await harness.texts(sink) == (0..<25).map(String.init))
      try await harness.on {
        #expect(Array(sink.positions.prefix(20)) == positions)
        #expect(consumer.acknowledgeCumulative(Acknowledgement(positions[19])) == nil)
        #expect(subscription.markDelete == positions[19])
        #expect(subscription.backlogEntries == 5)
        let delivery = sink.deliveries[0]
        #expect(delivery.brokerMetadataLength > 0)
        #expect(delivery.ackSet == nil)
      }
    }
  }

  @Test func onlyOneExclusiveConsumerAndOneTypeAtATime() async throws {
    try await SubscriptionHarness.with { harness in
      let subscription = try await harness.open()
      let (consumer, _) = try await harness.consumer(subscription)
      await #expect(throws: SubscriptionError.self) { try await harness.consumer(subscription) }
      let mismatch = SubscriptionError.typeMismatch(subscription: "s", current: .exclusive, requested: .shared)
      await #expect(throws: mismatch) { try await harness.consumer(subscription, type: .shared) }
      try await harness.on { consumer.close() }
      _ = try await harness.consumer(subscription, type: .shared)
      try await harness.on {
        #expect(!consumer.isAttached)
        #expect(subscription.type == .shared)
      }
    }
  }

  @Test func theNextConsumerBeginsWithTheFirstUnacknowledged() async throws {
    try await SubscriptionHarness.with { harness in
      let positions = try await harness.append(0..<6)
      let subscription = try await harness.open()
      let (consumer, sink) = try await harness.consumer(subscription)
      await harness.wait(sink, count: 6)
      try await harness.on {
        _ = consumer.acknowledge([Acknowledgement(positions[0]), Acknowledgement(positions[3])])
        consumer.close()
      }
      let (again, sink2) = try await harness.consumer(subscription)
      await harness.wait(sink2, count: 4)
      #expect(try await harness.texts(sink2) == ["1", "2", "4", "5"])
      try await harness.on {
        sink2.clear()
        again.redeliver([])
      }
      await harness.wait(sink2, count: 4)
      #expect(try await harness.texts(sink2) == ["1", "2", "4", "5"])
    }
  }

  @Test func impossibleIDsDoNothing() async throws {
    try await SubscriptionHarness.with { harness in
      let positions = try await harness.append(0..<3)
      let subscription = try await harness.open()
      let (consumer, sink) = try await harness.consumer(subscription)
      await harness.wait(sink, count: 3)
      try await harness.on {
        let ledger = positions[0].ledgerID
        let before = subscription.markDelete
        for position in [
          Position(ledgerID: ledger, entryID: -1), Position(ledgerID: ledger, entryID: 3),
          Position(ledgerID: ledger + 5, entryID: 0), .earliest, .latest, Position(ledgerID: ledger, entryID: .min),
        ] {
          #expect(consumer.acknowledgeCumulative(Acknowledgement(position)) == nil)
          #expect(consumer.acknowledge([Acknowledgement(position)]) == nil)
          #expect(consumer.acknowledge([Acknowledgement(position, ackSet: [1], batchSize: -4)]) == nil)
        }
        #expect(subscription.markDelete == before)
        #expect(subscription.backlogEntries == 3)
        consumer.redeliver([.latest])
        consumer.flow(permits: -5)
        consumer.flow(permits: .max)
      }
    }
  }

  @Test func sharedConsumersShareAndNacksComeAgain() async throws {
    try await SubscriptionHarness.with { harness in
      let subscription = try await harness.open()
      let (a, sinkA) = try await harness.consumer(subscription, "a", type: .shared)
      let (b, sinkB) = try await harness.consumer(subscription, "b", type: .shared)
      let positions = try await harness.append(0..<10)
      await eventually(on: harness.loop) { sinkA.deliveries.count + sinkB.deliveries.count == 10 }
      try await harness.on {
        #expect(sinkA.deliveries.count == 5)
        #expect(a.acknowledgeCumulative(Acknowledgement(positions[0])) != nil)
        _ = a.acknowledge(sinkA.positions.map { Acknowledgement($0) })
        sinkB.clear()
        sinkA.clear()
        // Not its own: ignored.
        a.redeliver([positions[1]])
        b.redeliver([positions[1]])
      }
      await eventually(on: harness.loop) { sinkA.deliveries.count + sinkB.deliveries.count == 1 }
      try await harness.on {
        let delivery = (sinkA.deliveries + sinkB.deliveries)[0]
        #expect(delivery.redeliveryCount == 1)
        #expect(delivery.position == positions[1])
        sinkA.clear()
        b.close()
      }
      await harness.wait(sinkA, count: 4)
      try await harness.on {
        for delivery in sinkA.deliveries { _ = a.acknowledge([Acknowledgement(delivery.position)]) }
        _ = a.acknowledge([Acknowledgement(positions[1])])
        #expect(subscription.backlogEntries == 0)
        #expect(subscription.stats().unackedMessages == 0)
        #expect(subscription.markDelete == positions[9])
      }
    }
  }

  @Test func partlyAcknowledgedBatchesComeWithTheirAckSet() async throws {
    try await SubscriptionHarness.with { harness in
      let subscription = try await harness.open()
      let (consumer, sink) = try await harness.consumer(subscription, type: .shared, permits: 5)
      let positions = try await harness.append([
        try StoredEntry.make("batch", messages: 10), try StoredEntry.make("single"),
      ])
      await harness.wait(sink, count: 1)
      try await harness.on {
        #expect(sink.deliveries.map(\.messages) == [10])
        #expect(subscription.stats().consumers.first?.availablePermits == -5)
        // All but messages 3 and 7.
        _ = consumer.acknowledge([Acknowledgement(positions[0], ackSet: [0b10_0010_00], batchSize: 10)])
        #expect(subscription.stats().unackedMessages == 2)
        consumer.redeliver([positions[0]])
        consumer.flow(permits: 20)
      }
      await harness.wait(sink, count: 3)
      try await harness.on {
        #expect(sink.deliveries[1].ackSet == [0b10_0010_00])
        #expect(sink.deliveries[1].messages == 2)
        #expect(sink.texts[2] == "single")
        _ = consumer.acknowledge([Acknowledgement(positions[0], ackSet: [0], batchSize: 10)])
        _ = consumer.acknowledge([Acknowledgement(positions[1], ackSet: [])])
        #expect(subscription.backlogEntries == 0)
        #expect(subscription.stats().unackedMessages == 0)
      }
    }
  }

  @Test func keysStayInOrderWhileConsumersComeAndGo() async throws {
    try await SubscriptionHarness.with { harness in
      let subscription = try await harness.open()
      let keys = (0..<20).map { "key-\($0)" }
      var entries: [ByteBuffer] = []
      for number in 0..<400 { entries.append(try StoredEntry.make("\(number)", key: keys[number % keys.count])) }
      let (a, sinkA) = try await harness.consumer(subscription, "a", type: .keyShared, permits: 100)
      try await harness.append(Array(entries[..<200]))
      await harness.wait(sinkA, count: 100)
      let (b, sinkB) = try await harness.consumer(subscription, "b", type: .keyShared, permits: 1_000)
      try await harness.append(Array(entries[200...]))
      try await harness.on {
        a.flow(permits: 1_000)
        for (consumer, sink) in [(a, sinkA), (b, sinkB)] {
          sink.onDeliver = { batch in
            harness.loop.execute { _ = consumer.acknowledge(batch.map { Acknowledgement($0.position) }) }
          }
        }
        _ = a.acknowledge(sinkA.positions.map { Acknowledgement($0) })
      }
      await eventually(on: harness.loop) { subscription.backlogEntries == 0 }
      try await harness.on {
        #expect(sinkA.deliveries.count + sinkB.deliveries.count == 400)
        #expect(!sinkB.deliveries.isEmpty)
        for sink in [sinkA, sinkB] {
          var last: [Int: Int] = [:]
          for number in sink.texts.compactMap(Int.init) {
            #expect(last[number % keys.count, default: -1] < number)
            last[number % keys.count] = number
          }
        }
      }
    }
  }

  @Test func failoverConsumersAreToldAndTakeOver() async throws {
    try await SubscriptionHarness.with { harness in
      let positions = try await harness.append(0..<4)
      let subscription = try await harness.open()
      let (a, sinkA) = try await harness.consumer(subscription, "a", type: .failover)
      let (_, sinkB) = try await harness.consumer(subscription, "b", type: .failover, priority: 1)
      await harness.wait(sinkA, count: 4)
      try await harness.on {
        #expect(sinkA.activeNotices == [true])
        #expect(sinkB.activeNotices == [false])
        #expect(sinkB.deliveries.isEmpty)
        _ = a.acknowledgeCumulative(Acknowledgement(positions[1]))
        a.close()
      }
      await harness.wait(sinkB, count: 2)
      #expect(try await harness.texts(sinkB) == ["2", "3"])
      await eventually(on: harness.loop) { sinkB.activeNotices == [false, true] }
    }
  }

  @Test func aFullConnectionGetsNothingUntilItIsWritable() async throws {
    try await SubscriptionHarness.with { harness in
      let subscription = try await harness.open()
      let (consumer, sink) = try await harness.consumer(subscription)
      try await harness.on {
        sink.onDeliver = { [unowned sink] _ in sink.isWritable = false }
      }
      try await harness.append(0..<2)
      await eventually(on: harness.loop) { !sink.isWritable }
      let before = try await harness.on { sink.deliveries.count }
      try await harness.append(2..<6)
      let after = try await harness.on { sink.deliveries.count }
      #expect(before == after)
      try await harness.on {
        sink.onDeliver = nil
        sink.isWritable = true
        consumer.sinkBecameWritable()
      }
      await harness.wait(sink, count: 6)
      #expect(try await harness.texts(sink) == (0..<6).map(String.init))
    }
  }

  @Test func markersAreAcknowledgedNotDelivered() async throws {
    try await SubscriptionHarness.with { harness in
      let subscription = try await harness.open()
      let (consumer, sink) = try await harness.consumer(subscription, type: .shared)
      let positions = try await harness.append([
        try StoredEntry.make("a"), try StoredEntry.make(marker: 10), try StoredEntry.make("b"),
      ])
      await harness.wait(sink, count: 2)
      try await harness.on {
        #expect(sink.texts == ["a", "b"])
        _ = consumer.acknowledge([Acknowledgement(positions[0]), Acknowledgement(positions[2])])
        #expect(subscription.markDelete == positions[2])
      }
    }
  }

  @Test func delayedMessagesWaitInSharedSubscriptions() async throws {
    try await SubscriptionHarness.with { harness in
      let subscription = try await harness.open()
      let (_, sink) = try await harness.consumer(subscription, type: .shared)
      try await harness.append([
        try StoredEntry.make("later", deliverAtMs: 1_000_030), try StoredEntry.make("now"),
      ])
      await harness.wait(sink, count: 1)
      try await harness.on {
        #expect(sink.texts == ["now"])
        #expect(subscription.stats().msgDelayed == 1)
      }
      harness.clockMs.withLockedValue { $0 = 1_000_030 }
      await harness.wait(sink, count: 2)
      #expect(try await harness.texts(sink) == ["now", "later"])
    }
  }

  @Test func failedReadsAreTriedAgain() async throws {
    try await SubscriptionHarness.with(entriesPerLedger: 5) { harness in
      try await harness.append(0..<20)
      let subscription = try await harness.open()
      try await harness.on { harness.log.dropCaches() }
      harness.ledgers.failReads(2)
      let (_, sink) = try await harness.consumer(subscription)
      await harness.wait(sink, count: 20)
      #expect(try await harness.texts(sink) == (0..<20).map(String.init))
      #expect(harness.ledgers.failuresLeft == 0)
    }
  }

  @Test func roundsAreBounded() async throws {
    try await SubscriptionHarness.with { harness in
      var configuration = SubscriptionConfiguration()
      configuration.maxEntriesPerRound = 10
      try await harness.append(0..<95)
      let subscription = try await harness.open(configuration: configuration)
      let (_, sink) = try await harness.consumer(subscription)
      await harness.wait(sink, count: 95)
      try await harness.on {
        #expect(sink.batches == 10)
        #expect(sink.texts == (0..<95).map(String.init))
      }
    }
  }
}
