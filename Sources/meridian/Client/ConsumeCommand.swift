import ArgumentParser
import Foundation
import NIOCore
import PulsarClient
import PulsarWire

extension InitialPosition: ExpressibleByArgument {}

/// `meridian consume`: prints the messages of a topic.
struct ConsumeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "consume", abstract: "Print the messages of a topic.",
    discussion: """
      With -s it consumes a subscription, which stays and keeps its place; without, it reads and leaves nothing behind.

      Examples:

        meridian consume demo/orders/created --from earliest --count 10
        meridian consume demo/orders/created -s billing --type shared --json
        meridian consume demo/orders/created -s billing --service-url pulsar://localhost:26650 --timeout 5s
      """)

  enum SharedType: String, CaseIterable, ExpressibleByArgument {
    case exclusive, shared, failover
    case keyShared = "key_shared"

    var subscriptionType: SubscriptionType {
      switch self {
      case .exclusive: .exclusive
      case .shared: .shared
      case .failover: .failover
      case .keyShared: .keyShared
      }
    }
  }

  @Argument(help: "Topic: persistent://tenant/namespace/topic, tenant/namespace/topic, or a name in public/default.")
  var topic: String
  @Option(name: .shortAndLong, help: "Name of the subscription.") var subscription: String?
  @Option(name: .shortAndLong, help: "How the subscription is shared.") var type = SharedType.exclusive
  @Option(name: [.customShort("n"), .long], help: "End after so many messages.") var count: Int?
  @Option(help: ArgumentHelp("End when no message comes for so long.", valueName: "duration"))
  var timeout: DurationArgument?
  @Option(help: "Where it begins, if the subscription does not exist: earliest or latest.")
  var from = InitialPosition.latest
  @Flag(help: "Print a JSON object for each message, one a line.") var json = false
  @Flag(help: "Print where each message is and what it carries, before its payload.") var showMetadata = false
  @Flag(name: .customLong("no-ack"), help: "Leave the messages in the subscription.") var noAck = false
  @Option(help: "Messages that are fetched ahead.") var queueSize = 1000
  @OptionGroup(title: "Connection") var connection: ClientOptions

  func validate() throws {
    if let count, count < 1 { throw ValidationError("--count must be 1 or more") }
    if queueSize < 1 { throw ValidationError("--queue-size must be 1 or more") }
    if subscription == nil, type != .exclusive { throw ValidationError("--type needs a subscription (-s)") }
  }

  func run() async throws {
    let interrupt = Interrupt.install()
    let client = try connection.makeClient()
    do {
      let source = try await open(client)
      let ending = Task {
        await interrupt.wait()
        await source.close()
      }
      defer { ending.cancel() }
      let received = try await consume(source, interrupt)
      await source.close()
      await client.close()
      if let count, received < count, !interrupt.isSet {
        FileHandle.standardError.write(Data("\(received) of \(count) messages came in time\n".utf8))
        throw ExitCode.failure
      }
    } catch let error as PulsarClientError {
      await client.close()
      throw CommandFailure("\(connection.address): \(error)")
    } catch {
      await client.close()
      throw error
    }
  }

  private enum Source: Sendable {
    case consumer(Consumer)
    case reader(Reader)

    func receive(atMost count: Int, timeout: TimeAmount?) async throws -> [ReceivedMessage] {
      switch self {
      case .consumer(let consumer): return try await consumer.receive(atMost: count, timeout: timeout)
      case .reader(let reader):
        guard let timeout else { return [try await reader.next()] }
        return try await reader.next(timeout: timeout).map { [$0] } ?? []
      }
    }

    func close() async {
      switch self {
      case .consumer(let consumer): await consumer.close()
      case .reader(let reader): await reader.close()
      }
    }
  }

  private func open(_ client: PulsarClient) async throws -> Source {
    guard let subscription else {
      return .reader(
        try await client.reader(
          topic: topic, start: from == .earliest ? .earliest : .latest, receiverQueueSize: queueSize))
    }
    var configuration = ConsumerConfiguration()
    configuration.subscriptionType = type.subscriptionType
    configuration.initialPosition = from
    configuration.receiverQueueSize = count.map { min($0, queueSize) } ?? queueSize
    return .consumer(
      try await client.consumer(topic: topic, subscription: subscription, configuration: configuration))
  }

  private func consume(_ source: Source, _ interrupt: Interrupt) async throws -> Int {
    var received = 0
    var output = OutputBuffer()
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    while received < count ?? .max, !interrupt.isSet {
      let messages: [ReceivedMessage]
      do {
        messages = try await source.receive(
          atMost: min(200, (count ?? .max) - received), timeout: timeout?.amount)
      } catch PulsarClientError.closed {
        break
      }
      if messages.isEmpty { break }
      for message in messages {
        try print(message, encoder, to: &output)
        received += 1
      }
      // Only what was printed is acknowledged.
      guard output.flush() else { break }
      if !noAck, case .consumer(let consumer) = source {
        for message in messages { consumer.acknowledge(message) }
      }
    }
    return received
  }

  private func print(_ message: ReceivedMessage, _ encoder: JSONEncoder, to output: inout OutputBuffer) throws {
    if json {
      output.add(line: try encoder.encode(MessageDocument(message)))
      return
    }
    if showMetadata {
      var parts = ["-- \(message.id)", "published \(message.publishTimeMs)", "by \(message.producerName)"]
      if let key = message.key { parts.append("key \(key)") }
      if let region = message.replicatedFrom { parts.append("from region \(region)") }
      if message.redeliveryCount > 0 { parts.append("redelivery \(message.redeliveryCount)") }
      parts += message.properties.map { "\($0.key)=\($0.value)" }
      output.add(line: parts.joined(separator: "  ").utf8)
    }
    output.add(line: message.payload.readableBytesView)
  }
}

/// A message as `consume --json` prints it.
private struct MessageDocument: Encodable {
  let id: String
  let topic: String
  let key: String?
  let properties: [String: String]
  let payload: String?
  let payloadBase64: String?
  let producer: String
  let sequenceId: UInt64
  let publishTimeMs: Int64
  let eventTimeMs: Int64?
  let redeliveryCount: Int
  let replicatedFrom: String?

  init(_ message: ReceivedMessage) {
    id = "\(message.id)"
    topic = message.topic
    key = message.key
    properties = Dictionary(message.properties.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
    let bytes = Array(message.payload.readableBytesView)
    payload = String(validating: bytes, as: UTF8.self)
    payloadBase64 = payload == nil ? Data(bytes).base64EncodedString() : nil
    producer = message.producerName
    sequenceId = message.sequenceID
    publishTimeMs = message.publishTimeMs
    eventTimeMs = message.eventTimeMs == 0 ? nil : message.eventTimeMs
    redeliveryCount = message.redeliveryCount
    replicatedFrom = message.replicatedFrom
  }
}
