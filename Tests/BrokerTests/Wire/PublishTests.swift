import NIOCore
import PulsarWire
import TestSupport
import Testing

@testable import Broker

@Suite(.serialized) struct PublishTests {
  private let topic = "persistent://public/default/t"

  @Test func connectAnswersWithTheLowerVersionAndTheRegion() async throws {
    try await TestRegion.with { region in
      let client = try await WireClient.connect(port: region.broker.pulsarPort ?? 0, handshake: false)
      var connect = ProtoCommandConnect()
      connect.clientVersion = "test"
      connect.protocolVersion = 15
      connect.featureFlags.meridian.region = "us"
      connect.featureFlags.meridian.incarnation = 9
      try await client.send(ProtoBaseCommand(connect))
      let connected = try await client.receive(.connected).connected
      #expect(connected.protocolVersion == 15)
      #expect(connected.maxMessageSize == 5 * 1024 * 1024)
      #expect(connected.featureFlags.meridian.region == "eu")
      #expect(connected.featureFlags.supportsReplDedupByLidAndEid)
      try await client.close()
    }
  }

  @Test func messagesComeBackAsTheyWereSentAndReceiptsInOrder() async throws {
    try await TestRegion.with { region in
      let client = try await region.connect()
      let success = try await client.producer(topic)
      #expect(!success.producerName.isEmpty)
      #expect(success.lastSequenceID == -1)
      try await client.subscribe(topic, "s")
      var sent: [ByteBuffer] = []
      for sequence in UInt64(0)..<100 {
        let entry = try WireClient.entry("m\(sequence)", sequence: sequence)
        sent.append(entry)
        try await client.send(SendCommand(producerID: 1, sequenceID: sequence), entry)
      }
      // Receipts and messages arrive on one connection in any mixture.
      try await client.close()
      let reader = try await region.connect()
      try await reader.subscribe(topic, "r")
      for entry in sent { #expect(try await reader.message().entry == entry) }
      try await reader.close()
    }
  }

  @Test func receiptsNameGrowingPositions() async throws {
    try await TestRegion.with { region in
      let client = try await region.connect()
      try await client.producer(topic)
      for sequence in UInt64(0)..<50 {
        try await client.send(
          SendCommand(producerID: 1, sequenceID: sequence), try WireClient.entry("m", sequence: sequence))
      }
      var last: Int64 = -1
      for sequence in UInt64(0)..<50 {
        let receipt = try await client.receipt()
        #expect(receipt.sequenceID == sequence)
        let entry = receipt.messageID?.entryID ?? -1
        #expect(entry > last)
        last = entry
      }
      try await client.close()
    }
  }

  @Test func aCorruptMessageIsRefusedAndTheNextOneTaken() async throws {
    try await TestRegion.with { region in
      let client = try await region.connect()
      try await client.producer(topic)
      try await client.send(
        SendCommand(producerID: 1, sequenceID: 0), try WireClient.entry("m", corrupt: true))
      #expect(try await client.receive(.sendError).sendError.error == .checksumError)
      try await client.send(SendCommand(producerID: 1, sequenceID: 1), try WireClient.entry("m", sequence: 1))
      #expect(try await client.receipt().sequenceID == 1)
      try await client.close()
    }
  }

  @Test func brokerMetadataGoesToThoseWhoAskForIt() async throws {
    try await TestRegion.with { region in
      let client = try await region.connect { $0.supportsBrokerEntryMetadata = true }
      try await client.producer(topic)
      for sequence in UInt64(0)..<3 {
        try await client.send(
          SendCommand(producerID: 1, sequenceID: sequence, numMessages: 2),
          try WireClient.entry("m", sequence: sequence) { $0.numMessagesInBatch = 2 })
        _ = try await client.receipt()
      }
      try await client.subscribe(topic, "s")
      for number in Int64(1)...3 {
        let header = try EntryHeader.parse(try await client.message().entry)
        #expect(header.brokerEntryMetadata?.index == number * 2 - 1)
        #expect(header.brokerEntryMetadata?.localMessages == number * 2)
        #expect(header.brokerEntryMetadata?.origin == nil)
      }
      try await client.close()
    }
  }

  @Test func deduplicationSurvivesAnUnloadAndARestart() async throws {
    try await TemporaryDirectory.with { directory in
      func publish(_ region: TestRegion, _ range: ClosedRange<UInt64>) async throws -> [Int64] {
        let client = try await region.connect()
        let success = try await client.producer(topic, name: "p")
        for sequence in range {
          try await client.send(
            SendCommand(producerID: 1, sequenceID: sequence), try WireClient.entry("m\(sequence)", sequence: sequence))
        }
        var entries: [Int64] = [success.lastSequenceID]
        for _ in range { entries.append(try await client.receipt().messageID?.entryID ?? 0) }
        try await client.close()
        return entries
      }
      var region = try await TestRegion.start(in: directory)
      try await region.policies.updateNamespace(.publicDefault) { $0.deduplicationEnabled = true }
      await region.broker.policiesChanged(.publicDefault)
      // Somebody who still needs the messages keeps them from being trimmed.
      try await region.broker.createSubscription("s", on: try TopicName(topic), at: .earliest)
      #expect(try await publish(region, 0...4).first == -1)
      try await region.broker.unloadTopic(try TopicName(topic))
      // 3 and 4 are known, 5 is new.
      let second = try await publish(region, 3...5)
      #expect(second[0] == 4)
      #expect(second[1] == -1 && second[2] == -1 && second[3] >= 0)
      try await region.stop()
      region = try await TestRegion.start(in: directory)
      let third = try await publish(region, 5...6)
      #expect(third[0] == 5)
      #expect(third[1] == -1 && third[2] >= 0)
      let stats = try await region.broker.topicInternalStats(try TopicName(topic))
      #expect(stats.numberOfEntries == 7)
      try await region.stop()
    }
  }

  @Test func exclusiveProducersAndFencing() async throws {
    try await TestRegion.with { region in
      let client = try await region.connect()
      let first = try await client.producer(topic, id: 1) { $0.producerAccessMode = .exclusive }
      #expect(first.topicEpoch == 0)
      try await client.sendProducer(topic, id: 2)
      #expect(try await client.receive(.error).error.error == .producerBusy)
      let waiting = try await client.producer(topic, id: 3) { $0.producerAccessMode = .waitForExclusive }
      #expect(!waiting.producerReady)
      var close = ProtoCommandCloseProducer()
      close.producerID = 1
      close.requestID = 7
      try await client.send(ProtoBaseCommand(close))
      #expect(try await client.receive(.success).success.requestID == 7)
      let ready = try await client.receive(.producerSuccess).producerSuccess
      #expect(ready.producerReady && ready.requestID == 103 && ready.topicEpoch == 1)
      let other = try await region.connect()
      let fencing = try await other.producer(topic, id: 9) { $0.producerAccessMode = .exclusiveWithFencing }
      #expect(fencing.topicEpoch == 2)
      #expect(try await client.receive(.closeProducer).closeProducer.producerID == 3)
      try await client.sendProducer(topic, id: 3) {
        $0.producerAccessMode = .exclusive
        $0.topicEpoch = 1
      }
      #expect(try await client.receive(.error).error.error == .producerFenced)
      try await client.close()
      try await other.close()
    }
  }

  @Test func garbageEndsOnlyItsOwnConnection() async throws {
    try await TestRegion.with { region in
      let good = try await region.connect()
      try await good.producer(topic)
      for bytes in [[UInt8](repeating: 0xff, count: 64), [0, 0, 0, 8, 0, 0, 0, 4, 8, 99, 0, 0], [0, 0, 0, 1, 0]] {
        let bad = try await WireClient.connect(port: region.broker.pulsarPort ?? 0, handshake: false)
        try await bad.send(bytes: bytes)
        try await bad.closed()
      }
      try await good.send(SendCommand(producerID: 1, sequenceID: 0), try WireClient.entry("m"))
      #expect(try await good.receipt().sequenceID == 0)
      try await good.close()
    }
  }

  @Test func terminatedTopicsTakeNothing() async throws {
    try await TestRegion.with { region in
      let client = try await region.connect()
      try await client.producer(topic)
      try await client.send(SendCommand(producerID: 1, sequenceID: 0), try WireClient.entry("m"))
      let receipt = try await client.receipt()
      let last = try await region.broker.terminateTopic(try TopicName(topic))
      #expect(last.entryID == receipt.messageID?.entryID)
      #expect(try await client.receive(.closeProducer).closeProducer.producerID == 1)
      try await client.sendProducer(topic)
      #expect(try await client.receive(.error).error.error == .topicTerminatedError)
      try await region.broker.unloadTopic(try TopicName(topic))
      try await client.sendProducer(topic)
      #expect(try await client.receive(.error).error.error == .topicTerminatedError)
      try await client.close()
    }
  }
}
