import Broker
import Foundation
import NIOCore
import NIOPosix
import TestSupport
import Testing
import Transport

@testable import Admin

@Suite("The admin server and its client")
struct AdminServerTests {
  private struct Lag: Codable, Equatable {
    var seconds: Double
  }

  @Test("Unknown paths, wrong methods, bodies that are too large or malformed")
  func limits() async throws {
    try await AdminFixture.run { api in
      #expect(await api.status("GET", "/admin/v2/nothing") == 404)
      #expect(await api.status("GET", "/") == 404)
      #expect(await api.status("DELETE", "/admin/v2/clusters") == 405)
      #expect(await api.status("GET", "/admin/v2/persistent/public/default/%zz") == 400)
      let large = String(repeating: "x", count: 20_000)
      #expect(await api.status("PUT", "/admin/v2/clusters/x", large) == 413)
      #expect(await api.status("PUT", "/admin/v2/clusters/x", "{nonsense") == 400)
      #expect(await api.status("GET", "/admin/v2/clusters") == 200)
    }
  }

  @Test("Brokers, bookies, health, region, reports and metrics")
  func reports() async throws {
    var sources = AdminSources()
    sources.lag = { Lag(seconds: 2) }
    sources.metrics = [{ [MetricSample("bookie_ledgers_count", 3)] }]
    try await AdminFixture.run(sources: sources) { api in
      #expect(await api.call("GET", "/admin/v2/brokers/health") == (200, "ok"))
      #expect(await api.call("GET", "/admin/v2/brokers/ready") == (200, "ok"))
      #expect(await api.call("GET", "/admin/v2/brokers/us") == (200, #"["127.0.0.1:\#(api.server.port)"]"#))
      #expect(await api.status("GET", "/admin/v2/brokers/mars") == 404)
      #expect(await api.call("GET", "/admin/v2/bookies/all") == (200, #"{"bookies":[]}"#))
      #expect(await api.call("GET", "/admin/v2/brokers/version").text.isEmpty == false)
      #expect(try await api.client.get("/meridian/v1/lag", as: Lag.self) == Lag(seconds: 2))
      #expect(await api.status("GET", "/meridian/v1/links") == 503)
      let region = try await api.client.get("/meridian/v1/region", as: RegionReport.self)
      #expect(region.name == "us")
      #expect(await api.status("PUT", "/admin/v2/persistent/public/default/t") == 204)
      let metrics = try await api.client.text("/metrics")
      #expect(metrics.contains("bookie_ledgers_count 3\n"))
      #expect(metrics.contains(#"topic="persistent://public/default/t""#))
      for line in metrics.split(separator: "\n") where !line.hasPrefix("#") {
        #expect(line.wholeMatch(of: /[a-zA-Z_:][a-zA-Z0-9_:]*(\{[^}]*\})? [-+0-9.eInfNa]+/) != nil, "\(line)")
      }
    }
  }

  @Test("A region that cannot serve says why")
  func unhealthy() async throws {
    var sources = AdminSources()
    sources.health = { throw BrokerError(.notReady, "no bookies are available") }
    try await AdminFixture.run(sources: sources) { api in
      #expect(await api.call("GET", "/admin/v2/brokers/health") == (503, "no bookies are available"))
    }
  }

  @Test("Many calls at once, over kept connections")
  func concurrency() async throws {
    try await AdminFixture.run { api in
      try await withThrowingTaskGroup(of: [String].self) { group in
        for _ in 0..<50 {
          group.addTask { try await api.client.get("/admin/v2/clusters") }
        }
        for try await names in group { #expect(names == ["us"]) }
      }
    }
  }

  @Test("A port in use is an error, and nothing is left running")
  func portInUse() async throws {
    try await AdminFixture.run { api in
      let port = api.server.port
      await #expect(throws: (any Error).self) {
        try await AdminFixture.run(configure: { $0.port = port }) { _ in }
      }
    }
  }

  @Test("TLS, with a client that trusts the authority and one that does not")
  func tls() async throws {
    try await TemporaryDirectory.with { directory in
      let authority = try CertificateAuthority()
      let files = try authority.issueFiles(
        name: "server", directory: directory.path, commonName: "localhost", dnsNames: ["localhost"],
        ipAddresses: ["127.0.0.1"])
      let roots = directory.file("roots.pem")
      try Data(authority.certificatePEM.utf8).write(to: URL(fileURLWithPath: roots))
      try await AdminFixture.run(configure: { configuration in
        configuration.tlsPort = 0
        configuration.tls = TLSConfiguration(
          certificateChainFile: files.certificateFile, privateKeyFile: files.privateKeyFile)
      }) { api in
        let port = try #require(api.server.tlsPort)
        let client = try AdminClient(
          url: "https://localhost:\(port)", tls: TLSConfiguration(trustRootsFile: roots), timeout: .seconds(10))
        #expect(try await client.get("/admin/v2/clusters", as: [String].self) == ["us"])
        #expect(try await client.get("/admin/v2/tenants", as: [String].self) == ["public"])
        client.close()
        let stranger = try AdminClient(url: "https://localhost:\(port)", timeout: .seconds(10))
        await #expect(throws: AdminClientError.self) {
          try await stranger.get("/admin/v2/clusters", as: [String].self)
        }
        #expect(await api.status("GET", "/admin/v2/clusters") == 200)
      }
    }
  }

  @Test("What the client says of servers that are not there, silent, or not an admin API")
  func clientErrors() async throws {
    let port = try await freePort()
    let absent = try AdminClient(url: "http://127.0.0.1:\(port)", timeout: .seconds(5))
    await #expect {
      try await absent.get("/x", as: [String].self)
    } throws: { "\($0)" == "Cannot reach the admin API at http://127.0.0.1:\(port): connection refused." }
    let silent = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .bind(host: "127.0.0.1", port: 0).get()
    let silentPort = try #require(silent.localAddress?.port)
    let client = try AdminClient(url: "http://127.0.0.1:\(silentPort)", timeout: .milliseconds(200))
    await #expect {
      try await client.get("/x", as: [String].self)
    } throws: { error in
      guard case .timeout = error as? AdminClientError else { return false }
      return true
    }
    try await silent.close()
    #expect(throws: AdminClientError.self) { try AdminClient(url: "localhost:8080") }
    #expect(throws: AdminClientError.self) { try AdminClient(url: "http://localhost:99999") }
    #expect(try AdminURL("http://[::1]:8080/").authority == "[::1]:8080")
  }

  @Test("A connection that the server closed is replaced")
  func reconnect() async throws {
    try await AdminFixture.run { api in
      let client = try AdminClient(url: "http://127.0.0.1:\(api.server.port)")
      #expect(try await client.get("/admin/v2/clusters", as: [String].self) == ["us"])
      client.close()
      #expect(try await client.get("/admin/v2/clusters", as: [String].self) == ["us"])
      client.close()
    }
  }
}
