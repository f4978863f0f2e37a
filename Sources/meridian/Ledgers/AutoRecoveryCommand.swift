import ArgumentParser

/// `meridian autorecovery`: the repair of ledgers.
struct AutoRecoveryCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "autorecovery", abstract: "Switch the repair of ledgers on and off, and see how far it is.",
    discussion: "Example: meridian autorecovery status",
    subcommands: [
      Status.self, Enable.self, Disable.self, Audit.self,
    ])

  struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration.verb(
      "status", "Show whether ledgers are repaired, by whom they are audited, and what is left to do.",
      example: "autorecovery status")
    @OptionGroup var options: AdminOptions

    func run() async throws {
      try await options.withSession { session in
        let status = try await session.send(.get(LedgersCommand.path("autorecovery/details")))
        if options.json { return try JSONOutput.print(status) }
        var rows = Table("FIELD", "VALUE")
        rows.add(
          "auto-recovery", status["isEnabled"].isTrue ? "on" : "off, since \(status["disabledSinceMs"].timeText)")
        rows.add("auditor", status["auditor"] == .null ? "none at the moment" : status["auditor"].text)
        rows.add("ledgers waiting for repair", status["underReplicatedLedgers"].text)
        rows.add("of these, with entries lost", status["unrecoverableLedgers"].text)
        rows.add("in repair now", status["ledgersInRepair"].text)
        rows.add("last search for lost bookies", status["lastBookieCheckMs"].ageText)
        rows.add("last check of contents", status["lastContentCheckMs"].ageText)
        rows.add("last check of placements", status["lastPlacementCheckMs"].ageText)
        rows.print()
      }
    }
  }

  struct Enable: AsyncParsableCommand {
    static let configuration = CommandConfiguration.verb(
      "enable", "Have ledgers audited and repaired, in the whole region.", example: "autorecovery enable")
    @OptionGroup var options: AdminOptions

    func run() async throws { try await AutoRecoveryCommand.set(true, options) }
  }

  struct Disable: AsyncParsableCommand {
    static let configuration = CommandConfiguration.verb(
      "disable", "Stop audits and repairs in the whole region, for example while bookies are upgraded.",
      example: "autorecovery disable")
    @OptionGroup var options: AdminOptions

    func run() async throws { try await AutoRecoveryCommand.set(false, options) }
  }

  struct Audit: AsyncParsableCommand {
    static let configuration = CommandConfiguration.verb(
      "audit", "Have bookies, contents and placements checked now.", example: "autorecovery audit")
    @OptionGroup var options: AdminOptions

    func run() async throws {
      try await options.withSession { session in
        let status = try await session.send(.get(LedgersCommand.path("autorecovery/details")))
        guard status["isEnabled"].isTrue else {
          throw CommandFailure(
            "auto-recovery is off, so nothing is audited; `meridian autorecovery enable` comes first")
        }
        try await session.send(.put(LedgersCommand.path("autorecovery/trigger_audit")))
        if !options.json { print("asked for; `meridian autorecovery status` shows when checks began") }
      }
    }
  }

  private static func set(_ isEnabled: Bool, _ options: AdminOptions) async throws {
    try await options.withSession { session in
      try await session.send(
        .put(LedgersCommand.path("autorecovery/status"), query: [("enabled", "\(isEnabled)")]))
    }
  }
}
