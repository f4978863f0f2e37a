import ArgumentParser
import Foundation
import Mesh

extension BookieMaintenanceVerbs {
  struct CollectGarbage: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "gc", abstract: "Look for ledgers that were deleted, and remove them from a bookie.",
      discussion: """
        A ledger is removed when two searches in a row do not find it in the metadata store; --rounds 2 makes both now. Its
        space is free when its entry logs hold nothing else, or compaction has copied what they hold.

        A search that does not find most ledgers of the bookie is refused. If they were deleted indeed, --confirm with their
        number, or a higher one, has those of them removed that are still missing.

        --over-replicated looks for closed ledgers that the bookie stores although the metadata store names other bookies
        for all of their entries. Each is removed under the lock of auto-recovery. If that were most of them, the search is
        refused as well: metadata that was restored from an old copy names the bookies from before repairs.

        Example: meridian bookie gc --all --rounds 2
        Example: meridian bookie gc --bookie bookie-1 --confirm 1520
        Example: meridian bookie gc --bookie bookie-1 --over-replicated
        Example: meridian bookie gc --bookie bookie-1 --over-replicated --confirm 1520
        """)
    @OptionGroup var target: BookieChangeTarget
    @Option(help: "Searches to make.") var rounds = 1
    @Option(help: ArgumentHelp("Remove so many ledgers, whose removal was refused.", valueName: "number"))
    var confirm: Int?
    @Flag(help: "Look for ledgers that other bookies store.") var overReplicated = false

    func validate() throws {
      guard (1...10).contains(rounds) else { throw ValidationError("--rounds must be 1 to 10") }
      guard confirm == nil || (rounds == 1 && !target.all) else {
        throw ValidationError("--confirm is for one search on one bookie")
      }
      guard !overReplicated || rounds == 1 else { throw ValidationError("--over-replicated makes one search") }
    }

    func run() async throws {
      let body = JSONValue.object(["forceMajor": .bool(false), "forceMinor": .bool(false)])
      if overReplicated { return try await collectOverReplicated(body) }
      let query = [("wait", "true")] + (confirm.map { [("confirm", "\($0)")] } ?? [])
      for round in 1...rounds {
        let isLast = round == rounds
        try await target.change(
          printsJSON: isLast,
          { .put(BookieTarget.path($0, "bookie/gc"), query: query, body) },
          { answer in
            if answer["refusedMassDeletes"].integerValue ?? 0 > 0 {
              let count = answer["refusedLedgers"].text
              throw CommandFailure(
                "most ledgers (\(count)) are missing from the metadata store, so none was removed; see that the store is "
                  + "whole; if they were deleted indeed, repeat it for this bookie with --confirm \(count)")
            }
            let removed = answer["removedLedgers"].text
            return "\(removed) ledger\(removed == "1" ? "" : "s") removed" + (isLast ? "" : ", searching again")
          })
      }
    }

    /// Has the search made, which takes its time, and waits for its end.
    private func collectOverReplicated(_ body: JSONValue) async throws {
      let options = target.target.options
      try await options.withSession(timeout: .seconds(120)) { session in
        var answers: [(bookie: String, answer: JSONValue)] = []
        for bookie in try await target.bookies(session) {
          let details = AdminCall.get(BookieTarget.path(bookie, "bookie/details"))
          let before = try await session.send(details)
          let path = BookieTarget.path(bookie, "bookie/gc")
          let query = [("over_replicated", "true")] + (confirm.map { [("confirm", "\($0)")] } ?? [])
          try await session.send(.put(path, query: query, body))
          while try await session.send(.get(path))["is_in_force_gc"].text == "true" {
            try await Task.sleep(for: .milliseconds(100))
          }
          let after = try await session.send(details)
          let count = after["refusedOverReplicatedLedgers"].integerValue ?? 0
          if count > 0, Self.growth("refusedMassDeletes", before, after) > 0 {
            throw CommandFailure(
              "\(bookie): the metadata store has most ledgers (\(count)) on other bookies, so none was removed; see that it "
                + "was not restored from an old copy; if it is right, use: meridian bookie gc --bookie \(bookie) "
                + "--over-replicated --confirm \(count)")
          }
          let removed = Self.growth("overReplicatedLedgers", before, after)
          if !options.json { print("\(bookie): \(removed) over-replicated ledger\(removed == 1 ? "" : "s") removed") }
          answers.append((bookie, .object(["removedLedgers": .integer(removed)])))
        }
        if options.json { try BookieTarget.printJSON(answers) }
      }
    }

    /// By how much a number of a bookie's details has grown.
    private static func growth(_ name: String, _ before: JSONValue, _ after: JSONValue) -> Int64 {
      (after[name].integerValue ?? 0) - (before[name].integerValue ?? 0)
    }
  }

  struct LeaveLimbo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "leave-limbo", abstract: "Have a bookie give up what it may have lost with a part of its journal.",
      discussion: """
        A bookie leaves limbo by itself when auto-recovery has restored what was lost. If that cannot be, this ends it: the
        bookie denies what it does not have, and what no other bookie has is lost.

        Example: meridian bookie leave-limbo --bookie bookie-1 --confirm bookie-1
        """)
    @OptionGroup var target: BookieTarget
    @OptionGroup var confirmation: Confirmation

    func run() async throws {
      try await target.options.withSession(timeout: .seconds(120)) { session in
        let bookies = try await target.bookies(session)
        guard let bookie = bookies.first, bookies.count == 1 else {
          throw CommandFailure("the process at \(session.address) has several bookies: name one with --bookie")
        }
        try confirmation.require(
          bookie, "What bookie \(bookie) may have lost, and no other bookie has, will be lost for good")
        let answer = try await session.send(
          .put(BookieTarget.path(bookie, "bookie/leave_limbo"), query: [("confirm", bookie)]))
        if target.options.json {
          try BookieTarget.printJSON([(bookie, answer)])
        } else {
          print("\(bookie): not in limbo any more, \(answer["ledgers"].text) ledgers were")
        }
      }
    }
  }
}
