import Logging
import MetadataStore

/// Keeps the bookie in the list of available ones as long as it lives.
final class Registration: Sendable {
  private let task: Task<Void, Never>

  /// Registers, and registers again whenever the lease ends. Throws if the first time fails.
  init(configuration: BookieConfiguration, port: Int, metadata: any MetadataStore, logger: Logger) async throws {
    let key = "/bookies/available/\(configuration.bookieID)"
    let value = Array("{\"host\":\"\(Self.escaped(configuration.host))\",\"port\":\(port)}".utf8)
    let ttl = configuration.registrationTTL
    let register: @Sendable () async throws -> MetadataLease = {
      let lease = try await metadata.grantLease(ttl: ttl)
      try await metadata.put(key, value, expected: .any, lease: lease)
      return lease
    }
    let first = try await register()
    task = Task {
      var lease = first
      while !Task.isCancelled {
        for await _ in lease.expired { break }
        if Task.isCancelled { break }
        logger.warning("The registration's lease has ended; registering again.")
        while !Task.isCancelled {
          do {
            lease = try await register()
            break
          } catch MetadataError.closed {
            return
          } catch {
            logger.warning("The bookie cannot be registered; trying again.", metadata: ["error": "\(error)"])
            try? await Task.sleep(for: .seconds(1))
          }
        }
      }
      try? await lease.revoke()
    }
  }

  /// Takes the bookie off the list.
  func end() async {
    task.cancel()
    await task.value
  }

  private static func escaped(_ text: String) -> String {
    var result = ""
    for character in text {
      if character == "\"" || character == "\\" { result.append("\\") }
      result.append(character)
    }
    return result
  }
}
