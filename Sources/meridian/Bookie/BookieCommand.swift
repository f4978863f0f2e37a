import ArgumentParser

/// `meridian bookie`: look after the bookies of a process.
struct BookieCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bookie", abstract: "Look after bookies, which store the entries of ledgers.",
    discussion: """
      The verbs talk to the admin port of the process that has the bookie (--admin-url). Where it has several, those that
      look show all of them, and those that change something want --bookie or --all.

      Example: meridian bookie list
      Example: meridian bookie readonly on --bookie bookie-2
      """,
    subcommands: BookieReportVerbs.all + BookieMaintenanceVerbs.all)
}
