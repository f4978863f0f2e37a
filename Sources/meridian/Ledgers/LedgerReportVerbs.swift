import ArgumentParser
import Mesh

/// Verbs of `meridian ledgers` that only look.
enum LedgerReportVerbs {
  static let all: [any ParsableCommand.Type] = [
    List.self, Show.self, LedgerReadCommand.self, UnderReplicated.self,
  ]

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list", abstract: "List the ledgers of the region.",
      discussion: """
        The sizes of a ledger that is not closed are unknown. OWNER is the topic, with a cursor's name behind it if the
        ledger holds acknowledgements.

        Example: meridian ledgers list --topic demo/orders/created
        Example: meridian ledgers list --state OPEN --bookie bookie-2
        """)
    @OptionGroup var options: AdminOptions
    @Option(help: ArgumentHelp("Only those of a topic, its cursors' too.", valueName: "topic")) var topic:
      TopicArgument?
    @Option(help: ArgumentHelp("Only those that name this bookie.", valueName: "id")) var bookie: String?
    @Option(help: "Only those in this state: OPEN, IN_RECOVERY, CLOSED or UNREADABLE.") var state: String?
    @Option(help: "Stop after so many.") var limit: Int?

    func validate() throws {
      guard limit ?? 1 >= 1 else { throw ValidationError("--limit must be 1 or more") }
      guard state.map({ ["OPEN", "IN_RECOVERY", "CLOSED", "UNREADABLE"].contains($0.uppercased()) }) ?? true else {
        throw ValidationError("--state must be OPEN, IN_RECOVERY, CLOSED or UNREADABLE")
      }
    }

    func run() async throws {
      try await options.withSession { session in
        var found: [JSONValue] = []
        var after: JSONValue?
        repeat {
          var query = [("limit", "1000")]
          if let after { query.append(("after", after.text)) }
          let page = try await session.send(.get(LedgersCommand.path("ledger/page"), query: query))
          found += page["ledgers"].array.filter(isWanted)
          after = page["next"] == .null ? nil : page["next"]
        } while after != nil && found.count < limit ?? Int.max
        found = Array(found.prefix(limit ?? Int.max))
        found.sort { $0["ledgerID"].integerValue ?? 0 < $1["ledgerID"].integerValue ?? 0 }
        if options.json { return try JSONOutput.print(.array(found)) }
        var table = Table([
          ("LEDGER", .right), ("STATE", .left), ("ENTRIES", .right), ("SIZE", .right), ("E/W/A", .left),
          ("SEGMENTS", .right), ("CREATED", .left), ("OWNER", .left),
        ])
        for ledger in found {
          table.add(
            ledger["ledgerID"].text, ledger["state"].text, LedgerFigures.entries(ledger), ledger["length"].bytesText,
            LedgerFigures.quorums(ledger), String(ledger["segments"].array.count), ledger["createdMs"].timeText,
            LedgerFigures.owner(ledger))
        }
        table.print()
      }
    }

    private func isWanted(_ ledger: JSONValue) -> Bool {
      if let state, ledger["state"].text != state.uppercased() { return false }
      if let bookie {
        let names = ledger["segments"].array.flatMap { $0["ensemble"].array.map(\.text) }
        guard names.contains(bookie) else { return false }
      }
      guard let topic else { return true }
      return LedgerFigures.topic(ledger) == topic.name
    }
  }

  struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration.verb(
      "show", "Show what is known of a ledger, and which bookies have its entries.", example: "ledgers show 7")
    @OptionGroup var target: LedgerTarget

    func run() async throws {
      try await target.options.withSession { session in
        let ledger = try await target.summary(session)
        if target.options.json { return try JSONOutput.print(ledger) }
        var rows = Table("FIELD", "VALUE")
        rows.add("ledger", ledger["ledgerID"].text)
        rows.add("state", ledger["state"].text)
        rows.add("entries", LedgerFigures.entries(ledger))
        rows.add("size", ledger["length"].bytesText)
        rows.add("created", ledger["createdMs"].timeText)
        rows.add("ensemble size", ledger["ensembleSize"].text)
        rows.add("write quorum", ledger["writeQuorumSize"].text)
        rows.add("ack quorum", ledger["ackQuorumSize"].text)
        rows.add("digest", ledger["digest"].text)
        for (key, value) in ledger["customMetadata"].object.sorted(by: { $0.key < $1.key }) {
          rows.add(key, value.text)
        }
        if ledger["problem"] != .null { rows.add("problem", ledger["problem"].text) }
        rows.print()
        print()
        LedgerFigures.segments(ledger).print()
      }
    }
  }

  struct UnderReplicated: AsyncParsableCommand {
    static let configuration = CommandConfiguration.verb(
      "underreplicated", "List the ledgers that wait for repair, and why they are not repaired yet.",
      example: "ledgers underreplicated")
    @OptionGroup var options: AdminOptions

    func run() async throws {
      try await options.withSession { session in
        var found: [JSONValue] = []
        var after: JSONValue?
        repeat {
          var query = [("limit", "1000")]
          if let after { query.append(("after", after.text)) }
          let page = try await session.send(.get(LedgersCommand.path("autorecovery/under_replicated"), query: query))
          found += page["ledgers"].array
          after = page["next"] == .null ? nil : page["next"]
        } while after != nil
        found.sort { $0["ledgerID"].integerValue ?? 0 < $1["ledgerID"].integerValue ?? 0 }
        if options.json { return try JSONOutput.print(.array(found)) }
        guard !found.isEmpty else { return print("no ledger waits for repair") }
        var table = Table([
          ("LEDGER", .right), ("NOTICED", .left), ("LOST BOOKIES", .left), ("COPIES IN DOUBT", .left),
          ("ATTEMPTS", .right), ("UNRECOVERABLE", .right), ("WHY NOT YET", .left),
        ])
        for ledger in found {
          let doubts = ledger["suspects"].array.map { LedgerFigures.copies($0) }
          let shown = doubts.prefix(3).joined(separator: " ") + (doubts.count > 3 ? " …" : "")
          table.add(
            ledger["ledgerID"].text, ledger["sinceMs"].ageText, ledger["lostBookies"].text,
            shown.isEmpty ? (ledger["isMisplaced"].isTrue ? "in one failure domain" : "-") : shown,
            ledger["attempts"].text, ledger["unrecoverableEntries"].text, ledger["problem"].text)
        }
        table.print()
      }
    }
  }
}
