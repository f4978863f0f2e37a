import Logging
import NIOCore
import NIOEmbedded
import PulsarWire
import Testing

@testable import PulsarClient

/// A consumer on a connection whose broker is the test.
@Suite struct FailedSeekTests {
  @Test func whatCameDuringARefusedSeekIsDeliveredAndItsPermitsComeBack() throws {
    let channel = EmbeddedChannel()
    try channel.connect(to: .init(ipAddress: "127.0.0.1", port: 1)).wait()
    let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
    let client = try PulsarClient(serviceURL: "pulsar://broker:1", group: channel.embeddedEventLoop)
    let connection = PulsarConnection(
      channel: channel, address: client.serviceAddress, server: ProtoCommandConnected(),
      keepAliveInterval: .hours(1), logger: logger)
    var configuration = ConsumerConfiguration()
    configuration.receiverQueueSize = 2
    let consumer = PartitionConsumerSource(
      client: client, topic: "t", subscription: "s", start: nil, configuration: configuration
    ).addPartition(nil)
    connection.register(consumer, id: consumer.id)
    consumer.state = .open(connection)
    consumer.epoch = consumer.queue.reopen(0).epoch

    let seek = consumer.seek(.publishTime(1))
    for entryID in 0..<2 {
      var entry = ByteBuffer()
      let payload = ByteBuffer(string: "\(entryID)")
      EntryEncoder.encode(
        MessageMetadata(producerName: "p", sequenceID: UInt64(entryID), publishTimeMs: 1), payload: payload,
        into: &entry)
      entry.writeImmutableBuffer(payload)
      connection.received(
        PulsarFrame(
          command: .message(
            MessageCommand(consumerID: consumer.id, messageID: .init(ledgerID: 1, entryID: Int64(entryID)))),
          payload: entry))
    }
    connection.readComplete()
    #expect(consumer.queue.isEmpty)
    var refusal = ProtoCommandError()
    refusal.requestID = 1
    refusal.error = .notAllowedError
    refusal.message = "no"
    connection.received(PulsarFrame(command: .other(ProtoBaseCommand(refusal))))
    #expect(throws: PulsarClientError.broker(.notAllowedError, "no")) { try seek.wait() }

    while try channel.readOutbound(as: ByteBuffer.self) != nil {}
    let texts = consumer.queue.takeAvailable(atMost: 9).map { String(buffer: $0.payload) }
    #expect(texts == ["0", "1"])
    // The broker is told that it may send two more.
    channel.embeddedEventLoop.run()
    var granted = 0
    while let bytes = try channel.readOutbound(as: ByteBuffer.self) {
      var decoder = PulsarFrameDecoder()
      var bytes = bytes
      if case .flow(let flow)? = try decoder.decode(buffer: &bytes)?.command { granted += Int(flow.messagePermits) }
    }
    #expect(granted == 2)
    connection.close()
    _ = try? channel.finish()
  }
}
