import Compression
import NIOConcurrencyHelpers
import NIOCore
import PulsarWire
import TestSupport
import Testing

@testable import PulsarClient

@Suite(.serialized) struct ProduceConsumeTests {
  private func receive(_ count: Int, from consumer: Consumer) async throws -> [ReceivedMessage] {
    var messages: [ReceivedMessage] = []
    while messages.count < count {
      guard let message = try await consumer.receive(timeout: .seconds(10)) else {
        Issue.record("\(messages.count) of \(count) messages came")
        break
      }
      messages.append(message)
    }
    return messages
  }

  private func isFree(_ producer: Producer) -> Bool { producer.partitions.allSatisfy { $0.reserved == (0, 0) } }

  @Test func messagesComeAsTheyWerePublished() async throws {
    try await ClientRegion.with { _, client in
      let consumer = try await client.consumer(topic: "plain", subscription: "s")
      var configuration = ProducerConfiguration()
      configuration.batchingEnabled = false
      configuration.name = "p"
      let producer = try await client.producer(topic: "plain", configuration: configuration)
      #expect(try await producer.name == "p")
      let id = try await producer.send(
        Message(
          ByteBuffer(string: "hello"), key: "k", properties: [.init(key: "a", value: "b")], eventTimeMs: 17))
      let message = try await consumer.receive()
      #expect(message.id == id)
      #expect(String(buffer: message.payload) == "hello" && message.key == "k" && message.property("a") == "b")
      #expect(message.eventTimeMs == 17 && message.producerName == "p" && message.sequenceID == 0)
      #expect(message.topic == "persistent://public/default/plain" && message.publishTimeMs > 0)
      consumer.acknowledge(message)
      #expect(try await consumer.receive(timeout: .milliseconds(50)) == nil)
    }
  }

  @Test(arguments: CompressionCodec.allCases)
  func batchesKeepOrderAndAreCompressed(codec: CompressionCodec) async throws {
    try await ClientRegion.with { _, client in
      var consuming = ConsumerConfiguration()
      consuming.receiverQueueSize = 50
      let consumer = try await client.consumer(topic: "batches", subscription: "s", configuration: consuming)
      var configuration = ProducerConfiguration()
      configuration.compression = codec
      configuration.batchingMaxMessages = 20
      let producer = try await client.producer(topic: "batches", configuration: configuration)
      let stored = NIOLockedValueBox(0)
      for number in 0..<500 {
        let message = Message("message \(number)", key: "k\(number % 7)")
        while !producer.enqueue(
          message,
          completion: { result in
            if case .success = result { stored.withLockedValue { $0 += 1 } }
          })
        { await producer.waitForRoom(for: message) }
      }
      try await producer.flush()
      #expect(stored.withLockedValue { $0 } == 500)
      let messages = try await receive(500, from: consumer)
      #expect(messages.map { String(buffer: $0.payload) } == (0..<500).map { "message \($0)" })
      #expect(messages.map(\.sequenceID) == (0..<500).map { UInt64($0) })
      #expect(messages.first?.id.batchSize ?? 0 > 1)
      #expect(try await consumer.corruptEntries == 0)
    }
  }

  @Test func roomIsGivenBackExactlyOnce() async throws {
    try await ClientRegion.with { _, client in
      for (codec, isBatched) in [(CompressionCodec.none, false), (.none, true), (.zstd, true), (.zstd, false)] {
        var configuration = ProducerConfiguration()
        configuration.compression = codec
        configuration.batchingEnabled = isBatched
        configuration.batchingMaxMessages = 10
        configuration.maxPendingMessages = 20
        configuration.maxPendingBytes = 10_000
        let producer = try await client.producer(topic: "room", configuration: configuration)
        try await withThrowingTaskGroup(of: Void.self) { group in
          for task in 0..<8 {
            group.addTask {
              for _ in 0..<20 {
                try await producer.send(Message(ByteBuffer(repeating: 97, count: 700 * (task + 1))))
              }
            }
          }
          try await group.waitForAll()
        }
        #expect(isFree(producer))
        await producer.close()
        #expect(isFree(producer))
        await #expect(throws: PulsarClientError.closed) { try await producer.send(Message("late")) }
        #expect(isFree(producer))
      }
    }
  }

  @Test func aMessageThatIsTooLargeFailsAlone() async throws {
    try await ClientRegion.with { _, client in
      let producer = try await client.producer(topic: "large")
      await #expect(throws: PulsarClientError.self) {
        try await producer.send(Message(ByteBuffer(repeating: 1, count: 6 << 20)))
      }
      try await producer.send(Message("small"))
      #expect(isFree(producer))
    }
  }

  @Test func whatIsNotAcknowledgedComesAgain() async throws {
    try await ClientRegion.with { _, client in
      var configuration = ConsumerConfiguration()
      configuration.subscriptionType = .shared
      configuration.negativeAcknowledgementDelay = .milliseconds(100)
      let first = try await client.consumer(topic: "again", subscription: "s", configuration: configuration)
      let producer = try await client.producer(topic: "again")
      for number in 0..<10 { _ = producer.enqueue(Message("\(number)")) { _ in } }
      try await producer.flush()
      let messages = try await receive(10, from: first)
      for message in messages where message.sequenceID != 4 { first.acknowledge(message) }
      first.negativeAcknowledge(messages[4])
      let again = try await receive(1, from: first)
      #expect(again.map { String(buffer: $0.payload) } == ["4"])
      #expect(again.first?.redeliveryCount == 1)
      await first.close()

      let second = try await client.consumer(topic: "again", subscription: "s", configuration: configuration)
      #expect(try await receive(1, from: second).map { String(buffer: $0.payload) } == ["4"])
      #expect(try await second.receive(timeout: .milliseconds(100)) == nil)
    }
  }

  @Test func subscriptionsMove() async throws {
    try await ClientRegion.with { _, client in
      var configuration = ConsumerConfiguration()
      configuration.initialPosition = .earliest
      var producing = ProducerConfiguration()
      producing.batchingEnabled = false
      let producer = try await client.producer(topic: "seek", configuration: producing)
      let consumer = try await client.consumer(topic: "seek", subscription: "s", configuration: configuration)
      var ids: [MessageID] = []
      for number in 0..<6 { ids.append(try await producer.send(Message("\(number)"))) }
      for message in try await receive(6, from: consumer) { consumer.acknowledge(message) }
      try await consumer.seek(to: ids[3])
      #expect(try await receive(3, from: consumer).map { String(buffer: $0.payload) } == ["3", "4", "5"])
      try await consumer.seek(to: .earliest)
      #expect(try await receive(6, from: consumer).count == 6)
      try await consumer.seek(toPublishTimeMs: 0)
      #expect(try await receive(6, from: consumer).count == 6)
      try await consumer.seek(to: .latest)
      #expect(try await consumer.receive(timeout: .milliseconds(200)) == nil)
      try await consumer.unsubscribe()
      await #expect(throws: PulsarClientError.closed) { try await consumer.receive() }
    }
  }

  @Test func partitionsShareTheMessagesAndKeysStayInOrder() async throws {
    try await ClientRegion.with { region, client in
      try await region.current.createPartitionedTopic(.init("persistent://public/default/parts"), partitions: 3)
      #expect(try await client.partitions(of: "parts") == 3)
      let consumer = try await client.consumer(topic: "parts", subscription: "s")
      let producer = try await client.producer(topic: "parts")
      #expect(consumer.partitionCount == 3 && producer.partitionCount == 3)
      for number in 0..<300 { _ = producer.enqueue(Message("\(number)", key: "key \(number % 10)")) { _ in } }
      try await producer.flush()
      let messages = try await receive(300, from: consumer)
      #expect(Set(messages.map(\.id.partition)).count == 3)
      for (key, ofKey) in Dictionary(grouping: messages, by: { $0.key ?? "" }) {
        #expect(Set(ofKey.map(\.id.partition)).count == 1, "\(key)")
        let numbers = ofKey.compactMap { Int(String(buffer: $0.payload)) }
        #expect(numbers == numbers.sorted() && numbers.count == 30)
      }
      for message in messages { consumer.acknowledge(message) }
      #expect(try await consumer.receive(timeout: .milliseconds(50)) == nil)
    }
  }

  @Test func waitingReceiversEnd() async throws {
    try await ClientRegion.with { _, client in
      let consumer = try await client.consumer(topic: "waiting", subscription: "s")
      let cancelled = Task { try await consumer.receive() }
      let closed = Task {
        var count = 0
        for try await _ in consumer.messages { count += 1 }
        return count
      }
      cancelled.cancel()
      await #expect(throws: CancellationError.self) { try await cancelled.value }
      await consumer.close()
      #expect(try await closed.value == 0)
    }
  }
}
