import ArgumentParser
import Foundation
import Mesh
import NIOPosix
import Transport

/// `meridian broker`: the broker of a region whose bookies and metadata are other processes.
struct BrokerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "broker",
    abstract: "Run the broker of a region; bookies and the metadata store are other processes.",
    discussion: """
      Serves Pulsar clients, the admin API and replication. It keeps nothing itself but certificates (in --data).
      A region has one broker at a time: a second one waits for the first one's end, or that of its lease (10 s), and
      is then refused.

      Example: meridian broker --metadata-store-url etcd://127.0.0.1:2379 --cluster us
      """)

  @Option(
    name: .customLong("metadata-store-url"),
    help: ArgumentHelp(
      "Metadata store that the region's processes share: etcd://host:port[,host:port][/root].", valueName: "url"))
  var metadataStoreURL: String?
  @OptionGroup var options: BrokerOptions

  func run() async throws {
    let interrupt = Interrupt.install()
    var settings = try options.settings()
    if let metadataStoreURL { settings.metadataStoreUrl = metadataStoreURL }
    let logger = try ServerLog.start(settings.clusterName, level: settings.logLevel)
    let group = EventLoops.makeGroup(count: settings.numIOThreads > 0 ? settings.numIOThreads : nil)
    let broker: BrokerProcess
    do {
      broker = try await BrokerProcess.start(settings, group: group, logger: logger) { reason in
        logger.critical("the broker stops: \(reason)")
        Foundation.exit(1)
      }
    } catch {
      throw CommandFailure("the broker of region \(settings.clusterName) cannot start: \(ErrorText.describe(error))")
    }
    logger.info("the broker of region \(settings.clusterName) serves")
    await interrupt.wait()
    logger.info("the broker of region \(settings.clusterName) stops")
    await broker.shutdown()
  }
}
