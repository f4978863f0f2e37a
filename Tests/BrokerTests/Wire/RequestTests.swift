import NIOCore
import PulsarWire
import TestSupport
import Testing

@testable import Broker

@Suite(.serialized) struct RequestTests {
  private let topic = "persistent://public/default/t"

  private func partitions(_ client: WireClient, _ topic: String) async throws
    -> ProtoCommandPartitionedTopicMetadataResponse
  {
    var request = ProtoCommandPartitionedTopicMetadata()
    request.topic = topic
    request.requestID = 1
    try await client.send(ProtoBaseCommand(request))
    return try await client.receive(.partitionedMetadataResponse).partitionMetadataResponse
  }

  @Test func partitionMetadataAndLookup() async throws {
    try await TestRegion.with { region in
      try await region.broker.createPartitionedTopic(try TopicName("parts"), partitions: 3)
      let client = try await region.connect()
      #expect(try await partitions(client, "persistent://public/default/parts").partitions == 3)
      #expect(try await partitions(client, topic).partitions == 0)
      #expect(try await partitions(client, "persistent://public/nope/x").error == .topicNotFound)
      #expect(try await partitions(client, "bad://x").error == .invalidTopicName)
      #expect(try await partitions(client, "parts-partition-9").error == .topicNotFound)
      var lookup = ProtoCommandLookupTopic()
      lookup.topic = topic
      lookup.requestID = 4
      try await client.send(ProtoBaseCommand(lookup))
      let response = try await client.receive(.lookupResponse).lookupTopicResponse
      #expect(response.response == .connect)
      #expect(response.brokerServiceURL == "pulsar://127.0.0.1:\(region.broker.pulsarPort ?? 0)")
      var list = ProtoCommandGetTopicsOfNamespace()
      list.requestID = 5
      list.namespace = "public/default"
      list.mode = .all
      try await client.send(ProtoBaseCommand(list))
      let topics = try await client.receive(.getTopicsOfNamespaceResponse).getTopicsOfNamespaceResponse.topics
      #expect(topics == (0..<3).map { "persistent://public/default/parts-partition-\($0)" })
      try await client.close()
    }
  }

  @Test func transactionsAreRefusedInTheFormThatIsAwaited() async throws {
    try await TestRegion.with { region in
      let client = try await region.connect()
      var command = ProtoBaseCommand()
      command.type = .newTxn
      command.newTxn.requestID = 9
      try await client.send(command)
      let response = try await client.receive(.newTxnResponse).newTxnResponse
      #expect(response.requestID == 9 && response.error == .notAllowedError)
      command = ProtoBaseCommand()
      command.type = .tcClientConnectRequest
      command.tcClientConnectRequest.requestID = 10
      try await client.send(command)
      #expect(try await client.receive(.tcClientConnectResponse).tcClientConnectResponse.requestID == 10)
      var watch = ProtoCommandWatchTopicList()
      watch.requestID = 11
      watch.watcherID = 1
      watch.namespace = "public/default"
      watch.topicsPattern = ".*"
      try await client.send(ProtoBaseCommand(watch))
      #expect(try await client.receive(.error).error.requestID == 11)
      try await client.close()
    }
  }

  @Test func schemasGetVersions() async throws {
    try await TestRegion.with { region in
      let client = try await region.connect()
      func register(_ fields: String) async throws -> ProtoCommandGetOrCreateSchemaResponse {
        var request = ProtoCommandGetOrCreateSchema()
        request.requestID = 3
        request.topic = topic
        request.schema.name = "t"
        request.schema.type = .avro
        request.schema.schemaData = .init(#"{"type":"record","name":"R","fields":[\#(fields)]}"#.utf8)
        try await client.send(ProtoBaseCommand(request))
        return try await client.receive(.getOrCreateSchemaResponse).getOrCreateSchemaResponse
      }
      let a = #"{"name":"a","type":"int"}"#
      #expect(Array(try await register(a).schemaVersion) == [0, 0, 0, 0, 0, 0, 0, 0])
      #expect(Array(try await register(#"\#(a),{"name":"b","type":"int","default":0}"#).schemaVersion).last == 1)
      #expect(Array(try await register(a).schemaVersion).last == 0)
      #expect(try await register(#"{"name":"a","type":"string"}"#).errorCode == .incompatibleSchema)
      var get = ProtoCommandGetSchema()
      get.requestID = 4
      get.topic = topic
      try await client.send(ProtoBaseCommand(get))
      let latest = try await client.receive(.getSchemaResponse).getSchemaResponse
      #expect(Array(latest.schemaVersion).last == 1 && latest.schema.type == .avro)
      get.topic = "persistent://public/default/none"
      try await client.send(ProtoBaseCommand(get))
      #expect(try await client.receive(.getSchemaResponse).getSchemaResponse.errorCode == .topicNotFound)
      try await client.close()
    }
  }

  @Test func acknowledgedMessagesStayAcknowledgedAndSeekBringsThemBack() async throws {
    try await TestRegion.with { region in
      let client = try await region.connect()
      try await client.producer(topic)
      var ids: [MessageIDData] = []
      for sequence in UInt64(0)..<10 {
        try await client.send(
          SendCommand(producerID: 1, sequenceID: sequence), try WireClient.entry("m\(sequence)", sequence: sequence))
        ids.append(try #require(try await client.receipt().messageID))
      }
      try await client.subscribe(topic, "s")
      for number in 0..<10 { #expect(try await client.text() == "m\(number)") }
      try await client.ack(AckCommand(consumerID: 1, type: .cumulative, messageIDs: [ids[4]], requestID: 77))
      let acked = try await client.receive(.ackResponse).ackResponse
      #expect(acked.requestID == 77 && !acked.hasError)
      // What really arrives from readers: an entry id of -1. It must be harmless.
      try await client.ack(
        AckCommand(
          consumerID: 1, type: .cumulative, messageIDs: [MessageIDData(ledgerID: ids[0].ledgerID, entryID: -1)]))
      try await region.broker.unloadTopic(try TopicName(topic))
      var closed: Set<ProtoBaseCommand.TypeEnum> = []
      while closed.count < 2 { closed.insert(try await client.nextCommand().type) }
      #expect(closed == [.closeProducer, .closeConsumer])
      try await client.close()
      let again = try await region.connect()
      try await again.subscribe(topic, "s")
      for number in 5..<10 { #expect(try await again.text() == "m\(number)") }
      var seek = ProtoCommandSeek()
      seek.consumerID = 1
      seek.requestID = 8
      seek.messageID = ids[2].proto
      try await again.send(ProtoBaseCommand(seek))
      #expect(try await again.receive(.closeConsumer).closeConsumer.consumerID == 1)
      #expect(try await again.receive(.success).success.requestID == 8)
      try await again.subscribe(topic, "s")
      for number in 2..<10 { #expect(try await again.text() == "m\(number)") }
      var last = ProtoCommandGetLastMessageId()
      last.consumerID = 1
      last.requestID = 12
      try await again.send(ProtoBaseCommand(last))
      let response = try await again.receive(.getLastMessageIDResponse).getLastMessageIDResponse
      #expect(MessageIDData(response.lastMessageID).entryID == ids[9].entryID)
      var unsubscribe = ProtoCommandUnsubscribe()
      unsubscribe.consumerID = 1
      unsubscribe.requestID = 13
      try await again.send(ProtoBaseCommand(unsubscribe))
      #expect(try await again.receive(.success).success.requestID == 13)
      #expect(try await region.broker.subscriptions(of: try TopicName(topic)).isEmpty)
      try await again.close()
    }
  }

  @Test func requestsOfUnknownConsumersAreHarmless() async throws {
    try await TestRegion.with { region in
      let client = try await region.connect()
      try await client.flow(99, 10)
      try await client.ack(
        AckCommand(consumerID: 99, type: .individual, messageIDs: [MessageIDData(ledgerID: 1, entryID: 1)]))
      try await client.send(SendCommand(producerID: 99, sequenceID: 0), try WireClient.entry("m"))
      var stats = ProtoBaseCommand()
      stats.type = .consumerStats
      stats.consumerStats.requestID = 5
      stats.consumerStats.consumerID = 99
      try await client.send(stats)
      let response = try await client.receive(.consumerStatsResponse).consumerStatsResponse
      #expect(response.requestID == 5 && response.errorCode == .consumerNotFound)
      try await client.close()
    }
  }

  @Test func topicsAreDeletedOnlyWhenNobodyUsesThemUnlessForced() async throws {
    try await TestRegion.with { region in
      let name = try TopicName(topic)
      let client = try await region.connect()
      try await client.producer(topic)
      await #expect { try await region.broker.deleteTopic(name, force: false) } throws: {
        ($0 as? BrokerError)?.kind == .preconditionFailed
      }
      try await region.broker.deleteTopic(name, force: true)
      #expect(try await client.receive(.closeProducer).closeProducer.producerID == 1)
      await #expect { try await region.broker.topicStats(name) } throws: {
        ($0 as? BrokerError)?.kind == .topicNotFound
      }
      try await client.close()
    }
  }

  @Test func inactiveTopicsGo() async throws {
    try await TestRegion.with({ $0.brokerDeleteInactiveTopicsFrequency = .seconds(0) }) { region in
      let client = try await region.connect()
      try await client.producer(topic)
      try await client.close()
      await eventually(within: .seconds(5)) {
        try await region.broker.listTopics(in: .publicDefault).isEmpty
      }
    }
  }

  @Test func aStopTellsClientsAndTakesLittleTime() async throws {
    try await TemporaryDirectory.with { directory in
      let region = try await TestRegion.start(in: directory)
      let client = try await region.connect()
      try await client.producer(topic)
      let start = ContinuousClock.now
      try await region.broker.shutdown()
      #expect(ContinuousClock.now - start < .seconds(5))
      #expect(try await client.receive(.closeProducer).closeProducer.producerID == 1)
      try await client.closed()
      try await region.stop()
    }
  }
}
