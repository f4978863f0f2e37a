import Admin
import ArgumentParser
import Foundation
import GeoReplication
import Mesh
import NIOPosix

/// `meridian lag`: how far every region is behind every other, and why.
struct LagCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lag", abstract: "Show how far the regions of a mesh are behind each other.",
    discussion: """
      Asks every region at once, with 500 ms for all of them. A region that does not answer is shown as unknown with
      the age of the last known figure, never as 0.

      Example, live: meridian lag --watch
      Example, as a check: meridian lag --warn 5s --crit 30s

      Exit code: 0 OK, 1 WARN, 2 CRIT, 3 UNKNOWN (also if the command is not written as it must be).
      """)

  @Option(
    name: .customLong("admin-url"),
    help: ArgumentHelp(
      "Admin address of a region; repeat it for each.",
      discussion: "Without it: the regions of the mesh whose data are in --data, then MERIDIAN_ADMIN_URL.",
      valueName: "url"))
  var adminURLs: [String] = []

  @Option(help: ArgumentHelp("Directory of a local mesh.", valueName: "dir")) var data = ".meridian"

  @Option(help: ArgumentHelp("Show it anew at this interval (--watch alone: 1s).", valueName: "interval"))
  var watch: String?

  @Flag(help: "Print JSON (schemaVersion 1); with --watch a document for each line.") var json = false
  @Option(help: ArgumentHelp("Only this namespace.", valueName: "tenant/namespace")) var namespace: String?
  @Option(help: ArgumentHelp("Only this link, as from:to.", valueName: "from:to")) var link: String?
  @Option(help: ArgumentHelp("Seconds behind that are worth a warning.", valueName: "duration")) var warn = "5s"
  @Option(help: ArgumentHelp("Seconds behind that are critical.", valueName: "duration")) var crit = "30s"
  @Option(help: "Namespaces to show.") var top = 10
  @Flag(name: .customLong("no-color"), help: "No colours (also NO_COLOR).") var noColor = false
  @Flag(help: "Signs of ASCII only.") var ascii = false

  func run() async throws {
    guard let warning = Quantity.duration(warn), let critical = Quantity.duration(crit) else {
      throw ValidationError("--warn and --crit must be durations such as 5s or 500ms")
    }
    guard warning <= critical else { throw ValidationError("--warn (\(warn)) must not be above --crit (\(crit))") }
    let thresholds = (Double(warning.nanoseconds) / 1e9, Double(critical.nanoseconds) / 1e9)
    let verdict: MeshLag.Verdict
    do {
      verdict = try await run(thresholds)
    } catch let error as ValidationError {
      throw error
    } catch {
      // Nobody can tell how far anything is behind: that is UNKNOWN, not a warning.
      FileHandle.standardError.write(Data("Error: \(error)\n".utf8))
      throw ExitCode(Int32(MeshLag.Verdict.unknown.rawValue))
    }
    throw ExitCode(Int32(verdict.rawValue))
  }

  private func run(_ thresholds: (Double, Double)) async throws -> MeshLag.Verdict {
    let targets = try findTargets()
    let fetcher = LagFetcher()
    let store = LagMemoryFile(data: data, explicit: !adminURLs.isEmpty)
    let collector = LagCollector(targets: targets, memory: store.load()) { try await fetcher.fetch($0) }

    var verdict = MeshLag.Verdict.ok
    if let watch {
      guard let interval = Quantity.duration(watch), interval.nanoseconds > 0 else {
        throw ValidationError("--watch must be a duration such as 1s")
      }
      verdict = try await show(every: .nanoseconds(interval.nanoseconds), collector, store, thresholds)
    } else {
      let lag = try await collect(collector, store)
      verdict = judge(lag, thresholds)
      if let namespace, lag.namespaces.isEmpty {
        try await refuseUnknown(namespace, lag, fetcher)
        FileHandle.standardError.write(
          Data("no topic of \(namespace) is replicated by any region that answered\n".utf8))
      }
      if json {
        try JSONOutput.print(LagDocument(lag: lag, verdict: verdict))
      } else {
        let style = LagScreen.Style(color: useColor, unicode: useUnicode, namespaces: top)
        for line in LagScreen(lag: lag, verdict: verdict, style: style).lines { print(line) }
      }
    }
    await fetcher.close()
    return verdict
  }

  private func show(
    every interval: Duration, _ collector: LagCollector, _ store: LagMemoryFile, _ thresholds: (Double, Double)
  ) async throws -> MeshLag.Verdict {
    let interrupt = Interrupt.install()
    let terminal = Terminal(isInteractive: Terminal.isOutputTerminal && !json)
    terminal.enter()
    defer { terminal.leave() }
    var verdict = MeshLag.Verdict.unknown
    while !interrupt.isSet {
      let lag = try await collect(collector, store)
      verdict = judge(lag, thresholds)
      if json {
        try JSONOutput.printLine(LagDocument(lag: lag, verdict: verdict))
      } else {
        let style = LagScreen.Style(color: useColor, unicode: useUnicode, namespaces: top)
        let screen = LagScreen(lag: lag, verdict: verdict, style: style)
        if terminal.isInteractive {
          terminal.draw(["as of \(Clock.timeOfDay())   every \(watch ?? "1s"), Ctrl-C ends", ""] + screen.lines)
        } else {
          print("\(Clock.timeOfDay())  \(screen.summary)")
          fflush(nil)
        }
      }
      await interrupt.wait(atMost: interval)
    }
    return verdict
  }

  private func collect(_ collector: LagCollector, _ store: LagMemoryFile) async throws -> MeshLag {
    let lag = await collector.collect(nowMs: Clock.nowMs)
    store.save(await collector.memory)
    var wanted: (from: String, to: String)?
    if let link {
      let ends = link.split(separator: ":").map(String.init)
      guard ends.count == 2 else { throw ValidationError("--link must be written from:to, such as us:eu") }
      wanted = (ends[0], ends[1])
      guard
        lag.regions.contains(where: { !$0.answered })
          || lag.links.contains(where: { $0.from == ends[0] && $0.lag.to == ends[1] })
      else {
        let known = lag.links.map { "\($0.from):\($0.lag.to)" }.joined(separator: ", ")
        throw CommandFailure("there is no link \(link); known are \(known.isEmpty ? "none" : known)")
      }
    }
    return lag.filtered(link: wanted, namespace: namespace)
  }

  /// Throws if every region that answered says that there is no such namespace.
  private func refuseUnknown(_ namespace: String, _ lag: MeshLag, _ fetcher: LagFetcher) async throws {
    let asked = lag.regions.filter(\.answered)
    guard !asked.isEmpty else { return }
    for region in asked {
      if await fetcher.hasNamespace(namespace, at: region.adminUrl) { return }
    }
    throw CommandFailure("no region that answers has a namespace \(namespace); it is written tenant/namespace")
  }

  private func judge(_ lag: MeshLag, _ thresholds: (Double, Double)) -> MeshLag.Verdict {
    lag.verdict(warning: thresholds.0, critical: thresholds.1, onlyNamespaces: namespace != nil)
  }

  private func findTargets() throws -> [LagCollector.Target] {
    if !adminURLs.isEmpty { return adminURLs.map { .init(name: nil, adminURL: $0) } }
    let context = MeshDirectory(path: data).contextFile
    if let bytes = FileManager.default.contents(atPath: context) {
      guard let context = try? JSONDecoder().decode(MeshContext.self, from: bytes) else {
        throw CommandFailure("\(context) is damaged; run `meridian mesh up` again, or name the regions by --admin-url")
      }
      return context.regions.map { .init(name: $0.name, adminURL: $0.adminUrl) }
    }
    if let address = ProcessInfo.processInfo.environment["MERIDIAN_ADMIN_URL"] {
      return address.split(separator: ",").map { .init(name: nil, adminURL: $0.trimmingSpaces()) }
    }
    throw CommandFailure(
      "no mesh has its data in \(data), and no region is named: run `meridian mesh up`, or give --admin-url for each region"
    )
  }

  private var useColor: Bool {
    !noColor && Terminal.isOutputTerminal && ProcessInfo.processInfo.environment["NO_COLOR"] == nil
  }

  private var useUnicode: Bool {
    guard !ascii else { return false }
    let environment = ProcessInfo.processInfo.environment
    let locale = environment["LC_ALL"] ?? environment["LC_CTYPE"] ?? environment["LANG"] ?? ""
    return locale.uppercased().contains("UTF-8") || locale.uppercased().contains("UTF8") || locale.isEmpty
  }
}

/// The JSON of `meridian lag --json`.
private struct LagDocument: Encodable {
  let schemaVersion = 1
  let verdict: String
  let asOfMs: Int64
  let worst: MeshLag.Link?
  let regions: [MeshLag.Region]
  let links: [MeshLag.Link]
  let namespaces: [MeshLag.Namespace]

  init(lag: MeshLag, verdict: MeshLag.Verdict) {
    self.verdict = verdict.name
    asOfMs = lag.asOfMs
    worst = lag.worst
    regions = lag.regions
    links = lag.links
    namespaces = lag.namespaces
  }
}
