import ArgumentParser

/// `meridian ledgers`: look into ledgers, repair them, and take bookies out of service.
struct LedgersCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ledgers", abstract: "Look into ledgers, repair them, and take bookies out of service.",
    discussion: """
      What would lose something, or shut a writer out, wants a word typed, or given with --confirm.

      Example: meridian ledgers list --topic demo/orders/created
      Example: meridian ledgers decommission bookie-2 --wait
      """,
    subcommands: LedgerReportVerbs.all + LedgerRepairVerbs.all + BookieServiceVerbs.all)

  /// `path` below `/api/v1/`.
  static func path(_ path: String) -> String { "/api/v1/\(path)" }
}

/// One ledger, and the region that has it.
struct LedgerTarget: ParsableArguments {
  @OptionGroup var options: AdminOptions
  @Argument(help: "Id of the ledger.") var ledger: Int64

  func validate() throws {
    guard ledger >= 0 else { throw ValidationError("\(ledger) is not the id of a ledger") }
  }

  var query: [(String, String)] { [("ledger_id", "\(ledger)")] }

  /// The ledger's metadata.
  func summary(_ session: AdminSession) async throws -> JSONValue {
    try await session.send(.get(LedgersCommand.path("ledger/metadata"), query: query))["\(ledger)"]
  }
}
