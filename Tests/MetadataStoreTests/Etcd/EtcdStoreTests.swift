import Logging
import TestSupport
import Testing

@testable import MetadataStore

@Suite(.enabled(if: EtcdServer.program != nil, "etcd is not installed")) struct EtcdStoreTests {
  private func open(
    _ ports: [Int], operationTimeout: Duration = .seconds(20), attemptTimeout: Duration = .seconds(1)
  ) async throws -> EtcdStore {
    var configuration = EtcdConfiguration(endpoints: ports.map { .init(host: "127.0.0.1", port: $0) })
    configuration.operationTimeout = operationTimeout
    configuration.attemptTimeout = attemptTimeout
    return try await EtcdStore.open(configuration, logger: Logger(label: "test"))
  }

  private func closing(_ store: EtcdStore, _ body: (EtcdStore) async throws -> Void) async throws {
    do {
      try await body(store)
    } catch {
      try? await store.close()
      throw error
    }
    try await store.close()
  }

  @Test func conforms() async throws {
    try await EtcdServer.with { server in
      try await closing(try await open([server.port])) { store in
        try await MetadataStoreConformance(store: store, root: "/conformance/1").all()
      }
    }
  }

  @Test func aKilledServerLosesNothingAndStopsNobody() async throws {
    try await EtcdServer.with { server in
      try await closing(try await open([server.port])) { store in
        let lease = try await store.grantLease(ttl: .seconds(30))
        try await store.put("/leased", [1], expected: .absent, lease: lease)
        let stream = try await store.watch(prefix: "/k/")
        // Writers go on while the server is killed twice: each counts what it was told.
        let writers = (0..<4).map { writer in
          Task { () -> Int in
            var version: MetadataVersion?
            for round in 1...40 {
              let expected = version.map { ExpectedVersion.exactly($0) } ?? .absent
              version = try await store.put("/k/\(writer)", [UInt8(round)], expected: expected)
            }
            return 40
          }
        }
        for _ in 0..<2 {
          try await Task.sleep(for: .milliseconds(60))
          server.stop()
          try server.launch()
        }
        for writer in writers { #expect(try await writer.value == 40) }
        try await store.put("/k/last", [])
        // Each change exactly once, in order.
        var seen: [String: Int] = [:]
        var last = MetadataVersion(rawValue: 0)
        for await event in stream {
          #expect(event.version > last)
          last = event.version
          if event.key == "/k/last" { break }
          seen[event.key, default: 0] += 1
        }
        #expect(seen == ["/k/0": 40, "/k/1": 40, "/k/2": 40, "/k/3": 40])
        #expect(!lease.isExpired)
        #expect(try await store.get("/leased")?.value == [1])
        try await lease.revoke()
        #expect(try await store.get("/leased") == nil)
      }
    }
  }

  @Test func lostAnswersAreFoundOut() async throws {
    try await EtcdServer.with { server in
      let relay = try await TCPRelay.start(to: server.port)
      try await closing(try await open([relay.port], attemptTimeout: .milliseconds(400))) { store in
        let breaking = Task {
          while !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(45))
            try? await relay.reset()
          }
        }
        // Were a lost answer taken for a failure, or a change repeated, a number would be missing or counted twice.
        var expected: UInt8 = 0
        for _ in 0..<15 {
          expected += 1
          try await store.update("/counter") { [($0?.value.first ?? 0) + 1] }
        }
        breaking.cancel()
        await breaking.value
        #expect(try await store.get("/counter")?.value == [expected])
      }
      try await relay.stop()
    }
  }

  @Test func aLostConnectionEndsALeaseInTime() async throws {
    try await EtcdServer.with { server in
      let relay = try await TCPRelay.start(to: server.port)
      let other = try await open([server.port])
      try await closing(try await open([relay.port], attemptTimeout: .milliseconds(300))) { store in
        let lease = try await store.grantLease(ttl: .seconds(2))
        try await store.put("/mine", [], expected: .absent, lease: lease)
        try await relay.setSilent(true)
        let started = ContinuousClock.now
        for await _ in lease.expired {}
        #expect(ContinuousClock.now - started < .seconds(4))
        // Nobody else sees the key gone before its holder knows.
        await eventually { try await other.get("/mine") == nil }
        await #expect(throws: MetadataError.leaseExpired) {
          try await store.put("/mine", [], expected: .absent, lease: lease)
        }
        try await relay.setSilent(false)
        try await relay.reset()
        let next = try await store.grantLease(ttl: .seconds(2))
        try await store.put("/mine", [], expected: .absent, lease: next)
        withExtendedLifetime(next) {}
      }
      try await other.close()
      try await relay.stop()
    }
  }

  @Test func anotherMemberIsAskedWhenOneIsSilent() async throws {
    try await EtcdServer.with { server in
      let relay = try await TCPRelay.start(to: server.port)
      try await closing(try await open([relay.port, server.port], attemptTimeout: .milliseconds(300))) { store in
        let stream = try await store.watch(prefix: "/")
        try await store.put("/a", [1])
        try await relay.setSilent(true)
        #expect(try await store.get("/a")?.value == [1])
        try await store.put("/b", [2])
        try await relay.reset()
        try await relay.setRefusing(true)
        var keys: [String] = []
        for await event in stream {
          keys.append(event.key)
          if event.key == "/b" { break }
        }
        #expect(keys == ["/a", "/b"])
      }
      try await relay.stop()
    }
  }

  @Test func compactionEndsAWatchThatMissedSomething() async throws {
    try await EtcdServer.with { server in
      let relay = try await TCPRelay.start(to: server.port)
      let other = try await open([server.port])
      try await closing(try await open([relay.port], attemptTimeout: .milliseconds(300))) { store in
        let stream = try await store.watch(prefix: "/w/")
        try await relay.setRefusing(true)
        try await relay.reset()
        var version = MetadataVersion(rawValue: 0)
        for round in 0..<5 { version = try await other.put("/w/a", [UInt8(round)]) }
        try await other.compact(version)
        try await relay.setRefusing(false)
        var events = 0
        for await _ in stream { events += 1 }
        #expect(events == 0)
        // Then one watches and lists again.
        let again = try await store.watch(prefix: "/w/")
        #expect(try await store.list(prefix: "/w/").map(\.value) == [[4]])
        try await other.put("/w/b", [])
        for await event in again {
          #expect(event.key == "/w/b")
          break
        }
      }
      try await other.close()
      try await relay.stop()
    }
  }

  @Test func withoutAServerCallsEndInTimeAndSaySo() async throws {
    try await EtcdServer.with { server in
      try await closing(
        try await open([server.port], operationTimeout: .seconds(1), attemptTimeout: .milliseconds(300))
      ) {
        store in
        try await store.put("/a", [1])
        server.stop()
        await #expect(throws: MetadataError.self) { try await store.get("/a") }
        await #expect(throws: MetadataError.self) { try await store.put("/a", [2]) }
        await #expect(throws: MetadataError.self) { _ = try await store.watch(prefix: "/") }
        await #expect(throws: MetadataError.self) {
          _ = try await self.open([server.port], operationTimeout: .milliseconds(300))
        }
      }
    }
  }

  @Test func closingEndsEverything() async throws {
    try await EtcdServer.with { server in
      let other = try await open([server.port])
      let store = try await open([server.port])
      let stream = try await store.watch(prefix: "/")
      let lease = try await store.grantLease(ttl: .seconds(60))
      try await store.put("/leased", [], expected: .any, lease: lease)
      try await store.close()
      try await store.close()
      #expect(lease.isExpired)
      for await event in stream { #expect(event.key == "/leased") }
      await #expect(throws: MetadataError.closed) { try await store.get("/a") }
      await #expect(throws: MetadataError.closed) { try await store.put("/a", []) }
      await #expect(throws: MetadataError.closed) { _ = try await store.watch(prefix: "/") }
      #expect(try await other.get("/leased") == nil)
      try await other.close()
    }
  }
}
