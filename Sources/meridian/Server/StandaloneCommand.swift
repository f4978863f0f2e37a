import ArgumentParser
import Mesh
import NIOPosix
import Transport

/// `meridian standalone`: one region in one process.
struct StandaloneCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "standalone", abstract: "Run one region in this process: a broker, bookies, and embedded metadata.",
    discussion: """
      Serves tenant `public` and namespace `public/default`. SIGTERM or Ctrl-C stops it in good order.

      Example: meridian standalone --data ./data
      """)

  @OptionGroup var options: BrokerOptions

  func run() async throws {
    let interrupt = Interrupt.install()
    let settings = try options.settings()
    let logger = try ServerLog.start(settings.clusterName, level: settings.logLevel)
    let group = EventLoops.makeGroup(count: settings.numIOThreads > 0 ? settings.numIOThreads : nil)
    let region: Standalone
    do {
      region = try await Standalone.start(settings, group: group, logger: logger)
    } catch {
      throw CommandFailure("region \(settings.clusterName) cannot start: \(ErrorText.describe(error))")
    }
    logger.info("region \(settings.clusterName) serves")
    await interrupt.wait()
    logger.info("region \(settings.clusterName) stops")
    await region.shutdown()
  }
}
