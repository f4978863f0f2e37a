import ArgumentParser
import Foundation
import Mesh
import NIOConcurrencyHelpers
import NIOCore
import PulsarClient
import PulsarWire

/// `meridian produce`: publishes messages.
struct ProduceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "produce", abstract: "Publish messages to a topic.",
    discussion: """
      The messages are the arguments, the lines of --file, --count generated payloads of --size, or the lines of
      standard input.

      Examples:

        meridian produce demo/orders/created 'order 1' 'order 2' --key customer-7
        tail -f orders.jsonl | meridian produce demo/orders/created --compression zstd
        meridian produce demo/orders/created --count 100000 --size 1kib --rate 5000
        meridian produce demo/orders/created --file catalogue.bin --whole --chunking
      """)

  @Argument(help: "Topic: persistent://tenant/namespace/topic, tenant/namespace/topic, or a name in public/default.")
  var topic: String
  @Argument(help: "Messages.") var messages: [String] = []
  @Option(help: ArgumentHelp("Publish the lines of this file (- is standard input).", valueName: "file"))
  var file: String?
  @Flag(help: "Publish the file, or standard input, as one message.") var whole = false
  @Option(help: "Publish so many generated messages, or each message so many times.") var count: Int?
  @Option(help: ArgumentHelp("Bytes of a generated message.", valueName: "size")) var size = SizeArgument(100)
  @Option(help: "Messages a second, at most.") var rate: Double?
  @Option(name: .shortAndLong, help: "Key of every message.") var key: String?
  @Option(
    name: [.customShort("p"), .customLong("property")],
    help: ArgumentHelp("Property of every message; repeat it for more.", valueName: "name=value"))
  var properties: [String] = []
  @Option(help: "Regions that get the messages, separated by commas; `local` for this one only.")
  var replicateTo: String?
  @Option(help: ArgumentHelp("Name of the producer; with deduplication it must stay the same.", valueName: "name"))
  var producerName: String?
  @Flag(help: "Cut messages that are larger than the region takes into chunks; consumers put them together.")
  var chunking = false
  @Option(help: ArgumentHelp("Cut messages that are larger than this, too (with --chunking).", valueName: "size"))
  var chunkMaxMessageSize: SizeArgument?
  @OptionGroup(title: "Batches") var batching: BatchingOptions
  @OptionGroup(title: "Connection") var connection: ClientOptions
  @Flag(help: "Print the summary as JSON.") var json = false
  @Flag(inversion: .prefixedNo, help: "Show progress on a terminal.") var progress = true

  func validate() throws {
    if let count, count < 1 { throw ValidationError("--count must be 1 or more") }
    if let rate, !(rate > 0) { throw ValidationError("--rate must be above 0") }
    if let bad = properties.first(where: { !$0.contains("=") }) {
      throw ValidationError("property `\(bad)` must be name=value")
    }
    if let chunkMaxMessageSize, !chunking || chunkMaxMessageSize.bytes < 1 {
      throw ValidationError("--chunk-max-message-size must be 1 or more, and needs --chunking")
    }
    if !messages.isEmpty, file != nil { throw ValidationError("give messages or --file, not both") }
  }

  func run() async throws {
    let interrupt = Interrupt.install()
    let client = try connection.makeClient()
    do {
      let summary = try await publish(client, interrupt)
      await client.close()
      if json {
        try JSONOutput.print(summary)
      } else {
        print(summary.sentence)
      }
      if summary.failed > 0 { throw ExitCode.failure }
    } catch let error as PulsarClientError {
      await client.close()
      throw CommandFailure("\(connection.address): \(error)")
    } catch {
      await client.close()
      throw error
    }
  }

  private struct Tally {
    var stored = 0
    var failed = 0
    var bytes = 0
    var firstError: PulsarClientError?
  }

  private func publish(_ client: PulsarClient, _ interrupt: Interrupt) async throws -> ProduceSummary {
    var configuration = batching.configuration
    configuration.name = producerName
    configuration.chunkingEnabled = chunking
    configuration.chunkMaxMessageSize = chunkMaxMessageSize?.bytes
    // A file that cannot be read is told before anything is connected.
    var source = try PayloadSource(self)
    let producer = try await client.producer(topic: topic, configuration: configuration)
    let tally = NIOLockedValueBox(Tally())
    var pacer = rate.map { Pacer(rate: $0) }
    var bar = ProgressBar(total: source.total, isEnabled: progress)
    let start = ContinuousClock.now
    var handed = 0
    while !interrupt.isSet, let payload = try await source.next(interrupt) {
      if let due = pacer?.next() {
        let pause = due - .now
        if pause > .seconds(1) {
          await interrupt.wait(atMost: pause)
        } else if pause > .zero {
          try await Task.sleep(for: pause)
        }
      }
      var message = Message(payload, key: key, properties: messageProperties)
      if let replicateTo {
        message.replicateTo =
          replicateTo == "local" ? [] : replicateTo.split(separator: ",").map { $0.trimmingSpaces() }
      }
      let bytes = payload.readableBytes
      while !producer.enqueue(
        message,
        completion: { result in
          tally.withLockedValue { tally in
            switch result {
            case .success:
              tally.stored += 1
              tally.bytes += bytes
            case .failure(let error):
              tally.failed += 1
              if tally.firstError == nil { tally.firstError = error }
            }
          }
        })
      {
        await producer.waitForRoom(for: message)
      }
      handed += 1
      if handed & 63 == 0 || rate != nil {
        let (stored, failure) = tally.withLockedValue { ($0.stored, $0.firstError) }
        bar.update(stored)
        if let failure, failure.isFinal { break }
      }
    }
    try await producer.flush()
    bar.clear()
    let result = tally.withLockedValue { $0 }
    return ProduceSummary(
      topic: producer.topic, published: result.stored, failed: result.failed, bytes: result.bytes,
      seconds: (ContinuousClock.now - start).inSeconds, firstError: result.firstError.map { "\($0)" })
  }

  private var messageProperties: [MessageProperty] {
    properties.map { text in
      let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      return MessageProperty(key: String(parts[0]), value: parts.count > 1 ? String(parts[1]) : "")
    }
  }
}

extension PulsarClientError {
  /// Whether every later message will fail too.
  fileprivate var isFinal: Bool {
    switch self {
    case .terminated, .fenced, .closed: true
    default: false
    }
  }
}

/// What `produce` did.
struct ProduceSummary: Encodable {
  let topic: String
  let published: Int
  let failed: Int
  let bytes: Int
  let seconds: Double
  let messagesPerSecond: Double
  let megabytesPerSecond: Double
  let firstError: String?

  init(topic: String, published: Int, failed: Int, bytes: Int, seconds: Double, firstError: String?) {
    self.topic = topic
    self.published = published
    self.failed = failed
    self.bytes = bytes
    self.seconds = seconds
    messagesPerSecond = seconds > 0 ? Double(published) / seconds : 0
    megabytesPerSecond = seconds > 0 ? Double(bytes) / 1e6 / seconds : 0
    self.firstError = firstError
  }

  var sentence: String {
    var text =
      "published \(published) message\(published == 1 ? "" : "s") (\(Humanize.bytes(Double(bytes)))) to \(topic)"
      + " in \(Humanize.fixed(seconds, digits: 2)) s: \(Humanize.fixed(messagesPerSecond, digits: 0))/s"
    if failed > 0 { text += "; \(failed) failed, the first: \(firstError ?? "unknown")" }
    return text
  }
}
