import Broker
import GeoReplication
import TestSupport
import Testing

/// Two whole regions: what policies keep apart, and what is on record when something is lost.
@Suite(.serialized) struct PolicyTests {
  @Test func residencyBeatsWhatOtherPoliciesNameAndIsCounted() async throws {
    try await GeoPair.with(namespaceInUS: { $0.residencyDeny = ["eu"] }) { pair in
      let topic = try GeoPair.topic("residency")
      let producer = TestProducer("app", to: topic, in: pair.us)
      try await producer.send(5)
      let stats = try await pair.us.broker.topicStats(topic, StatsOptions()).replication["eu"]
      #expect(stats?.msgDeniedCount == 5)
      #expect(stats?.connected == false)
      #expect(await pair.us.replication.lag().links.isEmpty)
      try await pair.us.policies.updateNamespace(topic.namespace) { $0.residencyDeny = [] }
      await eventually { try await pair.eu.stored(topic).count == 5 }
    }
  }

  @Test func aRegionWhoseAllowedClustersLeaveTheSenderOutSaysSo() async throws {
    try await GeoPair.with { pair in
      let topic = try GeoPair.topic("unnamed")
      try await pair.eu.policies.setReplicationClusters(topic.namespace, ["eu"])
      try await pair.eu.policies.setAllowedClusters(topic.namespace, ["eu"])
      try await TestProducer("app", to: topic, in: pair.us).send(5)
      await eventually { await pair.link(from: pair.us)?.state == .blocked }
      #expect(await pair.link(from: pair.us)?.reason.contains("takes no messages of region us") == true)
      #expect(try await pair.eu.stored(topic).isEmpty)
      // To receive and not to send.
      try await pair.eu.policies.setAllowedClusters(topic.namespace, ["eu", "us"])
      await eventually { try await pair.eu.stored(topic).count == 5 }
    }
  }

  @Test func aRegionThatOnlyReceivesNeedsNoPolicyForIt() async throws {
    try await GeoPair.with { pair in
      let topic = try GeoPair.topic("one-way")
      try await pair.eu.policies.setReplicationClusters(topic.namespace, ["eu"])
      try await TestProducer("app", to: topic, in: pair.us).send(5)
      await eventually { try await pair.eu.stored(topic).count == 5 }
    }
  }

  @Test func aStreamThatIsLedToAnotherRegionIsNotOpened() async throws {
    try await GeoPair.with { pair in
      await eventually { await pair.link(from: pair.us)?.connected == true }
      try await pair.toEU.setTarget(pair.us.tlsPort)
      try await TestProducer("app", to: try GeoPair.topic("astray"), in: pair.us).send(1)
      await eventually { await pair.link(from: pair.us)?.state == .blocked }
      #expect(await pair.link(from: pair.us)?.reason.contains("is region us, not eu") == true)
    }
  }

  @Test func aTopicThatIsLoadedAgainIsCountedMeanwhile() async throws {
    try await GeoPair.with { pair in
      let topic = try GeoPair.topic("reloaded")
      try await pair.toEU.setRefusing(true)
      try await pair.toEU.reset()
      try await TestProducer("app", to: topic, in: pair.us).send(20)
      await eventually { await pair.link(from: pair.us)?.behindMessages == 20 }
      try await pair.us.broker.unloadTopic(topic)
      let gone = await pair.link(from: pair.us)
      #expect(gone?.topics == 1)
      #expect(gone?.behindMessages == 20)
      #expect(gone?.behindSeconds ?? 0 > 0)
      try await pair.toEU.setRefusing(false)
      await eventually { try await pair.eu.stored(topic).count == 20 }
      await eventually { await pair.link(from: pair.us)?.behindMessages == 0 }
      #expect(await pair.link(from: pair.us)?.topics == 1)
    }
  }

  @Test func aGapIsOnRecordOnBothSides() async throws {
    try await GeoPair.with { pair in
      let topic = try GeoPair.topic("gap")
      let producer = TestProducer("app", to: topic, in: pair.us)
      try await producer.send(5)
      await eventually { try await pair.eu.stored(topic).count == 5 }
      await eventually { await pair.link(from: pair.us)?.behindMessages == 0 }
      // There, everything is lost.
      try await pair.eu.broker.deleteTopic(topic, force: true)
      func records() async throws -> (source: [ReplicationGap]?, destination: [ReplicationGap]?) {
        let source = try await pair.us.broker.topicStats(topic, StatsOptions()).replication["eu"]?.gaps
        return (source, try await pair.eu.broker.topicStats(topic, StatsOptions()).replication["us"]?.inboundGaps)
      }
      await eventually {
        let (source, destination) = try await records()
        return source?.count == 1 && source == destination
      }
      try await producer.send(3)
      await eventually { try await pair.eu.stored(topic).map(\.sequence) == [5, 6, 7] }
      let link = await pair.link(from: pair.us)
      #expect(link?.gaps == 1)
      #expect(link?.gapRecords?.first?.topic == topic.description)
      #expect(link?.gapRecords?.first?.gap.throughEntryId == 4)
      // They outlive the brokers.
      for region in [pair.us, pair.eu] {
        try await region.stop()
        try await region.start()
      }
      await eventually {
        let (source, destination) = try await records()
        return source?.count == 1 && source == destination
      }
    }
  }
}
