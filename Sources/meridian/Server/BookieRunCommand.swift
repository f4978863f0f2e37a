import ArgumentParser
import Mesh
import NIOPosix
import Transport

/// `meridian bookie run`: one bookie as a process.
struct BookieRunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Run one bookie in this process; its region's metadata store is another one.",
    discussion: """
      The name of a bookie is for ever: its directories and the metadata store remember each other. SIGTERM or Ctrl-C
      stops it in good order. A configuration file may have any of BookKeeper's names that Meridian knows; flags go
      before it.

      Example: meridian bookie run --metadata-store-url etcd://127.0.0.1:2379 --bookie-id b1 --data ./b1
      """)

  @Option(help: ArgumentHelp("Configuration file: YAML, or key=value lines in a .conf file.", valueName: "file"))
  var config: String?
  @Option(
    name: .customLong("metadata-store-url"),
    help: ArgumentHelp(
      "Metadata store that the region's processes share: etcd://host:port[,host:port][/root].", valueName: "url"))
  var metadataStoreURL: String?
  @Option(name: .customLong("bookie-id"), help: "Name of the bookie (default host:port).") var bookieID: String?
  @Option(help: "Address to listen on and to advertise (default 127.0.0.1).") var host: String?
  @Option(help: "Port of the BookKeeper protocol (default 3181).") var port: Int?
  @Option(help: ArgumentHelp("Directory of journal and ledgers (default ./data).", valueName: "dir")) var data: String?
  @Option(
    name: .customLong("journal-dir"),
    help: ArgumentHelp("Directory of a journal; repeat it for several.", valueName: "dir"))
  var journalDirectories: [String] = []
  @Option(
    name: .customLong("ledger-dir"),
    help: ArgumentHelp("Directory of entry logs; repeat it for several.", valueName: "dir"))
  var ledgerDirectories: [String] = []
  @Option(name: .customLong("network-location"), help: "Failure domain, such as /zone-a/rack-3.")
  var networkLocation: String?
  @Option(name: .customLong("http-port"), help: "Port for health, metrics and administration (default 8000).")
  var httpPort: Int?
  @Flag(
    name: .customLong("autorecovery"), inversion: .prefixedNo,
    help: "Audit and repair ledgers in this process, too (default: yes).")
  var autoRecovery: Bool?
  @Option(name: .customLong("log-level"), help: "trace, debug, info, notice, warning or error.") var logLevel: String?

  func run() async throws {
    let interrupt = Interrupt.install()
    let settings = try settings()
    let name = settings.bookie.bookieID
    let logger = try ServerLog.start(name, level: settings.logLevel)
    let group = EventLoops.makeGroup(count: settings.numIOThreads > 0 ? settings.numIOThreads : nil)
    let process: BookieProcess
    do {
      process = try await BookieProcess.start(settings, group: group, logger: logger)
    } catch {
      throw CommandFailure("bookie \(name) cannot start: \(ErrorText.describe(error))")
    }
    logger.info(
      "bookie \(name) serves",
      metadata: ["port": "\(process.bookie.port)", "httpPort": "\(process.httpPort.map(String.init) ?? "none")"])
    await interrupt.wait()
    logger.info("bookie \(name) stops")
    await process.shutdown()
  }

  private func settings() throws -> BookieProcessConfiguration {
    var settings = try config.map { try BookieProcessConfiguration.load($0) } ?? BookieProcessConfiguration()
    if let metadataStoreURL { settings.metadataStoreURL = metadataStoreURL }
    if let bookieID { settings.bookie.bookieID = bookieID }
    if let host { settings.bookie.host = host }
    if let port { settings.bookie.port = port }
    if let data {
      settings.bookie.journalDirectories = [data + "/journal"]
      settings.bookie.ledgerDirectories = [data + "/ledgers"]
    }
    if !journalDirectories.isEmpty { settings.bookie.journalDirectories = journalDirectories }
    if !ledgerDirectories.isEmpty { settings.bookie.ledgerDirectories = ledgerDirectories }
    if let networkLocation { settings.bookie.networkLocation = networkLocation }
    if let httpPort { settings.httpServerPort = httpPort }
    if let autoRecovery { settings.autoRecoveryDaemonEnabled = autoRecovery }
    if let logLevel { settings.logLevel = logLevel }
    try settings.validate()
    return settings
  }
}
