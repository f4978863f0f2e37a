import Broker
import GeoReplication
import NIOCore
import PulsarWire
import TestSupport
import Testing

/// Two whole regions, over TLS.
@Suite(.serialized) struct TwoRegionTests {
  @Test func bothDirectionsAtOnceExactlyOnceInOrderAndWithoutEcho() async throws {
    try await GeoPair.with { pair in
      let topic = try GeoPair.topic("both")
      let here = TestProducer("app-us", to: topic, in: pair.us)
      let there = TestProducer("app-eu", to: topic, in: pair.eu)
      try await withThrowingTaskGroup(of: Void.self) { group in
        for producer in [here, there] {
          group.addTask { for _ in 0..<5 { try await producer.send(100) } }
        }
        try await group.waitForAll()
      }
      for region in [pair.us, pair.eu] {
        await eventually { try await region.stored(topic).count == 1000 }
        let stored = try await region.stored(topic)
        #expect(sequences(stored) == ["app-us": Array(0..<500), "app-eu": Array(0..<500)])
        let other = region === pair.us ? "eu" : "us"
        #expect(stored.allSatisfy { $0.replicatedFrom == ($0.producer == "app-\(other)" ? other : nil) })
      }
      await eventually {
        let link = await pair.link(from: pair.us)
        return link?.state == .ok && link?.behindMessages == 0 && link?.behindSeconds == 0
      }
      let report = await pair.us.replication.lag()
      #expect(report.links.first?.connected == true)
      #expect(report.links.first?.topics == 1)
      #expect(report.links.first?.rttMs ?? 0 > 0)
      #expect(report.namespaces.first?.namespace == GeoPair.namespace)
    }
  }

  @Test func aLinkIsConnectedBeforeTheFirstMessage() async throws {
    try await GeoPair.with { pair in
      await eventually { await pair.link(from: pair.us)?.connected == true }
      await eventually { await pair.link(from: pair.eu)?.state == .ok }
    }
  }

  @Test func aLongPathShowsInTheRoundTripAndNowhereElse() async throws {
    try await GeoPair.with(
      delay: .milliseconds(60),
      body: { pair in
        let topic = try GeoPair.topic("far")
        try await TestProducer("app", to: topic, in: pair.us).send(1000, padding: 10_000)
        await eventually { try await pair.eu.stored(topic).count == 1000 }
        await eventually { await pair.link(from: pair.us)?.behindMessages == 0 }
        let link = await pair.link(from: pair.us)
        #expect(link?.rttMs ?? 0 >= 120)
        #expect(abs(link?.clockSkewMs ?? 1000) < 500)
        #expect(link?.resentEntries == 0)
      })
  }

  @Test func theProducersRegionsAreRespected() async throws {
    try await GeoPair.with { pair in
      let topic = try GeoPair.topic("selective")
      let producer = TestProducer("app", to: topic, in: pair.us)
      try await producer.send(30) { metadata in
        switch metadata.sequenceID % 3 {
        case 0: metadata.replicateTo = ["__local__"]
        case 1: metadata.replicateTo = ["eu", "ap"]
        default: break
        }
      }
      await eventually { try await pair.eu.stored(topic).count == 20 }
      #expect(try await pair.eu.stored(topic).map(\.sequence) == (0..<30).filter { $0 % 3 != 0 })
      await eventually { await pair.link(from: pair.us)?.behindMessages == 0 }
    }
  }

  @Test func partitionsAreMadeThereAsTheyAreHere() async throws {
    try await GeoPair.with { pair in
      let whole = try GeoPair.topic("parts")
      try await pair.us.broker.createPartitionedTopic(whole, partitions: 2)
      await eventually { try await pair.eu.broker.partitionedTopic(whole)?.partitions == 2 }
      try await TestProducer("app", to: whole.partition(1), in: pair.us).send(10)
      await eventually { try await pair.eu.stored(whole.partition(1)).count == 10 }
      try await pair.us.broker.updatePartitions(whole, to: 3)
      await eventually { try await pair.eu.broker.partitionedTopic(whole)?.partitions == 3 }
    }
  }

  @Test func schemaVersionsAreThoseOfTheRegion() async throws {
    try await GeoPair.with { pair in
      let topic = try GeoPair.topic("schema")
      func schema(_ name: String) -> ProtoSchema {
        var schema = ProtoSchema()
        schema.name = "schema"
        schema.type = .json
        let fields = #"[{"name":"\#(name)","type":["null","string"],"default":null}]"#
        schema.schemaData = .init(#"{"type":"record","name":"R","fields":\#(fields)}"#.utf8)
        return schema
      }
      // The same schema is the second version there and the first here.
      try await TestProducer("first", to: topic, in: pair.eu).send(1, schema: schema("other")) {
        $0.replicateTo = ["__local__"]
      }
      try await TestProducer("second", to: topic, in: pair.us).send(20, schema: schema("name"))
      await eventually { try await pair.eu.stored(topic).count == 21 }
      let stored = try await pair.eu.stored(topic)
      #expect(sequences(stored)["second"] == Array(0..<20))
      #expect(stored.filter { $0.producer == "second" }.allSatisfy { $0.schemaVersion == [0, 0, 0, 0, 0, 0, 0, 1] })
      #expect(try await pair.us.stored(topic).allSatisfy { $0.schemaVersion == [0, 0, 0, 0, 0, 0, 0, 0] })
    }
  }

  @Test(arguments: [ReplicationStart.earliest, .latest])
  func aLaterReplicatorStartsWhereThePolicySays(start: ReplicationStart) async throws {
    try await GeoPair.with(namespaceInUS: {
      $0.replicationClusters = ["us"]
      $0.replicationStartAt = start
    }) { pair in
      let topic = try GeoPair.topic("start")
      let producer = TestProducer("app", to: topic, in: pair.us)
      try await producer.send(10)
      try await pair.us.policies.setReplicationClusters(topic.namespace, ["us", "eu"])
      await eventually {
        try await pair.us.broker.topicStats(topic, StatsOptions()).replication["eu"]?.connected == true
      }
      try await producer.send(5)
      let expected: [UInt64] = start == .earliest ? Array(0..<15) : Array(10..<15)
      await eventually { try await pair.eu.stored(topic).map(\.sequence) == expected }
    }
  }

  @Test func pulsarsLanguageWorksAsWell() async throws {
    try await GeoPair.with({ $0.linkProtocol = .pulsar }) { pair in
      let topic = try GeoPair.topic("pulsar")
      let producer = TestProducer("app", to: topic, in: pair.us)
      try await producer.send(200)
      await eventually { try await pair.eu.stored(topic).count == 200 }
      try await pair.toEU.reset()
      try await producer.send(200)
      await eventually { try await pair.eu.stored(topic).count == 400 }
      #expect(sequences(try await pair.eu.stored(topic)) == ["app": Array(0..<400)])
      await eventually { await pair.link(from: pair.us)?.behindMessages == 0 }
    }
  }
}
