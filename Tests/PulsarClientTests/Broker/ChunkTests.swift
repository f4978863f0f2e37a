import Broker
import Compression
import NIOConcurrencyHelpers
import NIOCore
import TestSupport
import Testing

@testable import PulsarClient

@Suite(.serialized) struct ChunkTests {
  private func configuration(limit: Int) -> ProducerConfiguration {
    var configuration = ProducerConfiguration()
    configuration.chunkingEnabled = true
    configuration.chunkMaxMessageSize = limit
    return configuration
  }

  /// Bytes that no codec makes smaller.
  private func noise(_ count: Int) -> ByteBuffer {
    ByteBuffer(bytes: (0..<count).map { _ in UInt8.random(in: 0...255) })
  }

  private func backlog(_ region: ClientRegion, _ topic: String) async throws -> Int64 {
    let stats = try await region.current.topicStats(.init("persistent://public/default/\(topic)"))
    return Int64(stats.subscriptions["s"]?.msgBacklog ?? -1)
  }

  @Test func largeMessagesComeWholeAndInOrder() async throws {
    try await ClientRegion.with(deduplicates: true) { region, client in
      let consumer = try await client.consumer(topic: "chunks", subscription: "s")
      var compressing = configuration(limit: 2000)
      compressing.compression = .zstd
      let first = try await client.producer(topic: "chunks", configuration: configuration(limit: 1000))
      let second = try await client.producer(topic: "chunks", configuration: compressing)
      let payloads = [noise(5000), ByteBuffer(string: "small"), noise(999), noise(6 << 10)]
      var ids: [MessageID] = []
      for payload in payloads {
        async let other = second.send(Message(noise(9000), key: "other"))
        ids.append(try await first.send(Message(payload, key: "mine", properties: [.init(key: "a", value: "b")])))
        _ = try await other
      }
      #expect(ids[0].firstChunk != nil && ids[1].firstChunk == nil && first.partitions[0].reserved == (0, 0))
      var mine: [ReceivedMessage] = []
      for _ in 0..<8 {
        let message = try #require(try await consumer.receive(timeout: .seconds(10)))
        if message.key == "mine" { mine.append(message) } else { #expect(message.payload.readableBytes == 9000) }
        try await consumer.acknowledgeAndWait(message)
      }
      #expect(mine.map(\.payload) == payloads && mine.map(\.id) == ids)
      #expect(mine.first?.id.firstChunk == ids[0].firstChunk && mine.first?.property("a") == "b")
      #expect(try await consumer.corruptEntries == 0)
      #expect(try await backlog(region, "chunks") == 0)  // every chunk is acknowledged
      // What the broker takes in one piece is not cut; nor can a limit without room for a payload work.
      let whole = try await client.producer(topic: "chunks", configuration: configuration(limit: 6 << 20))
      #expect(try await whole.send(Message(noise(20_000))).firstChunk == nil)
      let hopeless = try await client.producer(topic: "chunks", configuration: configuration(limit: 10))
      await #expect(throws: PulsarClientError.self) { try await hopeless.send(Message(noise(20))) }
      #expect(hopeless.partitions[0].reserved == (0, 0))
    }
  }

  @Test func chunksGoOnAfterTheBrokerCameBack() async throws {
    try await ClientRegion.with(deduplicates: true) { region, client in
      var consuming = ConsumerConfiguration()
      consuming.receiverQueueSize = 3
      let consumer = try await client.consumer(topic: "resumed", subscription: "s", configuration: consuming)
      let producer = try await client.producer(topic: "resumed", configuration: configuration(limit: 500))
      let payloads = (0..<20).map { noise(3000 + $0) }
      let failed = NIOLockedValueBox(0)
      for payload in payloads {
        #expect(producer.enqueue(Message(payload)) { if case .failure = $0 { failed.withLockedValue { $0 += 1 } } })
      }
      try await region.restartBroker()
      try await producer.flush()
      #expect(failed.withLockedValue { $0 } == 0)
      for payload in payloads {
        let message = try #require(try await consumer.receive(timeout: .seconds(10)))
        #expect(message.payload == payload)
        consumer.acknowledge(message)
      }
    }
  }

  @Test func chunkedMessagesAreRedeliveredAndReadFromTheirFirstChunk() async throws {
    try await ClientRegion.with { _, client in
      var consuming = ConsumerConfiguration()
      consuming.subscriptionType = .shared
      consuming.negativeAcknowledgementDelay = .milliseconds(50)
      let consumer = try await client.consumer(topic: "again", subscription: "s", configuration: consuming)
      let producer = try await client.producer(topic: "again", configuration: configuration(limit: 400))
      let payloads = [noise(1500), noise(1600), noise(1700)]
      var ids: [MessageID] = []
      for payload in payloads { ids.append(try await producer.send(Message(payload))) }
      for payload in payloads {
        let message = try #require(try await consumer.receive(timeout: .seconds(10)))
        #expect(message.payload == payload)
        if payload == payloads[1] { consumer.negativeAcknowledge(message) } else { consumer.acknowledge(message) }
      }
      let again = try #require(try await consumer.receive(timeout: .seconds(10)))
      #expect(again.payload == payloads[1] && again.redeliveryCount == 1)

      let reader = try await client.reader(topic: "again", start: .at(ids[1]))
      #expect(try await reader.next().payload == payloads[1])
      try await reader.seek(to: ids[2])
      #expect(try await reader.next().payload == payloads[2])
      let behind = try await client.reader(topic: "again", start: .after(ids[1]))
      #expect(try await behind.next().payload == payloads[2])
    }
  }
}
