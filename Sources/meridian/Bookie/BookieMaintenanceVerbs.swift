import ArgumentParser
import Foundation
import Mesh

/// Verbs of `meridian bookie` that have something done.
enum BookieMaintenanceVerbs {
  static let all: [any ParsableCommand.Type] = [
    ReadOnly.self, CollectGarbage.self, Compact.self, SuspendCompaction.self, ResumeCompaction.self, Scrub.self,
    Flush.self, LeaveLimbo.self,
  ]

  enum Switch: String, CaseIterable, ExpressibleByArgument { case on, off }
  enum Kind: String, CaseIterable, ExpressibleByArgument { case minor, major }

  struct ReadOnly: AsyncParsableCommand {
    static let configuration = CommandConfiguration.verb(
      "readonly", "Make a bookie read-only until it stops, or let its disks decide again.",
      example: "bookie readonly on --bookie bookie-2")
    @OptionGroup var target: BookieChangeTarget
    @Argument(help: "on or off.") var wish: Switch

    func run() async throws {
      let body = JSONValue.object(["readOnly": .bool(wish == .on)])
      try await target.change({ .put(BookieTarget.path($0, "bookie/state/readonly"), body) }) {
        $0["readOnly"].isTrue ? "read-only" : "writable"
      }
    }
  }

  struct Compact: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "compact", abstract: "Copy what is alive out of entry logs that are mostly garbage.",
      discussion: """
        minor takes the logs that are nearly empty, major those that are partly empty (minorCompactionThreshold and
        majorCompactionThreshold of `meridian bookie config`).

        Example: meridian bookie compact major --bookie bookie-1 --wait
        """)
    @OptionGroup var target: BookieChangeTarget
    @Argument(help: "minor or major.") var kind: Kind
    @Flag(help: "Return when it is done.") var wait = false

    func run() async throws {
      let options = target.target.options
      let isMajor = kind == .major
      let body = JSONValue.object(["forceMajor": .bool(isMajor), "forceMinor": .bool(!isMajor)])
      try await options.withSession(timeout: .seconds(120)) { session in
        var answers: [(bookie: String, answer: JSONValue)] = []
        for bookie in try await target.bookies(session) {
          let details = AdminCall.get(BookieTarget.path(bookie, "bookie/details"))
          let before = try await session.send(details)["reclaimedCompactionBytes"].integerValue ?? 0
          try await session.send(.put(BookieTarget.path(bookie, "bookie/gc"), body))
          guard wait else {
            if !options.json { print("\(bookie): \(kind.rawValue) compaction begun") }
            answers.append((bookie, .object(["isDone": .bool(false)])))
            continue
          }
          let state = AdminCall.get(BookieTarget.path(bookie, "bookie/gc_details"))
          while try await session.send(state).array.contains(where: { $0["forceCompacting"].isTrue }) {
            try await Task.sleep(for: .milliseconds(100))
          }
          let freed = (try await session.send(details)["reclaimedCompactionBytes"].integerValue ?? 0) - before
          if !options.json {
            print("\(bookie): \(kind.rawValue) compaction done, \(Humanize.bytes(Double(max(0, freed)))) freed")
          }
          answers.append((bookie, .object(["isDone": .bool(true), "freedBytes": .integer(freed)])))
        }
        if options.json { try BookieTarget.printJSON(answers) }
      }
    }
  }

  /// What `suspend-compaction` and `resume-compaction` take.
  struct Kinds: ParsableArguments {
    @OptionGroup var target: BookieChangeTarget
    @Argument(help: "minor or major; both without it.") var kind: Kind?

    func change(_ path: String, _ verb: String, _ done: String) async throws {
      let kinds = kind.map { [$0] } ?? Kind.allCases
      let body = JSONValue.object(
        Dictionary(uniqueKeysWithValues: kinds.map { ("\(verb)\($0.rawValue.capitalized)", .bool(true)) }))
      try await target.change({ .put(BookieTarget.path($0, path), body) }) { _ in
        "\(kinds.map(\.rawValue).joined(separator: " and ")) compaction \(done)"
      }
    }
  }

  struct SuspendCompaction: AsyncParsableCommand {
    static let configuration = CommandConfiguration.verb(
      "suspend-compaction", "Keep compactions from beginning; one that runs is not stopped.",
      example: "bookie suspend-compaction major --all")
    @OptionGroup var kinds: Kinds

    func run() async throws {
      try await kinds.change("bookie/gc/suspend_compaction", "suspend", "suspended")
    }
  }

  struct ResumeCompaction: AsyncParsableCommand {
    static let configuration = CommandConfiguration.verb(
      "resume-compaction", "Let compactions begin again.", example: "bookie resume-compaction --all")
    @OptionGroup var kinds: Kinds

    func run() async throws {
      try await kinds.change("bookie/gc/resume_compaction", "resume", "resumed")
    }
  }

  struct Scrub: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "scrub", abstract: "Verify every record that a bookie stores.",
      discussion: """
        What is damaged is repaired from other bookies by auto-recovery; `meridian bookie damaged` shows what waits for
        it. With --wait the exit code is 1 if there is damage.

        Example: meridian bookie scrub --bookie bookie-1 --wait
        """)
    @OptionGroup var target: BookieChangeTarget
    @Flag(help: "Return when it is done.") var wait = false
    @Flag(help: "Only show how far verification is.") var status = false

    func run() async throws {
      let options = target.target.options
      try await options.withSession { session in
        let bookies = status ? try await target.target.bookies(session) : try await target.bookies(session)
        var answers: [(bookie: String, answer: JSONValue)] = []
        for bookie in bookies {
          let path = BookieTarget.path(bookie, "bookie/scrub")
          var answer = try await session.send(status ? .get(path) : .put(path))
          while wait, answer["running"].isTrue {
            try await Task.sleep(for: .milliseconds(200))
            answer = try await session.send(.get(path))
          }
          answers.append((bookie, answer))
        }
        if options.json {
          try BookieTarget.printJSON(answers)
        } else {
          var table = Table([
            ("BOOKIE", .left), ("RUNNING", .left), ("COMPLETED", .right), ("ENTRIES", .right), ("BYTES", .right),
            ("DAMAGED NOW", .right),
          ])
          for (bookie, answer) in answers {
            table.add(
              bookie, answer["running"].isTrue ? "yes" : "no", answer["completed"].text,
              answer["verifiedEntries"].text, answer["verifiedBytes"].bytesText, answer["damagedEntries"].text)
          }
          table.print()
        }
        if wait, answers.contains(where: { $0.answer["damagedEntries"].integerValue ?? 0 > 0 }) { throw ExitCode(1) }
      }
    }
  }

  struct Flush: AsyncParsableCommand {
    static let configuration = CommandConfiguration.verb(
      "flush", "Write what a bookie has in its cache to entry logs, and forget its journal up to there.",
      example: "bookie flush --all")
    @OptionGroup var target: BookieChangeTarget

    func run() async throws {
      try await target.change({ .put(BookieTarget.path($0, "bookie/flush")) }) { _ in "flushed" }
    }
  }
}
