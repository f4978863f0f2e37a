import ArgumentParser
import NIOCore
import PulsarClient

/// `meridian perf consume`: how fast a region delivers messages.
struct PerfConsumeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "consume", abstract: "Measure consuming.",
    discussion: "Example: meridian perf consume demo/perf/t --from earliest --consumers 2 --json")

  @Argument(help: "Topic.") var topic: String
  @Option(help: "Topics; with more than one, -0, -1, ... is added to the name.") var topics = 1
  @Option(name: .shortAndLong, help: "Name of the subscription.") var subscription = "perf"
  @Option(help: "Consumers on each topic; more than one share the subscription.") var consumers = 1
  @Option(help: "Where the subscription begins, if it does not exist: earliest or latest.")
  var from = InitialPosition.latest
  @Option(help: "Messages that are fetched ahead.") var queueSize = 1000
  @OptionGroup(title: "Measurement") var options: PerfOptions
  @OptionGroup(title: "Connection") var connection: ClientOptions

  func validate() throws {
    guard topics > 0, consumers > 0, queueSize > 0 else {
      throw ValidationError("--topics, --consumers and --queue-size must be 1 or more")
    }
  }

  func run() async throws {
    let interrupt = Interrupt.install()
    let machine = MachineLimits(cores: System.coreCount)
    let mesh = await options.meshStatus()
    let client = try connection.makeClient(group: options.makeGroup())
    do {
      var configuration = ConsumerConfiguration()
      configuration.initialPosition = from
      configuration.receiverQueueSize = queueSize
      configuration.subscriptionType = consumers > 1 ? .shared : .exclusive
      var receivers: [(consumer: Consumer, recorder: LatencyRecorder)] = []
      for index in 0..<topics {
        for _ in 0..<consumers {
          receivers.append(
            (
              try await client.consumer(
                topic: topics == 1 ? topic : "\(topic)-\(index)", subscription: subscription,
                configuration: configuration), LatencyRecorder()
            ))
        }
      }
      let running = receivers.map { receiver in
        Task {
          while let messages = try? await receiver.consumer.receive(atMost: 500) {
            let now = Clock.nowMs()
            for message in messages {
              receiver.recorder.record(
                .milliseconds(max(0, now - message.publishTimeMs)), bytes: message.payload.readableBytes)
              receiver.consumer.acknowledge(message)
            }
          }
        }
      }
      let recorders = receivers.map(\.recorder)
      let (seconds, processes) = try await options.measure(interrupt, mesh: mesh, recorders: recorders)
      for receiver in receivers { await receiver.consumer.close() }
      for task in running { await task.value }
      await client.close()

      let totals = LatencyRecorder.merge(recorders)
      var report = PerfReport(
        measurement: "consume",
        settings: ["topics": String(topics), "consumers": String(consumers), "queueSize": String(queueSize)])
      report.received = .init(messages: totals.count, bytes: totals.bytes, seconds: seconds)
      report.endToEndLatencyMs = .init(totals.histogram)
      report.processes = processes
      report.machine = machine
      try report.print(json: options.json)
      if totals.count == 0 { throw ExitCode.failure }
    } catch let error as PulsarClientError {
      await client.close()
      throw CommandFailure("\(connection.address): \(error)")
    }
  }
}
