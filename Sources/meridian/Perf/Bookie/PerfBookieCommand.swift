import ArgumentParser
import Foundation
import NIOPosix
import Transport

/// `meridian perf bookie`: one bookie, driven through sockets.
struct PerfBookieCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bookie", abstract: "Measure one bookie against the disk that it is on.",
    discussion: """
      A bookie is started in this process, in a new directory below --directory that is removed afterwards, and is driven through
      sockets by threads whose CPU time is counted apart from the bookie's. Each figure stands next to what the same disk does
      in the same run.

        adds       as many entries as pipelined writers can add, and the CPU time of one (also with --address)
        latency    one add at a time, against one write and fdatasync (also with --address)
        reads      a ledger read in sequence from a cold disk, against reading its files as dd does
        tail       entries read as soon as they are written: none may come from the disk
        isolation  adds at a steady rate while somebody reads old entries as fast as it goes
        restart    the journal replayed, against reading its files
        ledgers    a bookie with very many ledgers: how long it takes to start, and memory for each

      Examples:

        meridian perf bookie adds latency --directory /data
        meridian perf bookie ledgers --ledgers 1000000
      """)

  enum Measurement: String, CaseIterable, ExpressibleByArgument {
    case adds, latency, reads, tail, isolation, restart, ledgers
  }

  @Argument(help: "What to measure: \(Measurement.allCases.map(\.rawValue).joined(separator: ", ")).")
  var measurements: [Measurement] = [.adds, .latency, .reads, .tail, .isolation, .restart]
  @Option(help: ArgumentHelp("A directory on the disk to measure.", valueName: "dir")) var directory = "."
  @Option(help: ArgumentHelp("A bookie to measure in place of one in this process.", valueName: "host:port"))
  var address: String?
  @Option(help: "Process of the bookie at --address, whose CPU time is counted.") var pid: Int32?
  @Option(help: "Ledger that is written to at --address; it must not exist there.") var ledger: Int64 = 1 << 40
  @Option(help: ArgumentHelp("How long adds are measured.", valueName: "duration")) var duration = "10s"
  @Option(help: ArgumentHelp("How long they run before that.", valueName: "duration")) var warmup = "2s"
  @Option(help: ArgumentHelp("Bytes of an entry that is added, without its header of 36.", valueName: "size"))
  var size = SizeArgument(100)
  @Option(help: "Connections that add, each to a ledger of its own.") var writers = 4
  @Option(help: "Adds of a connection without an answer.") var window = 5000
  @Option(help: "Adds a second beside which old entries are read.") var rate = 10_000.0
  @Option(help: ArgumentHelp("Bytes of an entry that is read or replayed.", valueName: "size"))
  var readSize = SizeArgument(4096)
  @Option(help: ArgumentHelp("Bytes that are read from the disk.", valueName: "size"))
  var readBytes = SizeArgument(1 << 30)
  @Option(help: ArgumentHelp("Bytes of the journal that is replayed.", valueName: "size"))
  var journalBytes = SizeArgument(512 << 20)
  @Option(help: "Ledgers on the bookie that has many.") var ledgers = 1_000_000
  @Option(help: "Event loops of the bookie; one for each core without it.") var threads: Int?
  @Flag(help: "Print JSON (schemaVersion 1).") var json = false

  func validate() throws {
    for text in [duration, warmup] where DurationArgument(argument: text) == nil {
      throw ValidationError("`\(text)` is no duration; write 10s or 500ms")
    }
    guard size.bytes > 0, size.bytes <= 4 << 20, readSize.bytes > 0, readSize.bytes <= 1 << 20 else {
      throw ValidationError("--size must be between 1 and 4M, --read-size between 1 and 1M")
    }
    guard writers > 0, (1...30_000).contains(window), rate > 0, ledgers > 0, threads ?? 1 > 0 else {
      throw ValidationError("--writers, --rate, --ledgers and --threads must be positive, --window 1 to 30000")
    }
    guard readBytes.bytes >= 64 << 20, journalBytes.bytes >= 16 << 20 else {
      throw ValidationError("--read-bytes must be 64M or more, --journal-bytes 16M or more")
    }
    if address != nil {
      guard BookieAddress(address ?? "") != nil else { throw ValidationError("--address must be host:port") }
      guard measurements.allSatisfy({ $0 == .adds || $0 == .latency }) else {
        throw ValidationError("with --address only adds and latency can be measured")
      }
    }
  }

  var measured: Duration { Self.duration(duration) }
  var warming: Duration { Self.duration(warmup) }

  private static func duration(_ text: String) -> Duration {
    .nanoseconds(DurationArgument(argument: text)?.amount.nanoseconds ?? 0)
  }

  func run() async throws {
    let root = "\(directory)/.meridian-perf-\(getpid())"
    defer { try? FileManager.default.removeItem(atPath: root) }
    try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
    let run = BookieMeasurements(options: self, root: root, group: EventLoops.makeGroup(count: threads))
    for measurement in measurements {
      if !json { FileHandle.standardError.write(Data("\(measurement.rawValue) ...\n".utf8)) }
      switch measurement {
      case .adds: try await run.adds()
      case .latency: try await run.latency()
      case .reads: try await run.reads()
      case .tail: try await run.tail()
      case .isolation: try await run.isolation()
      case .restart: try await run.restart()
      case .ledgers: try await run.ledgers()
      }
    }
    try run.figures.print(json: json)
  }
}
