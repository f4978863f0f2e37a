import Admin
import ArgumentParser
import Mesh

/// Verbs of `meridian bookie` that only look.
enum BookieReportVerbs {
  static let all: [any ParsableCommand.Type] = [
    List.self, State.self, Info.self, Config.self, Disk.self, Ledgers.self, Entries.self, Damaged.self, Limbo.self,
    LastMark.self,
    Files.self, Sanity.self,
  ]

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration.verb(
      "list", "List all bookies of the region, whichever process has them.", example: "bookie list")
    @OptionGroup var options: AdminOptions

    func run() async throws {
      try await options.withSession { session in
        let answer = try await session.send(.get("/api/v1/bookie/list_all"))
        if options.json { return try JSONOutput.print(answer) }
        var table = Table([
          ("BOOKIE", .left), ("STATE", .left), ("ADDRESS", .left), ("RACK", .left), ("GROUP", .left), ("FREE", .right),
          ("SIZE", .right), ("HERE", .left),
        ])
        for bookie in answer.array {
          let address = bookie["host"] == .null ? "-" : "\(bookie["host"].text):\(bookie["port"].text)"
          table.add(
            bookie["bookieId"].text, bookie["state"].text, address, bookie["rack"].text, bookie["group"].text,
            bookie["freeDiskBytes"].bytesText, bookie["totalDiskBytes"].bytesText, bookie["isLocal"].isTrue ? "yes" : ""
          )
        }
        table.print()
      }
    }
  }

  struct State: AsyncParsableCommand {
    static let configuration = CommandConfiguration.verb(
      "state", "Show in a line what each bookie accepts, holds and suffers from.", example: "bookie state")
    @OptionGroup var target: BookieTarget

    func run() async throws {
      try await target.options.withSession { session in
        let answers = try await target.ask(session, "bookie/details")
        if target.options.json { return try BookieTarget.printJSON(answers) }
        var table = Table([
          ("BOOKIE", .left), ("MODE", .left), ("LEDGERS", .right), ("LOGS", .right), ("LIVE", .right),
          ("CACHED", .right), ("DAMAGED", .right), ("NOTES", .left),
        ])
        for (bookie, details) in answers {
          table.add(
            bookie, details["mode"].text, details["ledgers"].text, details["entryLogs"].text,
            details["liveEntryLogBytes"].bytesText, details["writeCacheBytes"].bytesText,
            details["damagedEntries"].text, Self.notes(details))
        }
        table.print()
      }
    }

    private static func notes(_ details: JSONValue) -> String {
      var notes: [String] = []
      if details["readOnlyForced"].isTrue { notes.append("made read-only by an operator") }
      if details["inLimbo"].isTrue { notes.append("in limbo: a part of its journal was lost") }
      if details["runningCompaction"] != .null { notes.append("\(details["runningCompaction"].text) compaction runs") }
      if !details["suspendedCompactions"].array.isEmpty {
        notes.append("suspended: \(details["suspendedCompactions"].text) compaction")
      }
      for (field, text) in [
        ("quarantinedEntryLogs", "entry logs with damage"), ("failedFlushes", "failed flushes"),
        ("refusedMassDeletes", "mass deletes refused"),
      ] where details[field].integerValue ?? 0 > 0 {
        notes.append("\(details[field].text) \(text)")
      }
      return notes.joined(separator: "; ")
    }
  }

  struct Info: AsyncParsableCommand {
    static let configuration = CommandConfiguration.verb(
      "info", "Show all figures of a bookie.", example: "bookie info --bookie bookie-1")
    @OptionGroup var target: BookieTarget

    func run() async throws {
      try await target.options.withSession { session in
        var answers: [(bookie: String, answer: JSONValue)] = []
        let spaces = try await target.ask(session, "bookie/info")
        for (details, space) in zip(try await target.ask(session, "bookie/details"), spaces) {
          let fields = details.answer.object.merging(space.answer.object) { own, _ in own }
          answers.append((details.bookie, .object(fields)))
        }
        if target.options.json { return try BookieTarget.printJSON(answers) }
        for (index, answer) in answers.enumerated() {
          if index > 0 { print() }
          var table = Table("FIELD", "VALUE")
          for (key, value) in answer.answer.object.sorted(by: { $0.key < $1.key }) {
            let isSize = key.hasSuffix("Bytes") || key.hasSuffix("Space")
            table.add(key, isSize ? "\(value.text) (\(value.bytesText))" : value.text)
          }
          table.print()
        }
      }
    }
  }

  struct Config: AsyncParsableCommand {
    static let configuration = CommandConfiguration.verb(
      "config", "Show the settings of a bookie, under BookKeeper's names.", example: "bookie config --bookie bookie-1")
    @OptionGroup var target: BookieTarget

    func run() async throws {
      try await target.options.withSession { session in
        let answers = try await target.ask(session, "config/server_config")
        if target.options.json { return try BookieTarget.printJSON(answers) }
        for (index, answer) in answers.enumerated() {
          if index > 0 { print() }
          AdminSession.printRows(answer.answer)
        }
      }
    }
  }

  struct Disk: AsyncParsableCommand {
    static let configuration = CommandConfiguration.verb(
      "disk", "Show how full the directories of the bookies are.", example: "bookie disk")
    @OptionGroup var target: BookieTarget

    func run() async throws {
      try await target.options.withSession { session in
        let answers = try await target.ask(session, "bookie/disk_usage")
        if target.options.json { return try BookieTarget.printJSON(answers) }
        var table = Table([
          ("BOOKIE", .left), ("USE", .left), ("SIZE", .right), ("FREE", .right), ("USED", .right), ("LEVEL", .left),
          ("DIRECTORY", .left),
        ])
        for (bookie, disks) in answers {
          for disk in disks.array {
            table.add(
              bookie, disk["use"].text, disk["totalBytes"].bytesText, disk["freeBytes"].bytesText,
              Humanize.fixed((disk["usage"].doubleValue ?? 0) * 100, digits: 1) + " %", disk["level"].text,
              disk["directory"].text)
          }
        }
        table.print()
      }
    }
  }

  struct Ledgers: AsyncParsableCommand {
    static let configuration = CommandConfiguration.verb(
      "ledgers", "List the ledgers that a bookie has entries of.", example: "bookie ledgers --bookie bookie-1")
    @OptionGroup var target: BookieTarget

    func run() async throws {
      try await target.options.withSession { session in
        var table = Table([("BOOKIE", .left), ("LEDGER", .right), ("LAST ENTRY", .right), ("STATE", .left)])
        var answers: [(bookie: String, answer: JSONValue)] = []
        for bookie in try await target.bookies(session) {
          var ledgers: [JSONValue] = []
          var after: JSONValue = .integer(-1)
          while after != .null {
            let page = try await session.send(
              .get(
                BookieTarget.path(bookie, "bookie/ledgers"), query: [("after", after.text), ("limit", "10000")]))
            ledgers += page["ledgers"].array
            after = page["next"]
          }
          for ledger in ledgers {
            let states = [(ledger["fenced"], "fenced"), (ledger["inLimbo"], "in limbo")]
            table.add(
              bookie, ledger["ledgerId"].text, ledger["lastEntry"].text,
              states.filter { $0.0.isTrue }.map(\.1).joined(separator: ", "))
          }
          answers.append((bookie, .array(ledgers)))
        }
        if target.options.json { try BookieTarget.printJSON(answers) } else { table.print() }
      }
    }
  }

  struct Entries: AsyncParsableCommand {
    static let configuration = CommandConfiguration.verb(
      "entries", "Show which entries of a ledger the bookies have.", example: "bookie entries 7")
    @OptionGroup var target: BookieTarget
    @Argument(help: "Id of the ledger.") var ledger: Int64

    func run() async throws {
      try await target.options.withSession { session in
        var answers: [(bookie: String, answer: JSONValue)] = []
        for bookie in try await target.bookies(session) {
          do {
            let call = AdminCall.get(
              BookieTarget.path(bookie, "bookie/ledger_entries"), query: [("ledger_id", "\(ledger)")])
            answers.append((bookie, try await session.send(call)))
          } catch let error as AdminClientError where error.status == 404 {
            continue
          }
        }
        guard !answers.isEmpty else { throw CommandFailure("no bookie here has entries of ledger \(ledger)") }
        if target.options.json { return try BookieTarget.printJSON(answers) }
        var table = Table("BOOKIE", "ENTRIES", "STATE")
        for (bookie, answer) in answers {
          let ranges = answer["entries"].array.map { range in
            range["first"] == range["last"] ? range["first"].text : "\(range["first"].text)-\(range["last"].text)"
          }
          let shown = ranges.prefix(20).joined(separator: ",")
          table.add(
            bookie,
            ranges.isEmpty ? "none" : ranges.count > 20 ? "\(shown) and \(ranges.count - 20) more ranges" : shown,
            answer["ledger"]["fenced"].isTrue ? "fenced" : "")
        }
        table.print()
      }
    }
  }

  struct Damaged: AsyncParsableCommand {
    static let configuration = CommandConfiguration.verb(
      "damaged", "List the entries that bookies cannot read, and wait to have restored.", example: "bookie damaged")
    @OptionGroup var target: BookieTarget

    func run() async throws {
      try await target.options.withSession { session in
        let answers = try await target.ask(session, "bookie/damaged")
        let limbo = try await target.ask(session, "bookie/limbo")
        if target.options.json {
          return try BookieTarget.printJSON(
            zip(answers, limbo).map { ($0.bookie, .object(["damaged": $0.answer, "limbo": $1.answer])) })
        }
        var table = Table([("BOOKIE", .left), ("LEDGER", .right), ("COUNT", .right), ("ENTRIES", .left)])
        for (bookie, answer) in answers {
          for damage in answer.array {
            let entries = damage["entries"].array.map(\.text)
            table.add(
              bookie, damage["ledgerId"].text, String(entries.count),
              entries.prefix(20).joined(separator: ",") + (entries.count > 20 ? ",…" : ""))
          }
        }
        if answers.allSatisfy({ $0.answer.array.isEmpty }) { print("no damaged entries") } else { table.print() }
        for (bookie, answer) in limbo where answer["inLimbo"].isTrue {
          print(
            "\(bookie) may have lost entries of \(answer["ledgers"].array.count) ledgers with a part of its journal")
        }
      }
    }
  }

  struct Limbo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "limbo", abstract: "Show which bookies may have lost entries with a part of their journal.",
      discussion: """
        Of ledgers that it does not have such a bookie says "unknown", until auto-recovery has compared its ledgers with
        their other copies; then it leaves limbo by itself. `meridian bookie leave-limbo` gives that up.

        Example: meridian bookie limbo
        """)
    @OptionGroup var target: BookieTarget

    func run() async throws {
      try await target.options.withSession { session in
        let answers = try await target.ask(session, "bookie/limbo")
        if target.options.json { return try BookieTarget.printJSON(answers) }
        var table = Table([("BOOKIE", .left), ("IN LIMBO", .left), ("LEDGERS", .right), ("WHICH", .left)])
        for (bookie, answer) in answers {
          let ledgers = answer["ledgers"].array.map(\.text)
          table.add(
            bookie, answer["inLimbo"].isTrue ? "yes" : "no", "\(ledgers.count)",
            ledgers.prefix(20).joined(separator: ",") + (ledgers.count > 20 ? ",…" : ""))
        }
        table.print()
      }
    }
  }

  struct LastMark: AsyncParsableCommand {
    static let configuration = CommandConfiguration.verb(
      "last-mark", "Show from where on each journal would be replayed.", example: "bookie last-mark")
    @OptionGroup var target: BookieTarget

    func run() async throws {
      try await target.options.withSession { session in
        let answers = try await target.ask(session, "bookie/last_log_mark")
        if target.options.json { return try BookieTarget.printJSON(answers) }
        var table = Table([("BOOKIE", .left), ("MARK", .right), ("JOURNAL", .left)])
        for (bookie, answer) in answers {
          for (journal, mark) in answer.object.sorted(by: { $0.key < $1.key }) { table.add(bookie, mark.text, journal) }
        }
        table.print()
      }
    }
  }

  struct Files: AsyncParsableCommand {
    static let configuration = CommandConfiguration.verb(
      "files", "List the files of the bookies.", example: "bookie files --bookie bookie-1")
    @OptionGroup var target: BookieTarget

    func run() async throws {
      try await target.options.withSession { session in
        let answers = try await target.ask(session, "bookie/list_disk_file")
        if target.options.json { return try BookieTarget.printJSON(answers) }
        var table = Table("BOOKIE", "KIND", "FILES")
        for (bookie, answer) in answers {
          for (kind, files) in answer.object.sorted(by: { $0.key > $1.key }) {
            let names = files.text.split(whereSeparator: \.isWhitespace)
            table.add(
              bookie, kind.hasSuffix(" files") ? String(kind.dropLast(6)) : kind,
              names.isEmpty ? "-" : names.joined(separator: " "))
          }
        }
        table.print()
      }
    }
  }

  struct Sanity: AsyncParsableCommand {
    static let configuration = CommandConfiguration.verb(
      "sanity", "Write to the bookies, read it back, and delete it: exit code 0 if they do their part.",
      example: "bookie sanity")
    @OptionGroup var target: BookieTarget

    func run() async throws {
      try await target.options.withSession { session in
        let answers = try await target.ask(session, "bookie/sanity")
        if target.options.json { return try BookieTarget.printJSON(answers) }
        for (bookie, answer) in answers {
          print("\(bookie): \(answer["readOnly"].isTrue ? "read-only, so nothing was written to it" : "ok")")
        }
      }
    }
  }
}
