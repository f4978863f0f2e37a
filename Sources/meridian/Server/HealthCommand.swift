import ArgumentParser

/// `meridian health`: whether a region serves, as an exit code.
struct HealthCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "health", abstract: "Tell whether a region serves: exit code 0 if it does.",
    discussion: "Example, as a container's health check: meridian health --local")

  @OptionGroup var options: AdminOptions
  @Flag(help: "Ask the region on this machine, whatever MERIDIAN_ADMIN_URL says.") var local = false
  @Option(help: "Admin port with --local.") var port = 8080

  func run() async throws {
    let address = local ? "http://127.0.0.1:\(port)" : options.address
    let session = try AdminSession(address: address)
    defer { session.close() }
    do {
      let answer = try await session.send(.get("brokers/health"))
      if options.json {
        try JSONOutput.print(.object(["healthy": .bool(true), "adminUrl": .string(address)]))
      } else {
        print(answer.text)
      }
    } catch {
      throw CommandFailure("\(address) does not serve: \(error)")
    }
  }
}
