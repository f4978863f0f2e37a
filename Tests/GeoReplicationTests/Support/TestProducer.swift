import Broker
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import PulsarClient
import PulsarWire
import TestSupport

/// An application's producer that sends numbered messages and repeats those without a receipt on a new connection.
final class TestProducer: Sendable {
  private let region: GeoRegion
  private let topic: TopicName
  let name: String
  private let progress = NIOLockedValueBox((next: UInt64(0), acknowledged: UInt64(0)))

  init(_ name: String, to topic: TopicName, in region: GeoRegion) {
    self.name = name
    self.topic = topic
    self.region = region
  }

  /// Messages with a receipt: all sequence ids below.
  var acknowledged: UInt64 { progress.withLockedValue { $0.acknowledged } }

  /// Sends `count` messages more and waits until all have their receipt, through whatever happens.
  func send(
    _ count: Int, schema: ProtoSchema? = nil, padding: Int = 0, within limit: Duration = .seconds(30),
    _ change: @escaping @Sendable (inout MessageMetadata) -> Void = { _ in }
  ) async throws {
    let end = progress.withLockedValue { $0.acknowledged + UInt64(count) }
    let deadline = ContinuousClock.now + limit
    while acknowledged < end {
      guard ContinuousClock.now < deadline else { throw TestSupportError("\(name) got no receipt in time") }
      do {
        try await attempt(until: end, schema: schema, padding: padding, change)
      } catch {
        try await Task.sleep(for: .milliseconds(50))
      }
    }
  }

  private func attempt(
    until end: UInt64, schema: ProtoSchema?, padding: Int,
    _ change: @escaping @Sendable (inout MessageMetadata) -> Void
  ) async throws {
    let loop = MultiThreadedEventLoopGroup.singleton.next()
    let address = ServiceAddress(host: "127.0.0.1", port: region.port, isTLS: false)
    let connection = try await PulsarConnection.connect(
      to: address, options: ConnectionOptions(), on: loop,
      logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
    ).get()
    defer { loop.execute { connection.close() } }
    try await loop.flatSubmit { [self] in
      var command = ProtoCommandProducer()
      command.topic = topic.description
      command.producerID = 1
      command.requestID = connection.makeID()
      command.producerName = name
      if let schema { command.schema = schema }
      let promise = loop.makePromise(of: Void.self)
      connection.request(ProtoBaseCommand(command), id: command.requestID, timeout: .seconds(5)).whenComplete {
        result in
        switch result {
        case .failure(let error): promise.fail(error)
        case .success(let answer):
          let version = ByteBuffer(bytes: answer.producerSuccess.schemaVersion)
          let receiver = Receiver(producer: self, end: end, promise: promise)
          connection.register(receiver, id: 1)
          connection.closeFuture.whenComplete { _ in _ = receiver }
          for sequence in self.acknowledged..<end {
            var metadata = MessageMetadata(
              producerName: self.name, sequenceID: sequence, publishTimeMs: Int64(sequence))
            if version.readableBytes > 0 { metadata.schemaVersion = version }
            change(&metadata)
            let payload = ByteBuffer(
              string: "\(self.name)-\(sequence)" + String(repeating: "x", count: padding))
            var entry = ByteBuffer()
            EntryEncoder.encode(metadata, payload: payload, into: &entry)
            entry.writeImmutableBuffer(payload)
            var frame = ByteBuffer()
            PulsarFrameEncoder.encode(
              SendCommand(producerID: 1, sequenceID: sequence), payloadLength: entry.readableBytes, into: &frame)
            frame.writeImmutableBuffer(entry)
            connection.write(frame)
          }
          connection.flush()
        }
      }
      return promise.futureResult
    }.get()
  }

  fileprivate func received(_ sequence: UInt64) -> UInt64 {
    progress.withLockedValue {
      $0.acknowledged = max($0.acknowledged, sequence + 1)
      return $0.acknowledged
    }
  }
}

private final class Receiver: ConnectionProducer, @unchecked Sendable {
  private let producer: TestProducer
  private let end: UInt64
  private var promise: EventLoopPromise<Void>?

  init(producer: TestProducer, end: UInt64, promise: EventLoopPromise<Void>) {
    self.producer = producer
    self.end = end
    self.promise = promise
  }

  private func finish(_ error: PulsarClientError?) {
    let promise = promise
    self.promise = nil
    if let error { promise?.fail(error) } else { promise?.succeed() }
  }

  func received(receipt: SendReceiptCommand) {
    if producer.received(receipt.sequenceID) >= end { finish(nil) }
  }

  func received(error: ProtoCommandSendError) { finish(.broker(error.error, error.message)) }
  func closedByBroker(_ command: ProtoCommandCloseProducer) { finish(.closed) }
  func connectionClosed(_ error: PulsarClientError) { finish(error) }
}
