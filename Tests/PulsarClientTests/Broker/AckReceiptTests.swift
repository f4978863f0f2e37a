import NIOCore
import TestSupport
import Testing

@testable import PulsarClient

@Suite(.serialized) struct AckReceiptTests {
  @Test func acknowledgementsAreConfirmed() async throws {
    try await ClientRegion.with { region, client in
      var configuration = ConsumerConfiguration()
      configuration.ackReceiptEnabled = true
      configuration.acknowledgementGroupTime = .hours(1)
      let consumer = try await client.consumer(topic: "receipts", subscription: "s", configuration: configuration)
      let producer = try await client.producer(topic: "receipts")
      for number in 0..<6 { try await producer.send(Message("\(number)")) }
      var messages: [ReceivedMessage] = []
      for _ in 0..<6 { messages.append(try #require(try await consumer.receive(timeout: .seconds(10)))) }
      func backlog() async throws -> Int {
        let stats = try await region.current.topicStats(.init("persistent://public/default/receipts"))
        return Int(stats.subscriptions["s"]?.msgBacklog ?? -1)
      }
      try await consumer.acknowledgeAndWait(messages[2])
      #expect(try await backlog() == 5)
      try await consumer.acknowledgeCumulativeAndWait(messages[3])
      #expect(try await backlog() == 2)
      // What a broken connection lost is told again, and whoever waits is answered by the next broker.
      let fifth = messages[4]
      async let confirmed: Void = consumer.acknowledgeAndWait(fifth)
      try await region.restartBroker()
      try await confirmed
      #expect(try await backlog() == 1)

      await #expect(throws: PulsarClientError.self) {
        try await consumer.acknowledgeAndWait(MessageID(ledgerID: 1, entryID: 1, partition: 7))
      }
      await consumer.close()
      await #expect(throws: PulsarClientError.closed) { try await consumer.acknowledgeAndWait(messages[5]) }
    }
  }
}
