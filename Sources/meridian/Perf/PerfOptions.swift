import ArgumentParser
import Foundation
import Mesh
import NIOCore
import NIOPosix
import PulsarClient
import Transport

/// What all measurements share.
struct PerfOptions: ParsableArguments {
  @Option(help: ArgumentHelp("How long is measured.", valueName: "duration")) var duration = "10s"
  @Option(help: ArgumentHelp("How long it runs before that.", valueName: "duration")) var warmup = "2s"
  @Option(help: "Event loops of the clients; one for each core without it.") var threads: Int?
  @Option(help: "Process of a server whose CPU and memory are reported; repeat it for more. Without it: the mesh's.")
  var pid: [Int32] = []
  @Option(help: ArgumentHelp("Directory of the mesh's data.", valueName: "dir")) var data = ".meridian"
  @Option(help: ArgumentHelp("Directory on the disk whose limits are measured.", valueName: "dir"))
  var diskDir = "."
  @Flag(inversion: .prefixedNo, help: "Measure the machine's own limits first.") var limits = true
  @Flag(help: "Print JSON (schemaVersion 1).") var json = false

  func validate() throws {
    for text in [duration, warmup] where DurationArgument(argument: text) == nil {
      throw ValidationError("`\(text)` is no duration; write 10s or 500ms")
    }
    guard measured > .zero else { throw ValidationError("--duration must be above 0") }
    if let threads, threads < 1 { throw ValidationError("--threads must be 1 or more") }
  }

  var measured: Duration { .nanoseconds(DurationArgument(argument: duration)?.amount.nanoseconds ?? 0) }
  var warming: Duration { .nanoseconds(DurationArgument(argument: warmup)?.amount.nanoseconds ?? 0) }

  func makeGroup() -> MultiThreadedEventLoopGroup { EventLoops.makeGroup(count: threads) }

  /// The mesh that runs from `--data`, if one does.
  func meshStatus() async -> MeshStatus? {
    let directory = MeshDirectory(path: URL(fileURLWithPath: data).standardizedFileURL.path)
    let client = ControlClient(directory: directory, group: MultiThreadedEventLoopGroup.singleton)
    guard case .status(let status) = try? await client.call(.status) else { return nil }
    return status
  }

  /// Begins to count what this process and the servers use.
  func startUsage(_ mesh: MeshStatus?) throws -> [ProcessUsage] {
    var usages: [ProcessUsage] = []
    if let own = ProcessUsage(name: "client", pid: getpid()) { usages.append(own) }
    for pid in pid {
      guard let usage = ProcessUsage(name: "server", pid: pid) else {
        throw CommandFailure("there is no process \(pid), or it cannot be seen")
      }
      usages.append(usage)
    }
    if pid.isEmpty {
      for region in mesh?.regions ?? [] {
        if let pid = region.pid, let usage = ProcessUsage(name: region.name, pid: pid) { usages.append(usage) }
      }
    }
    return usages
  }

  /// The limits of the disk, for entries of this size.
  func machineLimits(entryBytes: Int) async throws -> MachineLimits {
    var machine = MachineLimits(cores: System.coreCount)
    guard limits else { return machine }
    let probe = DiskProbe(directory: diskDir)
    let rounds = try await probe.rounds(bytes: entryBytes, for: .milliseconds(1500))
    machine.batchBytes = entryBytes
    machine.syncWritesPerSecond = rounds
    machine.syncWriteMegabytesPerSecond = rounds * Double(entryBytes) / 1e6
    machine.syncs4KiBPerSecond = try await probe.rounds(bytes: 4096, for: .milliseconds(1500))
    return machine
  }

  /// Lets the warm-up pass, then measures.
  ///
  /// - Returns: seconds that were measured, and what the processes used.
  func measure(
    _ interrupt: Interrupt, mesh: MeshStatus?, recorders: [LatencyRecorder]
  ) async throws -> (seconds: Double, processes: [ProcessUsage.Report]) {
    await interrupt.wait(atMost: warming)
    let usages = try startUsage(mesh)
    for recorder in recorders { recorder.begin() }
    let start = ContinuousClock.now
    await interrupt.wait(atMost: measured)
    for recorder in recorders { recorder.end() }
    return ((ContinuousClock.now - start).inSeconds, usages.compactMap { $0.report() })
  }
}

/// What a measurement publishes.
struct PerfLoadOptions: ParsableArguments {
  @Option(help: "Topics; with more than one, -0, -1, ... is added to the name.") var topics = 1
  @Option(help: "Producers on each topic.") var producers = 1
  @Option(help: "Messages a second of all producers together; as many as they can without it.") var rate: Double?
  @Option(help: ArgumentHelp("Bytes of a message.", valueName: "size")) var size = SizeArgument(1024)
  @Option(help: "Messages of a producer that may wait for their receipt.") var maxPending = 1000
  @OptionGroup(title: "Batches") var batching: BatchingOptions

  func validate() throws {
    guard topics > 0, producers > 0, maxPending > 0 else {
      throw ValidationError("--topics, --producers and --max-pending must be 1 or more")
    }
    if let rate, !(rate > 0) { throw ValidationError("--rate must be above 0") }
  }

  func names(_ topic: String) -> [String] {
    topics == 1 ? [topic] : (0..<topics).map { "\(topic)-\($0)" }
  }

  var configuration: ProducerConfiguration {
    var configuration = batching.configuration
    configuration.maxPendingMessages = maxPending
    return configuration
  }

  /// Bytes that go to the disk in one entry.
  var entryBytes: Int {
    let inBatch = min(batching.batchMaxBytes.bytes, batching.batchMaxMessages * size.bytes)
    return max(1, batching.batching ? max(size.bytes, inBatch) : size.bytes)
  }

  var settings: [String: String] {
    [
      "topics": String(topics), "producers": String(producers), "rate": rate.map { String($0) } ?? "max",
      "size": String(size.bytes), "batching": batching.batching ? "\(batching.batchMaxBytes.bytes)" : "no",
      "compression": "\(batching.compression)", "maxPending": String(maxPending),
    ]
  }
}
