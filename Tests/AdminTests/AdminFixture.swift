import Broker
import Logging
import MetadataStore
import NIOPosix
import TestSupport
import Testing

@testable import Admin

/// An admin server on a free port over a fresh metadata store and a broker in memory.
struct AdminFixture {
  var client: AdminClient
  var broker: FakeBroker
  var policies: PolicyStore
  var server: AdminServer

  static func run(
    sources: AdminSources = AdminSources(), configure: (inout AdminServerConfiguration) throws -> Void = { _ in },
    _ body: (AdminFixture) async throws -> Void
  ) async throws {
    try await TemporaryDirectory.with { directory in
      let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
      let metadata = try await RocksDBStore.open(path: directory.file("metadata"))
      let policies = try await PolicyStore.open(metadata: metadata, localCluster: "us", logger: logger)
      var server: AdminServer?
      let outcome: Result<Void, any Error>
      do {
        try await policies.bootstrap(
          cluster: ClusterData(serviceUrl: "http://localhost:8080", brokerServiceUrl: "pulsar://localhost:6650"))
        let broker = FakeBroker(policies: policies)
        var configuration = AdminServerConfiguration()
        configuration.port = 0
        configuration.maximumBodySize = 10_000
        try configure(&configuration)
        let running = try await AdminServer.start(
          configuration: configuration, broker: broker, policies: policies, metadata: metadata, sources: sources,
          group: MultiThreadedEventLoopGroup.singleton, logger: logger)
        server = running
        let client = try AdminClient(url: "http://127.0.0.1:\(running.port)", timeout: .seconds(10))
        try await body(AdminFixture(client: client, broker: broker, policies: policies, server: running))
        client.close()
        outcome = .success(())
      } catch {
        outcome = .failure(error)
      }
      await server?.shutdown()
      policies.close()
      try await metadata.close()
      try outcome.get()
    }
  }

  /// Sends a request; returns its status and its body as text.
  func call(
    _ method: String, _ path: String, _ body: String? = nil
  ) async -> (status: Int, text: String) {
    do {
      let parts = path.split(separator: "?", maxSplits: 1)
      var query: [String: String] = [:]
      for pair in (parts.count > 1 ? parts[1] : "").split(separator: "&") {
        let halves = pair.split(separator: "=", maxSplits: 1)
        query[String(halves[0])] = halves.count > 1 ? String(halves[1]) : ""
      }
      let answer = try await client.send(method, String(parts[0]), query: query, body: body.map { Array($0.utf8) })
      return (answer.status, String(decoding: answer.body, as: UTF8.self))
    } catch let error {
      if case .refused(let status, let reason, _) = error { return (status, reason) }
      Issue.record("\(method) \(path): \(error)")
      return (0, "\(error)")
    }
  }

  /// Only the status of `call`.
  func status(_ method: String, _ path: String, _ body: String? = nil) async -> Int {
    await call(method, path, body).status
  }
}
