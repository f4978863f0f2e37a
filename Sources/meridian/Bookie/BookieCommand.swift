import ArgumentParser

/// `meridian bookie`: run a bookie, and look after the bookies of a process.
struct BookieCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bookie", abstract: "Run a bookie, or look after bookies, which store the entries of ledgers.",
    discussion: """
      `run` is a bookie, in this process. The other verbs talk to the admin port of the process that has the bookie (--admin-url). Where it has several, those that
      look show all of them, and those that change something want --bookie or --all.

      Example: meridian bookie list
      Example: meridian bookie readonly on --bookie bookie-2
      """,
    subcommands: [BookieRunCommand.self] + BookieReportVerbs.all + BookieMaintenanceVerbs.all
      + [BookieRebuildIndexCommand.self])
}
