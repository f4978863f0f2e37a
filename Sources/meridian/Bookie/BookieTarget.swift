import Admin
import ArgumentParser

/// The bookies of a process that a command is about.
struct BookieTarget: ParsableArguments {
  @OptionGroup var options: AdminOptions
  @Option(
    name: [.customShort("b"), .customLong("bookie")], help: ArgumentHelp("One bookie of the process.", valueName: "id"))
  var bookie: String?

  /// The bookies to look at: the one that is named, or all of the process.
  func bookies(_ session: AdminSession) async throws -> [String] {
    let local: [String]
    do {
      local = try await session.send(.get("/bookies"))["bookies"].array.map(\.text)
    } catch let error as AdminClientError where error.status == 404 {
      throw CommandFailure("there are no bookies at \(session.address)")
    }
    if let bookie {
      guard local.contains(bookie) else {
        throw CommandFailure(
          local.isEmpty
            ? "there is no bookie in the process at \(session.address)"
            : "bookie \(bookie) is not in the process at \(session.address), which has \(local.joined(separator: ", "))"
        )
      }
      return [bookie]
    }
    guard !local.isEmpty else { throw CommandFailure("there is no bookie in the process at \(session.address)") }
    return local
  }

  /// What each of the bookies answers to a question.
  func ask(_ session: AdminSession, _ path: String) async throws -> [(bookie: String, answer: JSONValue)] {
    var answers: [(bookie: String, answer: JSONValue)] = []
    for bookie in try await bookies(session) {
      answers.append((bookie, try await session.send(.get(Self.path(bookie, path)))))
    }
    return answers
  }

  /// `path` below `/api/v1/` of a bookie.
  static func path(_ bookie: String, _ path: String) -> String {
    "/bookies/\(AdminSession.escape(bookie))/api/v1/\(path)"
  }

  /// Prints what bookies answered as a JSON object by their ids.
  static func printJSON(_ answers: [(bookie: String, answer: JSONValue)]) throws {
    try JSONOutput.print(.object(Dictionary(answers.map { ($0.bookie, $0.answer) }) { first, _ in first }))
  }
}

/// The bookies of a process that a command changes: one of several has to be named.
struct BookieChangeTarget: ParsableArguments {
  @OptionGroup var target: BookieTarget
  @Flag(help: "All bookies of the process, where it has several.") var all = false

  func validate() throws {
    guard !all || target.bookie == nil else { throw ValidationError("Give --bookie or --all, not both") }
  }

  func bookies(_ session: AdminSession) async throws -> [String] {
    let found = try await target.bookies(session)
    guard found.count == 1 || all else {
      throw CommandFailure(
        "the process at \(session.address) has several bookies (\(found.joined(separator: ", "))): "
          + "name one with --bookie, or all with --all")
    }
    return found
  }

  /// Has each of the bookies do something, and prints what comes back as JSON (if `printsJSON`), or as a line that `text`
  /// makes of it.
  func change(
    timeout: Duration = .seconds(120), printsJSON: Bool = true, _ call: (String) -> AdminCall,
    _ text: (JSONValue) throws -> String
  ) async throws {
    try await target.options.withSession(timeout: timeout) { session in
      var answers: [(bookie: String, answer: JSONValue)] = []
      for bookie in try await bookies(session) {
        let answer = try await session.send(call(bookie))
        let line = try text(answer)
        if !target.options.json { print("\(bookie): \(line)") }
        answers.append((bookie, answer))
      }
      if target.options.json, printsJSON { try BookieTarget.printJSON(answers) }
    }
  }
}
