import ArgumentParser
import NIOCore
import PulsarClient

/// `meridian perf produce`: how fast a region takes messages.
struct PerfProduceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "produce", abstract: "Measure publishing.",
    discussion: "Example: meridian perf produce demo/perf/t --producers 8 --size 100 --no-batching --json")

  @Argument(help: "Topic.") var topic: String
  @OptionGroup(title: "Load") var load: PerfLoadOptions
  @OptionGroup(title: "Measurement") var options: PerfOptions
  @OptionGroup(title: "Connection") var connection: ClientOptions

  func run() async throws {
    let interrupt = Interrupt.install()
    let machine = try await options.machineLimits(entryBytes: load.entryBytes)
    let mesh = await options.meshStatus()
    let client = try connection.makeClient(group: options.makeGroup())
    do {
      let count = load.topics * load.producers
      var generators: [LoadGenerator] = []
      for name in load.names(topic) {
        for _ in 0..<load.producers {
          generators.append(
            LoadGenerator(
              producer: try await client.producer(topic: name, configuration: load.configuration),
              size: load.size.bytes, rate: load.rate.map { $0 / Double(count) }, stampsTime: false,
              recorder: LatencyRecorder()))
        }
      }
      let recorders = generators.map(\.recorder)
      let running = generators.map { generator in Task { await generator.run() } }
      let (seconds, processes) = try await options.measure(interrupt, mesh: mesh, recorders: recorders)
      for task in running { task.cancel() }
      for generator in generators { await generator.producer.close() }
      for task in running { await task.value }
      await client.close()

      let totals = LatencyRecorder.merge(recorders)
      var report = PerfReport(measurement: "produce", settings: load.settings)
      report.published = .init(messages: totals.count, bytes: totals.bytes, seconds: seconds)
      report.publishLatencyMs = .init(totals.histogram)
      report.failed = totals.failed
      report.firstError = totals.firstError
      report.processes = processes
      report.machine = machine
      try report.print(json: options.json)
      if totals.failed > 0 || totals.count == 0 { throw ExitCode.failure }
    } catch let error as PulsarClientError {
      await client.close()
      throw CommandFailure("\(connection.address): \(error)")
    }
  }
}
