import Broker
import NIOCore
import TestSupport
import Testing

@testable import PulsarClient

@Suite(.serialized) struct AddedPartitionTests {
  @Test func partitionsThatAreAddedAreFound() async throws {
    try await ClientRegion.with { region, client in
      let topic = try TopicName("persistent://public/default/grows")
      try await region.current.createPartitionedTopic(topic, partitions: 2)
      var producing = ProducerConfiguration()
      producing.autoUpdatePartitionsInterval = .milliseconds(50)
      producing.batchingEnabled = false
      var consuming = ConsumerConfiguration()
      consuming.autoUpdatePartitionsInterval = .milliseconds(50)
      let consumer = try await client.consumer(topic: "grows", subscription: "s", configuration: consuming)
      consuming.autoUpdatePartitionsInterval = nil
      let fixed = try await client.consumer(topic: "grows", subscription: "fixed", configuration: consuming)
      let producer = try await client.producer(topic: "grows", configuration: producing)
      try await region.current.updatePartitions(topic, to: 4)
      await eventually { producer.partitionCount == 4 }
      for number in 0..<20 { try await producer.send(Message("\(number)")) }
      var partitions: Set<Int32> = []
      for _ in 0..<20 {
        let message = try #require(try await consumer.receive(timeout: .seconds(10)))
        partitions.insert(message.id.partition)
        try await consumer.acknowledgeAndWait(message)
      }
      #expect(partitions == [0, 1, 2, 3] && consumer.partitionCount == 4 && fixed.partitionCount == 2)
      let parts = producer.partitions
      await producer.close()
      #expect(parts.allSatisfy { $0.reserved == (0, 0) })
      await #expect(throws: PulsarClientError.closed) { try await producer.send(Message("late")) }
    }
  }
}
