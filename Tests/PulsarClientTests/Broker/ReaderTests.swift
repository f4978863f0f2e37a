import NIOCore
import TestSupport
import Testing

@testable import PulsarClient

@Suite(.serialized) struct ReaderTests {
  @Test func readersBeginWhereTheyAreTold() async throws {
    try await ClientRegion.with { _, client in
      let producer = try await client.producer(topic: "read")
      let empty = try await client.reader(topic: "read", start: .earliest)
      #expect(try await !empty.hasMessageAvailable())
      var ids: [MessageID] = []
      for number in 0..<5 { ids.append(try await producer.send(Message("\(number)"))) }
      func all(_ start: ReaderStart) async throws -> [String] {
        let reader = try await client.reader(topic: "read", start: start)
        var texts: [String] = []
        while try await reader.hasMessageAvailable() {
          guard let message = try await reader.next(timeout: .seconds(5)) else {
            Issue.record("a message was announced and did not come")
            break
          }
          texts.append(String(buffer: message.payload))
        }
        await reader.close()
        return texts
      }
      #expect(try await all(.earliest) == ["0", "1", "2", "3", "4"])
      #expect(try await all(.latest) == [])
      #expect(try await all(.at(ids[2])) == ["2", "3", "4"])
      #expect(try await all(.after(ids[2])) == ["3", "4"])
      #expect(try await all(.after(ids[4])) == [])
      #expect(try await empty.next().id == ids[0])
    }
  }

  @Test func readersBeginWithinABatch() async throws {
    try await ClientRegion.with { _, client in
      var configuration = ProducerConfiguration()
      configuration.batchingMaxPublishDelay = .milliseconds(200)
      let producer = try await client.producer(topic: "inbatch", configuration: configuration)
      async let a = producer.send(Message("a"))
      async let b = producer.send(Message("b"))
      async let c = producer.send(Message("c"))
      let ids = try await [a, b, c].sorted()
      #expect(ids.map(\.batchIndex) == [0, 1, 2])
      let reader = try await client.reader(topic: "inbatch", start: .after(ids[1]))
      #expect(try await reader.next().id == ids[2])
      #expect(try await !reader.hasMessageAvailable())
      try await reader.seek(to: ids[1])
      #expect(try await reader.next().id == ids[1])
    }
  }

  @Test func aReaderGoesOnAfterTheBrokerCameBack() async throws {
    try await ClientRegion.with { region, client in
      let producer = try await client.producer(topic: "resume")
      // Something has to keep what is not read yet.
      _ = try await client.consumer(topic: "resume", subscription: "keeps")
      for number in 0..<20 { _ = producer.enqueue(Message("\(number)")) { _ in } }
      try await producer.flush()
      let reader = try await client.reader(topic: "resume", start: .earliest, receiverQueueSize: 4)
      for number in 0..<7 { #expect(String(buffer: try await reader.next().payload) == "\(number)") }
      try await region.restartBroker()
      for number in 7..<20 { #expect(String(buffer: try await reader.next().payload) == "\(number)") }
      try await producer.send(Message("20"))
      #expect(String(buffer: try await reader.next().payload) == "20")
    }
  }
}
