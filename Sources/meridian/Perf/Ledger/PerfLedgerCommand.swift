import ArgumentParser
import Foundation
import Histogram
import Ledgers
import Logging
import MetadataStore
import NIOPosix
import Transport

/// `meridian perf ledger`: what one bad bookie of three does to publishing.
struct PerfLedgerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ledger", abstract: "Measure publishing to three bookies, one of them stopped or slow.",
    discussion: """
      Three bookies run in processes of their own below --directory, which is cleared afterwards. Each entry goes to all three and
      is acknowledged by two. Healthy rounds take turns with rounds in which one bookie is stopped by a signal, or needs a
      hundred times as long for each sync; latency counts from the moment at which an entry was due.

      Example: meridian perf ledger --directory /data --rate 2000 --size 1K
      """)

  @Option(help: ArgumentHelp("A directory on the disk to measure.", valueName: "dir")) var directory = "."
  @Option(help: "Entries a second.") var rate = 2000.0
  @Option(help: ArgumentHelp("Bytes of an entry.", valueName: "size")) var size = SizeArgument(1024)
  @Option(help: ArgumentHelp("How long each round is measured.", valueName: "duration")) var duration = "8s"
  @Option(help: "Rounds of each kind.") var rounds = 2
  @Option(help: "How many times as long the slow bookie takes.") var slowness = 100.0
  @Flag(help: "Print JSON (schemaVersion 1).") var json = false

  func validate() throws {
    guard DurationArgument(argument: duration) != nil else {
      throw ValidationError("`\(duration)` is no duration; write 8s or 500ms")
    }
    guard rate > 0, rounds > 0, slowness >= 1, size.bytes > 0, size.bytes <= 4 << 20 else {
      throw ValidationError("--rate and --rounds must be positive, --slowness 1 or more, --size between 1 and 4M")
    }
  }

  private enum Round: String, CaseIterable {
    case healthy
    case stopped = "one stopped"
    case slow = "one slow"
  }

  func run() async throws {
    let root = "\(directory)/.meridian-perf-\(getpid())"
    defer { try? FileManager.default.removeItem(atPath: root) }
    try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
    let metadata = try await RocksDBStore.open(path: root + "/metadata")
    var bookies: [LedgerBookieProcess.Handle] = []
    defer { for bookie in bookies { bookie.end() } }
    for number in 1...3 {
      let name = "bookie-\(number)"
      let bookie = try await onThread { try LedgerBookieProcess.Handle(name: name, directory: "\(root)/\(name)") }
      bookies.append(bookie)
      _ = try await metadata.put(
        "/bookies/available/\(name)", Array("{\"host\":\"127.0.0.1\",\"port\":\(bookie.port)}".utf8))
    }
    let group = EventLoops.makeGroup(count: 1)
    var latencies: [Round: Histogram<UInt64>] = [:]
    for round in 0..<rounds {
      for kind in Round.allCases {
        let victim = bookies[round % bookies.count]
        let median = latencies[.healthy]?.valueAtPercentile(50) ?? 1000
        let outcome = try await measure(metadata, group) { [slowness] in
          switch kind {
          case .healthy: break
          case .stopped: victim.pause(true)
          case .slow: victim.slowDown(microseconds: Int(Double(median) * slowness))
          }
        }
        victim.pause(false)
        victim.slowDown(microseconds: 0)
        if let failure = outcome.failure { throw CommandFailure("\(kind.rawValue): \(failure)") }
        latencies[kind, default: LatencyRecorder.empty()].add(outcome.latency)
        // What the victim did not get meanwhile comes to it now.
        try await Task.sleep(for: .seconds(3))
      }
    }
    try await metadata.close()
    try report(latencies).print(json: json)
  }

  private func measure(
    _ metadata: RocksDBStore, _ group: MultiThreadedEventLoopGroup, _ atStart: @escaping @Sendable () -> Void
  ) async throws -> LedgerLoad.Outcome {
    var logger = Logger(label: "perf")
    logger.logLevel = .error
    // A client of its own: it knows nothing of what was wrong in the round before.
    let client = LedgerClient(metadata: metadata, group: group, logger: logger)
    let ledger = try await client.createLedger(
      LedgerOptions(ensembleSize: 3, writeQuorumSize: 3, ackQuorumSize: 2), on: group.next())
    let load = LedgerLoad(ledger, payloadBytes: size.bytes, rate: rate)
    let time = Duration.nanoseconds(DurationArgument(argument: duration)?.amount.nanoseconds ?? 0)
    let outcome = try await load.run(warmup: .seconds(2), measured: time, atStart: atStart)
    try await client.shutdown()
    return outcome
  }

  private func report(_ latencies: [Round: Histogram<UInt64>]) -> PerfFigures {
    var figures = PerfFigures(settings: [
      "rate": String(rate), "size": String(size.bytes), "rounds": String(rounds), "ensemble": "3",
      "writeQuorum": "3", "ackQuorum": "2",
    ])
    func value(_ kind: Round, _ percentile: Double) -> Double {
      Double(latencies[kind]?.valueAtPercentile(percentile) ?? 0) / 1000
    }
    for percentile in [50.0, 99, 99.9] {
      let name = percentile == 99.9 ? "p99.9" : "p\(Int(percentile))"
      figures.add("ledger", "publish healthy \(name)", value(.healthy, percentile), "ms")
      for kind in [Round.stopped, .slow] {
        figures.add(
          "ledger", "publish \(kind.rawValue) \(name)", value(kind, percentile), "ms",
          against: ("healthy", value(.healthy, percentile)), target: percentile == 99 ? .atMost(1.2) : nil)
      }
    }
    figures.add("ledger", "entries measured", latencies.values.reduce(0) { $0 + Double($1.totalCount) }, "")
    return figures
  }
}
