import NIOConcurrencyHelpers
import NIOCore
import TestSupport
import Testing

@testable import PulsarClient

@Suite(.serialized) struct ReconnectTests {
  /// Two restarts of the broker under load: with deduplication every message is stored once, in order.
  @Test func nothingIsLostDoubledOrReorderedOverRestarts() async throws {
    try await ClientRegion.with(deduplicates: true) { region, client in
      var configuration = ProducerConfiguration()
      configuration.name = "steady"
      configuration.batchingMaxMessages = 10
      let producer = try await client.producer(topic: "restarts", configuration: configuration)
      let consumer = try await client.consumer(
        topic: "restarts", subscription: "s", configuration: ConsumerConfiguration())
      let total = 3000
      let acknowledged = NIOLockedValueBox(0)
      let failures = NIOLockedValueBox<[PulsarClientError]>([])
      let publishing = Task {
        for number in 0..<total {
          let message = Message("\(number)")
          while !producer.enqueue(
            message,
            completion: { result in
              switch result {
              case .success: acknowledged.withLockedValue { $0 += 1 }
              case .failure(let error): failures.withLockedValue { $0.append(error) }
              }
            })
          { await producer.waitForRoom(for: message) }
          if number % 20 == 0 { try await Task.sleep(for: .milliseconds(5)) }
        }
        try await producer.flush()
      }
      let consuming = Task {
        var seen: Set<Int> = []
        while seen.count < total {
          guard let message = try await consumer.receive(timeout: .seconds(20)) else { break }
          seen.insert(Int(String(buffer: message.payload)) ?? -1)
          consumer.acknowledge(message)
        }
        return seen.count
      }
      for limit in [500, 1500] {
        await eventually { acknowledged.withLockedValue { $0 } > limit }
        try await region.restartBroker()
      }
      try await publishing.value
      #expect(failures.withLockedValue { $0 } == [])
      #expect(acknowledged.withLockedValue { $0 } == total)
      #expect(try await consuming.value == total)

      let reader = try await client.reader(topic: "restarts", start: .earliest)
      var numbers: [Int] = []
      while let message = try await reader.next(timeout: numbers.count < total ? .seconds(10) : .milliseconds(200)) {
        numbers.append(Int(String(buffer: message.payload)) ?? -1)
      }
      // What was acknowledged may be trimmed; what is left is whole and in order.
      #expect(numbers == Array((numbers.first ?? 0)..<total))
    }
  }

  @Test func sequenceNumbersGoOnAfterTheProducerCameBack() async throws {
    try await ClientRegion.with(deduplicates: true) { region, client in
      var configuration = ProducerConfiguration()
      configuration.name = "named"
      let first = try await client.producer(topic: "numbers", configuration: configuration)
      for number in 0..<5 { try await first.send(Message("\(number)")) }
      #expect(try await first.lastSequenceID == 4)
      await first.close()
      let second = try await client.producer(topic: "numbers", configuration: configuration)
      #expect(try await second.lastSequenceID == 4)
      var repeated = Message("again")
      repeated.sequenceID = 3
      #expect(try await second.send(repeated).ledgerID == -1)
      #expect(try await second.send(Message("5")).ledgerID >= 0)
    }
  }

  @Test func aClientThatCannotConnectSaysWhy() async throws {
    let port = try await freePort()
    var configuration = ClientConfiguration()
    configuration.operationTimeout = .milliseconds(300)
    let client = try PulsarClient(serviceURL: "pulsar://127.0.0.1:\(port)", configuration: configuration)
    await #expect(throws: PulsarClientError.self) { try await client.producer(topic: "nowhere") }
    await client.close()
    #expect(throws: PulsarClientError.invalidServiceURL("http://x")) { try PulsarClient(serviceURL: "http://x") }
  }
}
