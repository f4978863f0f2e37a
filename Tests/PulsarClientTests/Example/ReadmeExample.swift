import PulsarClient

/// The example of README.md, in the same words: that it compiles here shows that it compiles for a reader.
func readmeExample() async throws {
  let client = try PulsarClient(serviceURL: "pulsar://localhost:16650")

  var settings = ProducerConfiguration()
  settings.compression = .zstd  // of target Compression
  let producer = try await client.producer(topic: "demo/orders/created", configuration: settings)
  let id = try await producer.send(Message("order 1", key: "customer-7"))
  print("stored at \(id)")

  let consumer = try await client.consumer(topic: "demo/orders/created", subscription: "billing")
  for try await message in consumer.messages {
    print(String(buffer: message.payload), message.replicatedFrom ?? "from here")
    consumer.acknowledge(message)
  }
  await client.close()
}
