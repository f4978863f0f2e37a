import NIOCore
import PulsarWire
import TestSupport
import Testing
import TopicLog

@testable import Broker

@Suite(.serialized) struct InboundReplicationTests {
  private let topic = "persistent://public/default/t"

  private func link(
    _ region: TestRegion, declared: String = "us", incarnation: UInt64 = 5
  ) async throws -> WireClient {
    try await region.link(as: "us") {
      $0.meridian.region = declared
      $0.meridian.incarnation = incarnation
    }
  }

  private func stream(
    _ client: WireClient, id: UInt64 = 1, epoch: UInt64 = 1, incarnation: UInt64 = 5
  ) async throws -> ProtoCommandProducerSuccess {
    try await client.producer(topic, id: id, name: "pulsar.repl.us-->eu") {
      $0.meridianStream.region = "us"
      $0.meridianStream.incarnation = incarnation
      $0.meridianStream.epoch = epoch
    }
  }

  private func send(
    _ client: WireClient, id: UInt64 = 1, _ entry: Int64, after previous: Int64, incarnation: UInt64 = 5
  ) async throws {
    let origin = OriginStamp(
      region: "us", incarnation: incarnation, ledgerID: 3, entryID: entry, previousLedgerID: previous < 0 ? -1 : 3,
      previousEntryID: previous)
    try await client.send(
      SendCommand(producerID: id, sequenceID: UInt64(entry), origin: origin),
      try WireClient.entry("m\(entry)", producer: "app", sequence: UInt64(entry)) { $0.replicatedFrom = "us" })
  }

  /// Reads receipts until the watermark is at `entry`; each may answer many messages.
  private func watermark(_ client: WireClient, reaches entry: Int64) async throws {
    var last: Int64 = -1
    while last < entry {
      let stamp = try #require(try await client.receipt().watermark)
      #expect(stamp.region == "us")
      #expect(stamp.entryID >= last)
      last = stamp.entryID
    }
    #expect(last == entry)
  }

  @Test func aStreamIsStoredOnceAndResumesBehindItsWatermark() async throws {
    try await TemporaryDirectory.with { directory in
      var region = try await TestRegion.start(in: directory, links: true)
      var client = try await link(region)
      #expect(try await !stream(client).hasMeridianResume)
      for entry in Int64(0)..<20 { try await send(client, entry, after: entry - 1) }
      try await watermark(client, reaches: 19)
      // Sent again: confirmed, not stored.
      try await send(client, 19, after: 18)
      try await watermark(client, reaches: 19)
      try await client.close()
      try await region.stop()

      region = try await TestRegion.start(in: directory, links: true)
      client = try await link(region)
      let resume = try await stream(client, epoch: 2).meridianResume
      #expect(resume.ledgerID == 3 && resume.entryID == 19)
      try await send(client, 18, after: 17)
      try await send(client, 19, after: 18)
      try await send(client, 20, after: 19)
      try await watermark(client, reaches: 20)
      let reader = try await region.connect()
      try await reader.subscribe(topic, "s")
      for entry in 0..<21 { #expect(try await reader.text() == "m\(entry)") }
      #expect(try await region.broker.topicInternalStats(try TopicName(topic)).numberOfEntries == 21)
      try await client.close()
      try await reader.close()
      try await region.stop()
    }
  }

  @Test func watermarksAreRebuiltFromTheLogAlone() async throws {
    try await TemporaryDirectory.with { directory in
      var region = try await TestRegion.start(in: directory, links: true)
      let client = try await link(region)
      _ = try await stream(client)
      for entry in Int64(0)..<5 { try await send(client, entry, after: entry - 1) }
      try await watermark(client, reaches: 4)
      let name = try TopicName(topic)
      let loaded = try #require(region.broker.loadedTopic(name))
      // As after a crash: the snapshot knows nothing.
      try await loaded.progressCursor.setMarkDelete(Position(ledgerID: -1, entryID: -1), attachment: nil)
      _ = try await loaded.onLoop { $0.snapshot.entriesSince = 0 }
      try await client.close()
      try await region.stop()
      region = try await TestRegion.start(in: directory, links: true)
      let again = try await link(region)
      #expect(try await stream(again, epoch: 2).meridianResume.entryID == 4)
      try await again.close()
      try await region.stop()
    }
  }

  @Test func aGapStopsTheStreamAndNothingBehindItIsStored() async throws {
    try await TestRegion.with(links: true) { region in
      let client = try await link(region)
      _ = try await stream(client)
      try await send(client, 0, after: -1)
      try await watermark(client, reaches: 0)
      try await send(client, 2, after: 1)
      try await send(client, 1, after: 0)
      let error = try await client.receive(.sendError).sendError
      #expect(error.message.contains("3:0"))
      #expect(try await client.receive(.closeProducer).closeProducer.producerID == 1)
      let resume = try await stream(client, epoch: 2).meridianResume
      #expect(resume.entryID == 0)
      #expect(try await region.broker.topicInternalStats(try TopicName(topic)).numberOfEntries == 1)
      try await client.close()
    }
  }

  @Test func aCorruptEntryStopsTheStream() async throws {
    try await TestRegion.with(links: true) { region in
      let client = try await link(region)
      _ = try await stream(client)
      let origin = OriginStamp(region: "us", incarnation: 5, ledgerID: 3, entryID: 0)
      try await client.send(
        SendCommand(producerID: 1, sequenceID: 0, origin: origin), try WireClient.entry("m", corrupt: true))
      #expect(try await client.receive(.sendError).sendError.error == .checksumError)
      #expect(try await client.receive(.closeProducer).closeProducer.producerID == 1)
      try await client.close()
    }
  }

  @Test func aNewerEpochClosesTheOlderStreamAndAnOlderOneIsRefused() async throws {
    try await TestRegion.with(links: true) { region in
      let old = try await link(region)
      let new = try await link(region)
      _ = try await stream(old, epoch: 3)
      _ = try await stream(new, epoch: 4)
      #expect(try await old.receive(.closeProducer).closeProducer.producerID == 1)
      try await old.sendProducer(topic, id: 2, name: "pulsar.repl.us-->eu") {
        $0.meridianStream.region = "us"
        $0.meridianStream.incarnation = 5
        $0.meridianStream.epoch = 3
      }
      #expect(try await old.receive(.error).error.error == .producerFenced)
      try await send(new, 0, after: -1)
      try await watermark(new, reaches: 0)
      try await old.close()
      try await new.close()
    }
  }

  @Test func aRebuiltRegionBeginsAnew() async throws {
    try await TestRegion.with(links: true) { region in
      let client = try await link(region)
      _ = try await stream(client)
      try await send(client, 5, after: -1)
      try await watermark(client, reaches: 5)
      let reborn = try await link(region, incarnation: 6)
      #expect(try await !stream(reborn, epoch: 1, incarnation: 6).hasMeridianResume)
      try await send(reborn, 0, after: -1, incarnation: 6)
      try await watermark(reborn, reaches: 0)
      try await client.close()
      try await reborn.close()
    }
  }

  @Test func anExclusiveProducerAndEncryptionDoNotStopAStream() async throws {
    try await TestRegion.with(links: true) { region in
      let app = try await region.connect()
      try await app.producer(topic) { $0.producerAccessMode = .exclusive }
      try await region.policies.updateNamespace(.publicDefault) {
        $0.encryptionRequired = true
        $0.maxProducersPerTopic = 1
      }
      await region.broker.policiesChanged(.publicDefault)
      let client = try await link(region)
      _ = try await stream(client)
      try await send(client, 0, after: -1)
      try await watermark(client, reaches: 0)
      try await client.close()
      try await app.close()
    }
  }

  @Test func replicatedMessagesAreNotCountedAsLocalOnes() async throws {
    try await TestRegion.with(links: true) { region in
      let client = try await link(region)
      _ = try await stream(client)
      try await send(client, 0, after: -1)
      try await watermark(client, reaches: 0)
      let app = try await region.connect { $0.supportsBrokerEntryMetadata = true }
      try await app.producer(topic)
      try await app.send(SendCommand(producerID: 1, sequenceID: 0), try WireClient.entry("local"))
      _ = try await app.receipt()
      try await app.subscribe(topic, "s")
      let first = try EntryHeader.parse(try await app.message().entry).brokerEntryMetadata
      let second = try EntryHeader.parse(try await app.message().entry).brokerEntryMetadata
      #expect(first?.origin?.region == "us" && first?.localMessages == 0 && first?.index == 0)
      #expect(second?.origin == nil && second?.localMessages == 1 && second?.index == 1)
      try await client.close()
      try await app.close()
    }
  }

  /// As a Pulsar 4.x cluster replicates: its position in a property, receipts that name it.
  @Test func aPulsarReplicatorGetsReceiptsByPosition() async throws {
    try await TestRegion.with(links: true) { region in
      let client = try await region.link(as: "old") { $0.supportsReplDedupByLidAndEid = true }
      try await client.producer(topic, name: "pulsar.repl.old-->eu")
      func send(_ position: String?, marker: Bool = false) async throws {
        try await client.send(
          SendCommand(producerID: 1, sequenceID: 42, marker: marker),
          try WireClient.entry("m", producer: "app", sequence: 42) {
            $0.replicatedFrom = "old"
            guard let position else { return }
            var property = ProtoKeyValue()
            property.key = "__MSG_PROP_REPL_SOURCE_POSITION"
            property.value = position
            $0.properties = [property]
          })
      }
      try await send("7:3")
      let receipt = try await client.receipt()
      #expect(receipt.sequenceID == 7 && receipt.highestSequenceID == 3 && receipt.messageID?.entryID == 0)
      try await send("7:3")
      let duplicate = try await client.receipt()
      #expect(duplicate.sequenceID == 7 && duplicate.highestSequenceID == 3)
      #expect(duplicate.messageID?.ledgerID == -1 && duplicate.messageID?.entryID == -1)
      try await send(nil, marker: true)
      let marker = try await client.receipt()
      #expect(marker.sequenceID == 42 && marker.highestSequenceID == 0x8000_0000_0000_0000)
      try await send(nil)
      #expect(try await client.receive(.sendError).sendError.error == .persistenceError)
      try await client.close()
    }
  }

  /// What a client is told that asks to be believed as a region.
  private func refusal(
    _ client: WireClient, name: String = "pulsar.repl.us-->eu", _ more: (inout ProtoCommandProducer) -> Void
  ) async throws -> ProtoCommandError {
    try await client.sendProducer(topic, id: 9, name: name, more)
    return try await client.receive(.error).error
  }

  @Test func onlyTheCertificatesRegionMayOpenAStream() async throws {
    func asUS(_ command: inout ProtoCommandProducer) {
      command.meridianStream.region = "us"
      command.meridianStream.incarnation = 5
      command.meridianStream.epoch = .max
    }
    try await TestRegion.with(links: true) { region in
      let introduce: (inout WireClient.Features) -> Void = {
        $0.meridian.region = "us"
        $0.meridian.incarnation = 5
      }
      let cases: [(WireClient, String)] = [
        (try await region.connect(introduce), "this connection is not TLS"),
        (try await region.link(as: nil, introduce), "none was shown"),
        (try await region.link(as: "app", introduce), "the one shown names app"),
        (try await region.link(as: "us"), "introduced itself as a region"),
        (try await link(region, declared: "ap"), "came over a connection of ap"),
        (try await link(region, incarnation: 6), "came over a connection of us#6"),
      ]
      for (client, sentence) in cases {
        let error = try await refusal(client, asUS)
        #expect(error.error == .authorizationError)
        #expect(error.message.contains(sentence), "\(error.message)")
        try await client.close()
      }
      // Nothing was made for them, and the true one comes in.
      #expect(try await region.broker.listTopics(in: .publicDefault).isEmpty)
      let client = try await link(region)
      _ = try await stream(client)
      try await client.close()
    }
  }

  @Test(arguments: [true, false])
  func aPulsarReplicatorNeedsACertificateUnlessToldOtherwise(isDemanded: Bool) async throws {
    try await TestRegion.with(links: true, { $0.replicationRequiresClientCertificate = isDemanded }) { region in
      let client = try await region.connect()
      if isDemanded {
        #expect(try await refusal(client, name: "pulsar.repl.old-->eu") { _ in }.error == .authorizationError)
      } else {
        try await client.producer(topic, name: "pulsar.repl.old-->eu")
      }
      try await client.close()
    }
  }

  @Test func aRegionThatTheAllowedClustersDoNotNameIsRefusedAndItsStreamEnds() async throws {
    try await TestRegion.with(links: true) { region in
      let client = try await link(region)
      _ = try await stream(client)
      try await region.policies.updateNamespace(.publicDefault) { $0.allowedClusters = ["eu", "old"] }
      await region.broker.policiesChanged(.publicDefault)
      #expect(try await client.receive(.closeProducer).closeProducer.producerID == 1)
      let error = try await refusal(client) {
        $0.meridianStream.region = "us"
        $0.meridianStream.incarnation = 5
        $0.meridianStream.epoch = 2
      }
      #expect(error.error == .notAllowedError)
      #expect(error.message.contains("Region eu takes no messages of region us in namespace public/default"))
      try await region.policies.updateNamespace(.publicDefault) {
        $0.allowedClusters = ["eu", "us"]
        $0.residencyDeny = ["eu"]
      }
      let denied = try await refusal(client) {
        $0.meridianStream.region = "us"
        $0.meridianStream.incarnation = 5
        $0.meridianStream.epoch = 3
      }
      #expect(denied.message.contains("residencyDeny"))
      try await client.close()
    }
  }
}
