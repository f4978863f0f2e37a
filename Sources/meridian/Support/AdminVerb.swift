import ArgumentParser

/// One call of the admin API, below `/admin/v2/`, or anywhere if its path begins with `/`.
struct AdminCall {
  var method: AdminSession.Method
  var path: String
  var query: [(String, String)] = []
  var body: JSONValue?

  static func get(_ path: String, query: [(String, String)] = []) -> AdminCall {
    AdminCall(method: .get, path: path, query: query)
  }

  static func put(_ path: String, query: [(String, String)] = [], _ body: JSONValue? = nil) -> AdminCall {
    AdminCall(method: .put, path: path, query: query, body: body)
  }

  static func post(_ path: String, query: [(String, String)] = [], _ body: JSONValue? = nil) -> AdminCall {
    AdminCall(method: .post, path: path, query: query, body: body)
  }

  static func delete(_ path: String, query: [(String, String)] = []) -> AdminCall {
    AdminCall(method: .delete, path: path, query: query)
  }
}

/// A verb of an admin noun: what it acts on, and what it asks of the region.
protocol AdminVerb: AsyncParsableCommand {
  associatedtype Target: AdminTarget
  var target: Target { get }
  func run(_ session: AdminSession) async throws
}

extension AdminVerb {
  func run() async throws {
    try await target.options.withSession { try await run($0) }
  }
}

/// A verb that changes something with one call, and prints nothing.
protocol AdminChange: AdminVerb {
  func call() throws -> AdminCall
}

extension AdminChange {
  func run() async throws {
    // What is wrong with the arguments is said before anything is connected.
    let call = try call()
    try await target.options.withSession { try await $0.send(call) }
  }

  func run(_ session: AdminSession) async throws { try await session.send(call()) }
}

/// A verb that prints a list of names.
protocol AdminList: AdminVerb {
  var title: String { get }
  var call: AdminCall { get }
}

extension AdminList {
  func run(_ session: AdminSession) async throws {
    try await session.printNames(call, json: target.options.json, title: title)
  }
}

/// A verb that prints one object, as rows of field and value.
protocol AdminShow: AdminVerb {
  var call: AdminCall { get }
}

extension AdminShow {
  func run(_ session: AdminSession) async throws {
    try await session.printObject(call, json: target.options.json)
  }
}

extension CommandConfiguration {
  /// The configuration of a verb; `example` is what follows `meridian`.
  static func verb(
    _ name: String, _ abstract: String, example: String, aliases: [String] = []
  ) -> CommandConfiguration {
    CommandConfiguration(
      commandName: name, abstract: abstract, discussion: "Example: meridian \(example)", aliases: aliases)
  }
}
