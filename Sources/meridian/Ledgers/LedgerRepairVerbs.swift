import ArgumentParser
import Mesh

/// Verbs of `meridian ledgers` that check and change a ledger.
enum LedgerRepairVerbs {
  static let all: [any ParsableCommand.Type] = [
    Verify.self, Recover.self, Retry.self, Delete.self, Format.self,
  ]

  struct Verify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "verify",
      abstract: "Read and compare all copies of a ledger's entries: exit code 0 if they are whole.",
      discussion: """
        Every bookie that should have a copy is asked for it. What is missing or damaged is noted for auto-recovery, unless
        --no-mark says not to. Of a ledger that is being written, the segment under way is left out.

        Example: meridian ledgers verify 7
        Example: meridian ledgers verify 7 --percentage 5 --rate 10M --no-mark
        """)
    @OptionGroup var target: LedgerTarget
    @Option(help: "Entries to look at, in percent; the first and last of each segment always are.") var percentage = 100
    @Option(help: ArgumentHelp("Bytes to read in a second, such as 10M; 0 is no limit.", valueName: "size"))
    var rate = "0"
    @Flag(inversion: .prefixedNo, help: "Have auto-recovery repair what is found.") var mark = true

    func validate() throws {
      guard (0...100).contains(percentage) else { throw ValidationError("--percentage must be 0 to 100") }
      guard rate == "0" || Quantity.size(rate) != nil else { throw ValidationError("--rate `\(rate)` is not a size") }
    }

    func run() async throws {
      try await target.options.withSession(timeout: .seconds(24 * 3600)) { session in
        let bytes = rate == "0" ? 0 : Quantity.size(rate) ?? 0
        let found = try await session.send(
          .get(
            LedgersCommand.path("ledger/verify"),
            query: target.query + [
              ("percentage", "\(percentage)"), ("mark", "\(mark)"), ("bytes_per_second", "\(bytes)"),
            ]))
        let isWhole =
          ["entriesBelowWriteQuorum", "entriesThatDiffer"].allSatisfy { found[$0].integerValue == 0 }
          && found["missing"].array.isEmpty && found["damaged"].array.isEmpty
        if target.options.json {
          try JSONOutput.print(found)
        } else {
          report(found, isWhole)
        }
        if !isWhole { throw ExitCode(1) }
      }
    }

    private func report(_ found: JSONValue, _ isWhole: Bool) {
      guard found["entriesChecked"].integerValue != 0 else {
        print("ledger \(target.ledger) is empty, or its first segment is still being written: nothing to compare")
        return
      }
      print(
        "ledger \(target.ledger): \(found["entriesChecked"].text) entries, \(found["copiesChecked"].text) copies, "
          + "\(found["bytesChecked"].bytesText) compared")
      var table = Table("BOOKIE", "FINDING", "ENTRIES")
      for finding in ["missing", "damaged"] {
        for copies in found[finding].array { table.add(copies["bookie"].text, finding, LedgerFigures.range(copies)) }
      }
      for bookie in found["unreachableBookies"].array { table.add(bookie.text, "does not answer", "-") }
      if table.lines.count > 1 { table.print() }
      for (field, text) in [
        ("entriesBelowWriteQuorum", "with fewer good copies than the write quorum"),
        ("entriesBelowAckQuorum", "with fewer good copies than the ack quorum"),
        ("entriesWithoutCopy", "without any good copy"), ("entriesThatDiffer", "whose copies differ"),
      ] where found[field].integerValue ?? 0 > 0 {
        let count = found[field].text
        print("\(count) \(count == "1" ? "entry" : "entries") \(text)")
      }
      let isMarked = mark && !(found["missing"].array + found["damaged"].array).isEmpty
      print(isWhole ? "whole" : isMarked ? "not whole; noted for auto-recovery" : "not whole")
    }
  }

  struct Recover: AsyncParsableCommand {
    static let configuration = CommandConfiguration.verb(
      "recover", "Close a ledger where it ends, shutting out whoever writes to it.",
      example: "ledgers recover 7 --confirm 7")
    @OptionGroup var target: LedgerTarget
    @OptionGroup var confirmation: Confirmation

    func run() async throws {
      try await target.options.withSession(timeout: .seconds(300)) { session in
        var ledger = try await target.summary(session)
        if ledger["state"] != .string("CLOSED") {
          let owner = LedgerFigures.owner(ledger)
          try confirmation.require(
            "\(target.ledger)",
            "Ledger \(target.ledger)\(owner == "-" ? "" : " of \(owner)") is \(ledger["state"].text): "
              + "whoever writes to it will be shut out")
          ledger = try await session.send(
            .put(LedgersCommand.path("ledger/recover"), query: target.query + [("confirm", "\(target.ledger)")]))
        }
        if target.options.json { return try JSONOutput.print(ledger) }
        print(
          "ledger \(target.ledger) is closed with \(LedgerFigures.entries(ledger)) entries, \(ledger["length"].bytesText)"
        )
      }
    }
  }

  struct Retry: AsyncParsableCommand {
    static let configuration = CommandConfiguration.verb(
      "retry", "Have auto-recovery look at a ledger now, also if it waits after failed attempts.",
      example: "ledgers retry 7")
    @OptionGroup var target: LedgerTarget

    func run() async throws {
      try await target.options.withSession { session in
        try await session.send(.put(LedgersCommand.path("ledger/retry"), query: target.query))
      }
    }
  }

  struct Delete: AsyncParsableCommand {
    static let configuration = CommandConfiguration.verb(
      "delete", "Forget a ledger for good; a topic that still names it loses what is in it.",
      example: "ledgers delete 7 --confirm 7")
    @OptionGroup var target: LedgerTarget
    @OptionGroup var confirmation: Confirmation

    func run() async throws {
      try await target.options.withSession { session in
        let ledger = try await target.summary(session)
        let owner = LedgerFigures.owner(ledger)
        try confirmation.require(
          "\(target.ledger)",
          "Ledger \(target.ledger)\(owner == "-" ? "" : " of \(owner)"), \(LedgerFigures.entries(ledger)) entries, "
            + "will be lost for good")
        let answer = try await session.send(
          .delete(LedgersCommand.path("ledger/delete"), query: target.query + [("confirm", "\(target.ledger)")]))
        if target.options.json { try JSONOutput.print(answer) } else { print("ledger \(target.ledger) is deleted") }
      }
    }
  }

  struct Format: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "format", abstract: "Delete ALL ledgers of the region, and the identities of its bookies.",
      discussion: """
        Nothing that bookies hold can be read again. Every bookie must be stopped first, and its directories emptied before
        it is started again. So the process that is asked must be one without bookies.

        Example: meridian ledgers format --confirm 'delete all ledgers'
        """)
    @OptionGroup var options: AdminOptions
    @OptionGroup var confirmation: Confirmation

    func run() async throws {
      let word = "delete all ledgers"
      try confirmation.require(word, "Every ledger of the region at \(options.address) will be lost for good")
      try await options.withSession(timeout: .seconds(3600)) { session in
        let answer = try await session.send(.put(LedgersCommand.path("ledger/format"), query: [("confirm", word)]))
        if options.json {
          try JSONOutput.print(answer)
        } else {
          print("\(answer["deletedLedgers"].text) ledgers deleted")
        }
      }
    }
  }
}
