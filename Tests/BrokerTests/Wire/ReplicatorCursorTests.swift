import NIOCore
import PulsarWire
import TestSupport
import Testing
import TopicLog

@testable import Broker

@Suite(.serialized) struct ReplicatorCursorTests {
  /// What is published before the cursor exists would never be sent, as it begins with the next message.
  @Test func aTopicServesOnlyWhenItsReplicatorHasACursor() async throws {
    try await TemporaryDirectory.with { directory in
      let region = try await TestRegion.start(in: directory)
      region.broker.setReplicatorFactory(IdleReplicators())
      try await region.policies.updateNamespace(.publicDefault) {
        $0.replicationClusters = ["eu", "us"]
        $0.replicationStartAt = .latest
      }
      let topic = "persistent://public/default/t"
      let client = try await region.connect()
      region.metadata.refuse("pulsar.repl.us")
      try await client.sendProducer(topic)
      let error = try await client.receive(.error).error
      #expect(error.error == .serviceNotReady)
      #expect(error.message.contains("cannot begin, as its cursor cannot be made"))
      region.metadata.refuse(nil)
      try await client.producer(topic)
      try await client.send(SendCommand(producerID: 1, sequenceID: 0), try WireClient.entry("first"))
      _ = try await client.receipt()
      let loaded = try #require(region.broker.loadedTopic(try TopicName(topic)))
      #expect(try await loaded.onLoop { $0.log.cursors["pulsar.repl.us"]?.backlogEntries } == 1)
      try await client.close()
      try await region.stop()
    }
  }
}

/// Replicators that never send anything.
private struct IdleReplicators: TopicReplicatorFactory {
  func makeReplicator(topic: Topic, remoteCluster: String, cursor: TopicCursor) -> any TopicReplicator {
    IdleReplicator()
  }
}

private final class IdleReplicator: TopicReplicator {
  func start() {}
  func stop(completion: @escaping () -> Void) { completion() }
  func entriesAppended() {}
  func policyChanged() {}
  func stats() -> ReplicatorStats { ReplicatorStats() }
}
