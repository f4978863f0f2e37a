import Admin
import ArgumentParser
import Foundation
import Mesh

/// The command line: every role and every tool is a subcommand.
@main
struct Meridian: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "meridian",
    abstract: "A geo-replicated messaging mesh that speaks the Pulsar protocol.",
    discussion: """
      Two regions on this machine, with live lag: meridian mesh up topologies/two-region.yaml --demo
      Shell completion: meridian --generate-completion-script bash
      """,
    version: "meridian \(AdminServerConfiguration().version)",
    subcommands: [
      MeshCommand.self, StandaloneCommand.self, BrokerCommand.self, LagCommand.self,
      ClustersCommand.self, TenantsCommand.self, NamespacesCommand.self, TopicsCommand.self,
      SubscriptionsCommand.self, BookieCommand.self, LedgersCommand.self, AutoRecoveryCommand.self, ProduceCommand.self,
      ConsumeCommand.self, PerfCommand.self, CertsCommand.self,
      HealthCommand.self,
    ])

  static func main() async {
    // The value of --watch may be left out.
    let arguments = CommandLine.arguments.dropFirst().map { $0 == "--watch" ? "--watch=1s" : $0 }
    do {
      var command = try parseAsRoot(Array(arguments))
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
    } catch {
      guard arguments.first == "lag", exitCode(for: error) == .validationFailure else {
        exit(withError: error)
      }
      // Who runs it as a check knows only 0 to 3.
      FileHandle.standardError.write(Data((fullMessage(for: error) + "\n").utf8))
      exit(withError: ExitCode(Int32(MeshLag.Verdict.unknown.rawValue)))
    }
  }
}
