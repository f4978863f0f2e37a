import Admin
import ArgumentParser
import Foundation
import Mesh

/// How a command finds the region that it talks to, and how it prints.
struct AdminOptions: ParsableArguments {
  @Option(
    name: .customLong("admin-url"),
    help: ArgumentHelp(
      "Admin address of the region, such as http://localhost:8080.",
      discussion: "Without it: MERIDIAN_ADMIN_URL, then http://localhost:8080.", valueName: "url"))
  var adminURL: String?

  @Flag(name: .long, help: "Print JSON.")
  var json = false

  /// The address in force.
  var address: String {
    adminURL ?? ProcessInfo.processInfo.environment["MERIDIAN_ADMIN_URL"] ?? "http://localhost:8080"
  }

  /// Runs a body with a client for the region, and closes the client. `timeout` is for each call.
  @discardableResult
  func withSession<Result: Sendable>(
    timeout: Duration = .seconds(30), _ body: (AdminSession) async throws -> Result
  ) async throws -> Result {
    let session = try AdminSession(address: address, timeout: timeout)
    defer { session.close() }
    return try await body(session)
  }
}
