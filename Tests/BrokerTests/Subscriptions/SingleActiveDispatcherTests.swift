import NIOCore
import Testing

@testable import Broker

@Suite struct SingleActiveDispatcherTests {
  private typealias Notice = SingleActiveDispatcher.Notice
  private let start = NIODeadline.uptimeNanoseconds(1_000)

  private func failover(partition: Int = 0, delay: TimeAmount = .zero) -> SingleActiveDispatcher {
    SingleActiveDispatcher(
      kind: .failover(ActiveConsumerSelector(partitionIndex: partition, topic: "t"), delay: delay))
  }

  @Test func exclusiveTakesOneConsumer() throws {
    var dispatcher = SingleActiveDispatcher(kind: .exclusive)
    let change = try dispatcher.add(1, name: "a", priorityLevel: 0, now: start)
    #expect(change.rewind)
    #expect(throws: SubscriptionError.self) { try dispatcher.add(2, name: "b", priorityLevel: 0, now: start) }
    #expect(dispatcher.activeConsumer == 1)
    _ = dispatcher.remove(1, now: start)
    #expect(dispatcher.activeConsumer == nil)
    #expect(try dispatcher.add(2, name: "b", priorityLevel: 0, now: start).rewind == true)
  }

  @Test func permitsAreMessagesAndABatchMayOvershoot() throws {
    var dispatcher = SingleActiveDispatcher(kind: .exclusive)
    _ = try dispatcher.add(1, name: "a", priorityLevel: 0, now: start)
    #expect(dispatcher.offer(messages: 1) == .hold)
    dispatcher.grant(1, permits: 3)
    #expect(dispatcher.offer(messages: 1) == .deliver(1, redeliveryCount: 0))
    #expect(dispatcher.demand == 2)
    #expect(dispatcher.offer(messages: 10) == .deliver(1, redeliveryCount: 0))
    #expect(dispatcher.demand == -8)
    dispatcher.grant(1, permits: 8)
    #expect(dispatcher.offer(messages: 1) == .hold)
    dispatcher.grant(1, permits: .max)
    dispatcher.grant(1, permits: .max)
    #expect(dispatcher.demand == .max)
    dispatcher.setWritable(1, false)
    #expect(dispatcher.offer(messages: 1) == .hold)
    #expect(dispatcher.demand == 0)
  }

  @Test func failoverPrefersPriorityThenName() throws {
    var dispatcher = failover()
    var change = try dispatcher.add(1, name: "m", priorityLevel: 1, now: start)
    #expect(change.notices == [Notice(consumer: 1, isActive: true)])
    #expect(change.rewind)
    change = try dispatcher.add(2, name: "z", priorityLevel: 1, now: start)
    #expect(change.notices == [Notice(consumer: 2, isActive: false)])
    #expect(!change.rewind)
    change = try dispatcher.add(3, name: "b", priorityLevel: 1, now: start)
    #expect(dispatcher.activeConsumer == 3)
    #expect(change.rewind)
    #expect(Set(change.notices.filter(\.isActive).map(\.consumer)) == [3])
    #expect(change.notices.count == 3)
    change = try dispatcher.add(4, name: "zz", priorityLevel: 0, now: start)
    #expect(dispatcher.activeConsumer == 4)
    change = dispatcher.remove(4, now: start)
    #expect(dispatcher.activeConsumer == 3)
    #expect(change.rewind)
    // A passive one that leaves changes nothing.
    #expect(dispatcher.remove(2, now: start) == SingleActiveDispatcher.Change())
    #expect(dispatcher.remove(99, now: start) == SingleActiveDispatcher.Change())
  }

  @Test func partitionsSpreadOverConsumers() throws {
    let active = try (0..<6).map { partition -> ConsumerKey? in
      var dispatcher = failover(partition: partition)
      for key in 0..<3 { _ = try dispatcher.add(key, name: "c\(key)", priorityLevel: 0, now: start) }
      return dispatcher.activeConsumer
    }
    #expect(active == [0, 1, 2, 0, 1, 2])
  }

  @Test func topicsWithoutPartitionsSpreadToo() {
    let names = ["c0", "c1", "c2"]
    let picks = (0..<200).map { ActiveConsumerSelector(partitionIndex: -1, topic: "topic-\($0)").pick(names) }
    for index in 0..<3 { #expect(picks.filter { $0 == index }.count > 20) }
    #expect(ActiveConsumerSelector(partitionIndex: -1, topic: "x").pick(["only"]) == 0)
  }

  @Test func takingOverFromALiveConsumerWaits() throws {
    var dispatcher = failover(delay: .seconds(1))
    _ = try dispatcher.add(1, name: "m", priorityLevel: 0, now: start)
    dispatcher.grant(1, permits: 10)
    let change = try dispatcher.add(2, name: "a", priorityLevel: 0, now: start)
    #expect(!change.rewind)
    #expect(change.wakeAt == start + .seconds(1))
    dispatcher.grant(2, permits: 10)
    #expect(dispatcher.offer(messages: 1) == .hold)
    #expect(dispatcher.demand == 0)
    #expect(dispatcher.timeReached(start + .milliseconds(999)) == SingleActiveDispatcher.Change())
    #expect(dispatcher.timeReached(start + .seconds(1)).rewind == true)
    #expect(dispatcher.offer(messages: 1) == .deliver(2, redeliveryCount: 0))
    // From one that is gone there is nothing to wait for.
    #expect(dispatcher.remove(2, now: start).rewind == true)
    #expect(dispatcher.offer(messages: 1) == .deliver(1, redeliveryCount: 0))
  }

  @Test func onlyTheActiveOneAsksForRedelivery() throws {
    var dispatcher = failover()
    _ = try dispatcher.add(1, name: "a", priorityLevel: 0, now: start)
    _ = try dispatcher.add(2, name: "b", priorityLevel: 0, now: start)
    #expect(dispatcher.redeliverAll(1))
    #expect(!dispatcher.redeliverAll(2))
  }
}
