import ArgumentParser

/// The command line: every role and every tool is a subcommand.
@main
struct Meridian: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "meridian",
    abstract: "A geo-replicated messaging mesh that speaks the Pulsar protocol.")
}
