import ArgumentParser
import Foundation

/// Verbs of `meridian ledgers` about where bookies are, and whether they stay.
enum BookieServiceVerbs {
  static let all: [any ParsableCommand.Type] = [Decommission.self, Recommission.self, SetRack.self]

  /// A bookie of the region.
  struct Target: ParsableArguments {
    @OptionGroup var options: AdminOptions
    @Argument(help: "Id of the bookie.") var bookie: String

    var body: JSONValue { .object(["bookie_src": .string(bookie)]) }
  }

  struct Decommission: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "decommission",
      abstract: "Take a bookie out of service for good, after its ledgers are copied elsewhere.",
      discussion: """
        The bookie gets no new entries, and auto-recovery copies what it holds to others. Run it again to see how far that
        is, or wait with --wait. When no ledger needs it any more, stop its process and run it once more: that removes its
        identity. Until then `meridian ledgers recommission` takes it back.

        Example: meridian ledgers decommission bookie-2 --wait --confirm bookie-2
        """)
    @OptionGroup var target: Target
    @OptionGroup var confirmation: Confirmation
    @Flag(help: "Return when no ledger needs the bookie any more.") var wait = false

    func run() async throws {
      try await target.options.withSession(timeout: .seconds(300)) { session in
        let known = try await session.send(.get(LedgersCommand.path("bookie/list_all"))).array
        guard let bookie = known.first(where: { $0["bookieId"].text == target.bookie }) else {
          throw CommandFailure("there is no bookie \(target.bookie) in the region at \(session.address)")
        }
        // One that is on its way out was confirmed before.
        if bookie["state"] != .string("draining") {
          try confirmation.require(
            target.bookie, "Bookie \(target.bookie) will get no new entries, and what it holds will be copied elsewhere"
          )
        }
        let call = AdminCall.put(LedgersCommand.path("autorecovery/decommission"), target.body)
        var status = try await session.send(call)
        var told = ""
        while wait, status["remainingLedgers"].integerValue ?? 0 > 0 {
          let waiting = try await session.send(.get(LedgersCommand.path("autorecovery/under_replicated")))
          progress(status, waiting["ledgers"].array.first { $0["problem"] != .null }, &told)
          try await Task.sleep(for: .seconds(1))
          status = try await session.send(call)
        }
        if Self.isTerminal, !told.isEmpty { FileHandle.standardError.write(Data("\r\u{1B}[K".utf8)) }
        if target.options.json { return try JSONOutput.print(status) }
        print(sentence(status))
      }
    }

    private func sentence(_ status: JSONValue) -> String {
      if status["isDone"].isTrue { return "\(target.bookie) is out of service for good" }
      let left = status["remainingLedgers"].integerValue ?? 0
      if left > 0 {
        return "\(left) ledger\(left == 1 ? "" : "s") still need\(left == 1 ? "s" : "") \(target.bookie); "
          + "`meridian ledgers underreplicated` shows what is waited for"
      }
      return "no ledger needs \(target.bookie) any more: stop its process, and run this again to remove its identity"
    }

    private static var isTerminal: Bool { isatty(STDERR_FILENO) == 1 }

    /// How many ledgers are left, and what keeps one of them: one line that changes on a terminal, else a line for each change.
    private func progress(_ status: JSONValue, _ stuck: JSONValue?, _ told: inout String) {
      var text = "\(target.bookie): \(status["remainingLedgers"].text) ledgers left"
      if let stuck { text += "; ledger \(stuck["ledgerID"].text): \(stuck["problem"].text)" }
      guard text != told else { return }
      told = text
      FileHandle.standardError.write(Data((Self.isTerminal ? "\r\(text)\u{1B}[K" : "\(text)\n").utf8))
    }
  }

  struct Recommission: AsyncParsableCommand {
    static let configuration = CommandConfiguration.verb(
      "recommission", "Let a bookie that was being emptied serve again; what was copied stays where it is.",
      example: "ledgers recommission bookie-2")
    @OptionGroup var target: Target

    func run() async throws {
      try await target.options.withSession { session in
        try await session.send(.put(LedgersCommand.path("autorecovery/recommission"), target.body))
      }
    }
  }

  struct SetRack: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "set-rack", abstract: "Say in which failure domain, and in which affinity group, a bookie is.",
      discussion: """
        It goes before what the bookie says of itself. Copies of an entry are kept in different racks where the placement
        policy is one that knows of them. Half a minute after the last change the auditor checks where copies are, and has
        those moved that are in the same rack.

        Example: meridian ledgers set-rack bookie-1 /zone-a/rack-3 --group fast
        Example: meridian ledgers set-rack bookie-1 --clear
        """)
    @OptionGroup var target: Target
    @Argument(help: "Failure domain, such as /zone-a/rack-3.") var rack: String?
    @Option(help: "Affinity group.") var group: String?
    @Flag(help: "Forget what was set.") var clear = false

    func validate() throws {
      guard clear == (rack == nil && group == nil) else {
        throw ValidationError("Give a rack or --group (or both), or --clear alone")
      }
    }

    func run() async throws {
      var fields: [String: JSONValue] = ["bookie": .string(target.bookie)]
      if let rack { fields["rack"] = .string(rack) }
      if let group { fields["group"] = .string(group) }
      let body = JSONValue.object(fields)
      try await target.options.withSession { session in
        try await session.send(.put(LedgersCommand.path("bookie/rack"), body))
      }
    }
  }
}
