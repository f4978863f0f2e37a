import NIOCore
import TestSupport
import Testing
import TopicLog

@testable import Broker

@Suite struct SubscriptionControlTests {
  @Test func seekDisconnectsAndDeliversFromThere() async throws {
    try await SubscriptionHarness.with { harness in
      let positions = try await harness.append(0..<10)
      let subscription = try await harness.open()
      let (consumer, sink) = try await harness.consumer(subscription)
      await harness.wait(sink, count: 10)
      try await harness.on { _ = consumer.acknowledgeCumulative(Acknowledgement(positions[9])) }
      try await subscription.seek(to: positions[4])
      try await harness.on {
        #expect(sink.closed == .seek)
        #expect(!consumer.isAttached)
        // Late frames of the consumer that was closed.
        consumer.flow(permits: 5)
        #expect(consumer.acknowledge([Acknowledgement(positions[5])]) == nil)
        #expect(subscription.backlogEntries == 6)
      }
      let (_, again) = try await harness.consumer(subscription)
      await harness.wait(again, count: 6)
      #expect(try await harness.texts(again) == (4..<10).map(String.init))
    }
  }

  @Test(arguments: [(5_000, 5), (5_001, 6), (0, 0), (99_000, 10)])
  func seekByTime(publishTimeMs: Int64, first: Int) async throws {
    try await SubscriptionHarness.with(entriesPerLedger: 4) { harness in
      try await harness.append(0..<10)
      let subscription = try await harness.open(initial: .latest)
      try await subscription.seek(toPublishTimeMs: publishTimeMs)
      let (_, sink) = try await harness.consumer(subscription)
      try await harness.append(10..<12)
      await harness.wait(sink, count: 12 - first)
      #expect(try await harness.texts(sink) == (first..<12).map(String.init))
    }
  }

  @Test func seekToTheEndsAndIntoABatch() async throws {
    try await SubscriptionHarness.with { harness in
      let positions = try await harness.append([
        try StoredEntry.make("batch", messages: 4), try StoredEntry.make("b"),
      ])
      let subscription = try await harness.open()
      try await subscription.seek(to: .latest)
      #expect(try await harness.on { subscription.backlogEntries } == 0)
      try await subscription.seek(to: .earliest)
      #expect(try await harness.on { subscription.backlogEntries } == 2)
      try await subscription.seek(to: positions[0], ackSet: [0b1100])
      let (_, sink) = try await harness.consumer(subscription, type: .shared)
      await harness.wait(sink, count: 2)
      try await harness.on {
        #expect(sink.deliveries[0].ackSet == [0b1100])
        #expect(sink.deliveries[0].messages == 2)
      }
    }
  }

  @Test func aReaderSurvivesItsSeek() async throws {
    try await SubscriptionHarness.with { harness in
      let positions = try await harness.append(0..<5)
      let subscription = try await harness.reader(.at(positions[3]))
      let left = SendableCounter()
      try await harness.on { subscription.onLastConsumerLeft = { _ in left.value += 1 } }
      let (_, sink) = try await harness.consumer(subscription)
      await harness.wait(sink, count: 2)
      #expect(try await harness.texts(sink) == ["3", "4"])
      try await subscription.seek(to: positions[1])
      #expect(left.value == 0)
      let (again, sink2) = try await harness.consumer(subscription)
      await harness.wait(sink2, count: 4)
      #expect(try await harness.texts(sink2) == ["1", "2", "3", "4"])
      try await harness.on { again.close() }
      #expect(left.value == 1)
    }
  }

  @Test func skipPeekAndSkipAll() async throws {
    try await SubscriptionHarness.with(entriesPerLedger: 3) { harness in
      let positions = try await harness.append(0..<10)
      let subscription = try await harness.open()
      let (consumer, sink) = try await harness.consumer(subscription, type: .shared, permits: 4)
      await harness.wait(sink, count: 4)
      try await harness.on { _ = consumer.acknowledge([Acknowledgement(positions[1])]) }
      let peeked = try await subscription.peek(2)
      #expect(peeked?.position == positions[2])
      #expect(try await subscription.peek(10) == nil)
      #expect(try await subscription.skip(2) == 2)
      try await harness.on {
        #expect(subscription.markDelete == positions[2])
        #expect(subscription.stats().unackedMessages == 1)
        consumer.flow(permits: 100)
      }
      await harness.wait(sink, count: 10)
      #expect(try await harness.texts(sink) == (0..<10).map(String.init))
      try await subscription.skipAll()
      try await harness.on {
        #expect(subscription.backlogEntries == 0)
        #expect(subscription.stats().unackedMessages == 0)
      }
      #expect(try await subscription.skip(5) == 0)
      try await harness.append(10..<11)
      await harness.wait(sink, count: 11)
    }
  }

  @Test func oldMessagesExpire() async throws {
    try await SubscriptionHarness.with(entriesPerLedger: 4) { harness in
      let positions = try await harness.append(0..<10)
      let subscription = try await harness.open()
      #expect(try await subscription.expireMessages(publishedBeforeMs: 0) == 0)
      #expect(try await subscription.expireMessages(publishedBeforeMs: 6_000) == 6)
      #expect(try await subscription.expireMessages(publishedBeforeMs: 6_000) == 0)
      try await harness.on {
        #expect(subscription.markDelete == positions[5])
        #expect(subscription.stats().totalMsgExpired == 6)
      }
      let (_, sink) = try await harness.consumer(subscription)
      await harness.wait(sink, count: 4)
      #expect(try await harness.texts(sink) == ["6", "7", "8", "9"])
      #expect(try await subscription.expireMessages(publishedBeforeMs: .max) == 4)
    }
  }

  @Test func unsubscribeNeedsToBeAlone() async throws {
    try await SubscriptionHarness.with { harness in
      let subscription = try await harness.open()
      let (a, _) = try await harness.consumer(subscription, "a", type: .shared)
      let (b, sinkB) = try await harness.consumer(subscription, "b", type: .shared)
      await #expect(throws: SubscriptionError.self) { try await subscription.unsubscribe(a) }
      await #expect(throws: SubscriptionError.self) { try await subscription.delete(force: false) }
      try await harness.on { a.close() }
      await #expect(throws: SubscriptionError.self) { try await subscription.unsubscribe(a) }
      try await subscription.unsubscribe(b)
      try await harness.on {
        #expect(subscription.isClosed)
        // Its session answers the request itself.
        #expect(sinkB.closed == nil)
        #expect(harness.log.cursors["s"] == nil)
      }
      await #expect(throws: SubscriptionError.closed("s")) { try await harness.consumer(subscription) }
    }
  }

  @Test func forcedDeletionDisconnects() async throws {
    try await SubscriptionHarness.with { harness in
      let subscription = try await harness.open()
      let (_, sink) = try await harness.consumer(subscription)
      try await subscription.delete(force: true)
      try await harness.on {
        #expect(sink.closed == .subscriptionDeleted)
        #expect(harness.log.cursors.isEmpty)
      }
      await #expect(throws: SubscriptionError.closed("s")) { try await subscription.seek(to: .earliest) }
    }
  }

  @Test func propertiesAndFlagsStay() async throws {
    try await SubscriptionHarness.with { harness in
      let first = try await harness.open(properties: ["a": "1", "ü": ""], isReplicated: true)
      try await harness.on { first.close(.topicClosed) }
      let again = try await harness.open(properties: ["other": "x"])
      #expect(again.properties == ["a": "1", "ü": ""])
      #expect(again.isReplicated)
      try await again.setProperties(["b": "2"])
      try await harness.on { again.close(.topicClosed) }
      let third = try await harness.open(isReplicated: false)
      #expect(third.properties == ["b": "2"])
      #expect(!third.isReplicated)
    }
  }

  @Test func endOfTopicIsToldOnce() async throws {
    try await SubscriptionHarness.with { harness in
      let positions = try await harness.append(0..<3)
      let subscription = try await harness.open()
      let (consumer, sink) = try await harness.consumer(subscription)
      await harness.wait(sink, count: 3)
      _ = try await harness.log.terminate()
      try await harness.on {
        subscription.topicTerminated()
        #expect(sink.endOfTopicNotices == 0)
        _ = consumer.acknowledgeCumulative(Acknowledgement(positions[2]))
        #expect(sink.endOfTopicNotices == 1)
        consumer.flow(permits: 1)
        #expect(sink.endOfTopicNotices == 1)
      }
    }
  }

  @Test func statistics() async throws {
    try await SubscriptionHarness.with { harness in
      let subscription = try await harness.open()
      let (consumer, sink) = try await harness.consumer(subscription, "me", permits: 10)
      let positions = try await harness.append(0..<4)
      await harness.wait(sink, count: 4)
      try await harness.on {
        _ = consumer.acknowledgeCumulative(Acknowledgement(positions[1]))
        let stats = subscription.stats()
        #expect(stats.msgOutCounter == 4)
        #expect(stats.msgRateOut > 0)
        #expect(stats.bytesOutCounter > 0)
        #expect(stats.msgBacklog == 2)
        #expect(stats.backlogSize > 0)
        #expect(stats.type == "Exclusive")
        #expect(stats.activeConsumerName == "me")
        #expect(stats.isDurable)
        #expect(stats.lastAckedTimestamp == 1_000_000)
        #expect(stats.lastMarkDeleteAdvancedTimestamp == 1_000_000)
        #expect(stats.messageAckRate > 0)
        #expect(stats.consumers.count == 1)
        #expect(stats.consumers[0].availablePermits == 6)
        #expect(stats.consumers[0].avgMessagesPerEntry == 1)
        #expect(subscription.stats(backlogSize: false, excludeConsumers: true).backlogSize == -1)
      }
    }
  }
}

/// A count that a closure on the loop changes and the test reads after it hopped there.
final class SendableCounter: @unchecked Sendable {
  var value = 0
}
