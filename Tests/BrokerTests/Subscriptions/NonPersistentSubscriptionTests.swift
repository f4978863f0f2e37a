import NIOCore
import NIOEmbedded
import Testing
import TopicLog

@testable import Broker

@Suite struct NonPersistentSubscriptionTests {
  private let loop = EmbeddedEventLoop()

  private func make() -> NonPersistentSubscription {
    NonPersistentSubscription(topic: "t", name: "s", eventLoop: loop, wallClockMs: { 1 })
  }

  private func options(_ name: String) -> ConsumerOptions { ConsumerOptions(consumerID: 1, name: name) }

  private func entries(_ range: Range<Int64>, messages: Int? = nil) throws -> [LogEntry] {
    try range.map {
      LogEntry(
        position: Position(ledgerID: 0, entryID: $0), payload: try StoredEntry.make("\($0)", messages: messages),
        cumulativeLength: 0)
    }
  }

  @Test func deliversAtOnceAndDropsWithoutPermits() throws {
    let subscription = make()
    let sink = RecordingSink()
    let consumer = try subscription.addConsumer(options("a"), type: .exclusive, sink: sink)
    subscription.publish(try entries(0..<2))
    consumer.flow(permits: 3)
    subscription.publish(try entries(2..<7))
    #expect(sink.texts == ["2", "3", "4"])
    #expect(sink.batches == 1)
    #expect(subscription.droppedMessages(now: .now()).total == 4)
    consumer.flow(permits: 5)
    sink.isWritable = false
    subscription.publish(try entries(7..<8))
    sink.isWritable = true
    subscription.publish(try entries(8..<9))
    #expect(sink.texts == ["2", "3", "4", "8"])
    #expect(subscription.stats().msgOutCounter == 4)
    #expect(subscription.stats().consumers.first?.availablePermits == 4)
    #expect(throws: SubscriptionError.self) {
      try subscription.addConsumer(options("b"), type: .exclusive, sink: RecordingSink())
    }
    #expect(throws: SubscriptionError.self) {
      try subscription.addConsumer(options("b"), type: .shared, sink: RecordingSink())
    }
  }

  @Test func sharedConsumersTakeTurns() throws {
    let subscription = make()
    let sinks = [RecordingSink(), RecordingSink()]
    for (index, sink) in sinks.enumerated() {
      try subscription.addConsumer(options("c\(index)"), type: .shared, sink: sink).flow(permits: 10)
    }
    subscription.publish(try entries(0..<6))
    #expect(sinks[0].texts == ["0", "2", "4"])
    #expect(sinks[1].texts == ["1", "3", "5"])
  }

  @Test func leavingAndClosing() throws {
    let subscription = make()
    let sink = RecordingSink()
    var left = 0
    subscription.onLastConsumerLeft = { _ in left += 1 }
    let consumer = try subscription.addConsumer(options("a"), type: .failover, sink: sink)
    loop.run()
    #expect(sink.activeNotices == [true])
    try subscription.checkUnsubscribe(consumer)
    consumer.close()
    consumer.close()
    #expect(left == 1)
    let again = try subscription.addConsumer(options("a"), type: .shared, sink: sink)
    subscription.close(.topicClosed)
    #expect(sink.closed == .topicClosed)
    #expect(!again.isAttached)
    #expect(left == 1)
    #expect(throws: SubscriptionError.closed("s")) {
      try subscription.addConsumer(options("a"), type: .shared, sink: sink)
    }
  }
}
