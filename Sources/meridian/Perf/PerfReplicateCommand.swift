import ArgumentParser
import Mesh
import NIOConcurrencyHelpers
import NIOCore
import PulsarClient

/// `meridian perf replicate`: how fast, and how late, messages of one region arrive in another.
struct PerfReplicateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replicate", abstract: "Measure replication from one region to another.",
    discussion: """
      Publishes in one region, with the time in each payload, and consumes in the other. The topic's namespace must be
      replicated between them. The regions are those of the mesh in --data, or given by their addresses.

      Examples:

        meridian perf replicate demo/orders/perf --from us --to eu --rate 1000 --duration 30s
        meridian perf replicate demo/orders/perf --source-url pulsar://a:6650 --destination-url pulsar://b:6650
      """)

  @Argument(help: "Topic.") var topic: String
  @Option(help: "Region of the mesh that publishes.") var from: String?
  @Option(help: "Region of the mesh that receives.") var to: String?
  @Option(name: .customLong("source-url"), help: "Pulsar address of the region that publishes.")
  var sourceURL: String?
  @Option(name: .customLong("destination-url"), help: "Pulsar address of the region that receives.")
  var destinationURL: String?
  @Option(help: ArgumentHelp("How long to wait for the last messages.", valueName: "duration")) var drain = "30s"
  @OptionGroup(title: "Load") var load: PerfLoadOptions
  @OptionGroup(title: "Measurement") var options: PerfOptions

  func validate() throws {
    guard (from != nil && to != nil) || (sourceURL != nil && destinationURL != nil) else {
      throw ValidationError("give --from and --to, or --source-url and --destination-url")
    }
    guard DurationArgument(argument: drain) != nil else {
      throw ValidationError("--drain must be a duration such as 30s")
    }
    guard load.size.bytes >= 8 else { throw ValidationError("--size must be 8 or more: the time is in the payload") }
  }

  func run() async throws {
    let interrupt = Interrupt.install()
    let mesh = await options.meshStatus()
    let source = try sourceURL ?? url(of: from, mesh)
    let destination = try destinationURL ?? url(of: to, mesh)
    var machine = try await options.machineLimits(entryBytes: load.entryBytes)
    if options.limits {
      let rate = try await TLSStreamProbe.bytesPerSecond(shape: shape(mesh), for: .seconds(2))
      machine.tlsStreamMegabytesPerSecond = rate / 1e6
    }
    let group = options.makeGroup()
    let producing = try PulsarClient(serviceURL: source, group: group)
    let consuming = try PulsarClient(serviceURL: destination, group: group)
    do {
      let report = try await measure(producing, consuming, mesh, machine, interrupt)
      await producing.close()
      await consuming.close()
      try report.print(json: options.json)
      if report.failed > 0 || (report.lost ?? 0) > 0 || report.received?.messages == 0 { throw ExitCode.failure }
    } catch let error as PulsarClientError {
      await producing.close()
      await consuming.close()
      throw CommandFailure("\(error)")
    }
  }

  private func measure(
    _ producing: PulsarClient, _ consuming: PulsarClient, _ mesh: MeshStatus?, _ machine: MachineLimits,
    _ interrupt: Interrupt
  ) async throws -> PerfReport {
    var generators: [LoadGenerator] = []
    var receivers: [(consumer: Consumer, recorder: LatencyRecorder)] = []
    let arrived = NIOLockedValueBox(0)
    let count = load.topics * load.producers
    var configuration = ConsumerConfiguration()
    configuration.receiverQueueSize = 5000
    let run = String(UInt32.random(in: 0 ... .max), radix: 16)
    for name in load.names(topic) {
      for _ in 0..<load.producers {
        generators.append(
          LoadGenerator(
            producer: try await producing.producer(topic: name, configuration: load.configuration),
            size: load.size.bytes, rate: load.rate.map { $0 / Double(count) }, stampsTime: true,
            recorder: LatencyRecorder()))
      }
      receivers.append(
        (
          try await consuming.consumer(topic: name, subscription: "perf-\(run)", configuration: configuration),
          LatencyRecorder()
        ))
    }
    let receiving = receivers.map { receiver in
      Task {
        while let messages = try? await receiver.consumer.receive(atMost: 500) {
          let now = Clock.nowMicroseconds()
          for message in messages {
            let sent: Int64 = message.payload.getInteger(at: message.payload.readerIndex) ?? now
            receiver.recorder.record(.microseconds(max(0, now - sent)), bytes: message.payload.readableBytes)
            receiver.consumer.acknowledge(message)
          }
          arrived.withLockedValue { $0 += messages.count }
        }
      }
    }
    let published = NIOLockedValueBox(0)
    let running = generators.map { generator in
      Task {
        await generator.run()
        try? await generator.producer.flush()
        let last = (try? await generator.producer.lastSequenceID) ?? -1
        published.withLockedValue { $0 += Int(last + 1) }
      }
    }
    let senders = generators.map(\.recorder)
    let (seconds, processes) = try await options.measure(
      interrupt, mesh: mesh, recorders: senders + receivers.map(\.recorder))
    for task in running { task.cancel() }
    for task in running { await task.value }
    let failed = LatencyRecorder.merge(senders).failed
    let expected = published.withLockedValue { $0 } - failed
    let limit = ContinuousClock.now + .nanoseconds(DurationArgument(argument: drain)?.amount.nanoseconds ?? 0)
    while arrived.withLockedValue({ $0 }) < expected, ContinuousClock.now < limit, !interrupt.isSet {
      await interrupt.wait(atMost: .milliseconds(50))
    }
    for receiver in receivers {
      try? await receiver.consumer.unsubscribe()
      await receiver.consumer.close()
    }
    for task in receiving { await task.value }

    let sent = LatencyRecorder.merge(senders)
    let received = LatencyRecorder.merge(receivers.map(\.recorder))
    var settings = load.settings
    if let from, let to { settings["link"] = "\(from):\(to)" }
    if let link = link(mesh) { settings["rttMs"] = Humanize.fixed(link.rttMs, digits: 0) }
    var report = PerfReport(measurement: "replicate", settings: settings)
    report.published = .init(messages: sent.count, bytes: sent.bytes, seconds: seconds)
    report.received = .init(messages: received.count, bytes: received.bytes, seconds: seconds)
    report.publishLatencyMs = .init(sent.histogram)
    report.endToEndLatencyMs = .init(received.histogram)
    report.lost = max(0, expected - arrived.withLockedValue { $0 })
    report.failed = failed
    report.firstError = sent.firstError
    report.processes = processes
    report.machine = machine
    return report
  }

  private func url(of region: String?, _ mesh: MeshStatus?) throws -> String {
    guard let mesh else {
      throw CommandFailure("no mesh runs with its data in \(options.data); start it by `meridian mesh up`")
    }
    guard let found = mesh.regions.first(where: { $0.name == region }) else {
      let known = mesh.regions.map(\.name).joined(separator: ", ")
      throw CommandFailure("the mesh has no region \(region ?? ""); it has \(known)")
    }
    return found.pulsarUrl
  }

  private func link(_ mesh: MeshStatus?) -> MeshStatus.Link? {
    mesh?.links.first { $0.from == from && $0.to == to }
  }

  private func shape(_ mesh: MeshStatus?) -> WANShape {
    guard let link = link(mesh) else { return WANShape() }
    return WANShape(
      delay: .nanoseconds(Int64(link.rttMs / 2 * 1e6)), jitter: .nanoseconds(Int64(link.jitterMs * 1e6)),
      bandwidth: link.bandwidth)
  }
}
