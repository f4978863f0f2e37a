import NIOConcurrencyHelpers
import TestSupport
import Testing
import TopicLog

@testable import Broker

/// Replicators that send nothing and stop when they are told twice.
private final class SlowReplicators: TopicReplicatorFactory {
  let held = NIOLockedValueBox<[@Sendable () -> Void]>([])
  let isHolding = NIOLockedValueBox(true)

  func makeReplicator(topic: Topic, remoteCluster: String, cursor: TopicCursor) -> any TopicReplicator {
    Replicator(owner: self)
  }

  func release() {
    isHolding.withLockedValue { $0 = false }
    for completion in held.withLockedValue({ $0 }) { completion() }
  }

  final class Replicator: TopicReplicator {
    let owner: SlowReplicators
    init(owner: SlowReplicators) { self.owner = owner }
    func start() {}
    func stop(completion: @escaping () -> Void) {
      guard owner.isHolding.withLockedValue({ $0 }) else { return completion() }
      nonisolated(unsafe) let completion = completion
      owner.held.withLockedValue { $0.append { completion() } }
    }
    func entriesAppended() {}
    func policyChanged() {}
    func stats() -> ReplicatorStats { ReplicatorStats() }
  }
}

@Suite(.serialized) struct PolicyChangeTests {
  @Test func oneChangeOfPoliciesIsCarriedOutBehindTheOther() async throws {
    let replicators = SlowReplicators()
    try await TestRegion.with(replicators: replicators) { region in
      let name = try TopicName("persistent://public/default/t")
      try await region.broker.createSubscription("s", on: name, at: .earliest)
      let topic = try #require(region.broker.loadedTopic(name))
      var with = try await topic.onLoop { $0.policies }
      with.remoteClusters = ["us"]
      var without = with
      without.remoteClusters = []
      await topic.apply(with)
      #expect(try await topic.onLoop { $0.runningReplicators.count } == 1)
      let (taken, given) = (without, with)
      let removal = Task { await topic.apply(taken) }
      await eventually { replicators.held.withLockedValue { !$0.isEmpty } }
      let second = Task { await topic.apply(given) }
      // The second change must wait, however often it could have had its turn.
      for _ in 0..<200 {
        await Task.yield()
        #expect(try await topic.onLoop { $0.policies.remoteClusters } == [])
      }
      try await topic.onLoop { _ in replicators.release() }
      await removal.value
      await second.value
      try await topic.onLoop { topic in
        #expect(topic.runningReplicators.count == 1)
        #expect(topic.log.cursors["pulsar.repl.us"] != nil)
      }
    }
  }
}
