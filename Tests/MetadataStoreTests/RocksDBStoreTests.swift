import Foundation
import RocksDB
import TestSupport
import Testing

@testable import MetadataStore

@Suite struct RocksDBStoreTests {
  private func withStore(_ body: (RocksDBStore, TemporaryDirectory) async throws -> Void) async throws {
    try await TemporaryDirectory.with { directory in
      let store = try await RocksDBStore.open(path: directory.file("parents/are/created"))
      do {
        try await body(store, directory)
      } catch {
        try? await store.close()
        throw error
      }
      try await store.close()
    }
  }

  /// A copy of an open store's files is what a crash at this moment leaves.
  private func crashedCopy(_ directory: TemporaryDirectory, _ name: String) async throws -> RocksDBStore {
    let copy = directory.file(name)
    try FileManager.default.copyItem(atPath: directory.file("parents/are/created"), toPath: copy)
    return try await RocksDBStore.open(path: copy)
  }

  @Test func conforms() async throws {
    try await withStore { store, _ in
      try await MetadataStoreConformance(store: store, root: "/conformance/1").all()
    }
  }

  @Test func changesSurviveACrash() async throws {
    try await withStore { store, directory in
      var versions: [MetadataVersion] = []
      for index in 0..<50 { versions.append(try await store.put("/keys/\(index)", [UInt8(index)])) }
      try await store.delete("/keys/49")
      let crashed = try await crashedCopy(directory, "copy")
      #expect(try await crashed.keys(prefix: "/keys/").count == 49)
      #expect(try await crashed.get("/keys/7")?.version == versions[7])
      let next = try await crashed.put("/keys/49", [], expected: .absent)
      #expect(next > versions[49])
      try await crashed.close()
    }
  }

  @Test func sequencesNeverRepeatAfterACrash() async throws {
    try await withStore { store, directory in
      var last: Int64 = 0
      for _ in 0..<150 { last = try await store.nextSequence("ledgers") }
      #expect(last == 150)
      let crashed = try await crashedCopy(directory, "copy")
      let next = try await crashed.nextSequence("ledgers")
      #expect(next > last)
      try await crashed.close()
      let reopened = try await RocksDBStore.open(path: directory.file("copy"))
      #expect(try await reopened.nextSequence("ledgers") == next + 1)
      try await reopened.close()
      #expect(try await store.countSyncedWrites() == 2)
    }
  }

  @Test func leasesDoNotOutliveTheProcess() async throws {
    try await withStore { store, directory in
      let lease = try await store.grantLease(ttl: .seconds(10))
      let version = try await store.put("/bookies/available/1", [1], expected: .absent, lease: lease)
      try await store.put("/bookies/cookies/1", [1])
      let crashed = try await crashedCopy(directory, "copy")
      #expect(try await crashed.keys(prefix: "/bookies/") == ["/bookies/cookies/1"])
      #expect(try await crashed.put("/bookies/available/1", [1], expected: .absent) > version)
      await #expect(throws: MetadataError.leaseExpired) {
        try await crashed.put("/x", [], expected: .any, lease: lease)
      }
      try await crashed.close()
      withExtendedLifetime(lease) {}
    }
  }

  @Test func concurrentWritersShareSyncs() async throws {
    try await withStore { store, _ in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for index in 0..<500 { group.addTask { try await store.put("/many/\(index)", [1]) } }
        try await group.waitForAll()
      }
      #expect(try await store.keys(prefix: "/many/").count == 500)
      #expect(try await store.countSyncedWrites() < 400)
    }
  }

  @Test func closingEndsEverything() async throws {
    try await TemporaryDirectory.with { directory in
      let path = directory.file("db")
      let store = try await RocksDBStore.open(path: path)
      let stream = try await store.watch(prefix: "/")
      let lease = try await store.grantLease(ttl: .seconds(1))
      try await store.put("/leased", [], expected: .any, lease: lease)
      async let busy: Void = {
        for index in 0..<1000 { _ = try? await store.put("/busy/\(index)", []) }
      }()
      await #expect(throws: MetadataError.self) { try await RocksDBStore.open(path: path) }
      try await store.close()
      try await store.close()
      await busy
      #expect(lease.isExpired)
      try await lease.revoke()
      var last: MetadataEvent?
      for await event in stream { last = event }
      #expect(last?.key == "/leased" && last?.kind == .delete)
      await #expect(throws: MetadataError.closed) { try await store.get("/a") }
      await #expect(throws: MetadataError.closed) { try await store.put("/a", []) }
      await #expect(throws: MetadataError.closed) { try await store.nextSequence("a") }
      await #expect(throws: MetadataError.closed) { try await store.watch(prefix: "/") }
      let reopened = try await RocksDBStore.open(path: path)
      #expect(try await reopened.get("/leased") == nil)
      try await reopened.close()
    }
  }

  /// With nothing reserved the disk is full in the middle of a write.
  @Test(arguments: [4 << 20, 0]) func aFullDiskIsAnErrorAndPasses(_ reserved: Int) async throws {
    try await TemporaryDirectory.with { directory in
      // Without the right to mount there is no small disk.
      guard let disk = SmallDisk.mount(at: directory.file("disk"), megabytes: 24) else { return }
      defer { disk.unmount() }
      var options = RocksOptions()
      options.reservedSpace = reserved
      var store = try await RocksDBStore.open(path: disk.path + "/metadata", options: options)
      let lease = try await store.grantLease(ttl: .seconds(5))
      var versions: [MetadataVersion] = [try await store.put("/leased", [1], expected: .any, lease: lease)]
      for isSudden in [false, true] {
        if isSudden { disk.fill() }
        var failure: (any Error)?
        for index in 0..<1000 where failure == nil {
          do {
            let value = [UInt8](repeating: UInt8(index % 7), count: 50_000)
            versions.append(try await store.put("/keys/\(index % 10)", value))
          } catch {
            failure = error
          }
          if index == 20 { disk.fill() }
        }
        guard case .storage = try #require(failure as? MetadataError) else { throw TestSupportError("\(failure!)") }
        await #expect(throws: MetadataError.self) { try await store.delete("/leased") }
        #expect(try await store.get("/leased")?.value == [1])
        disk.free()
        let watch = try await store.watch(prefix: "/after")
        await eventually {
          versions.append(try await store.put("/after/\(isSudden)", [2], expected: .any, lease: lease))
          return true
        }
        for await event in watch.prefix(1) { #expect(event.key == "/after/\(isSudden)") }
      }
      #expect(versions == versions.sorted() && Set(versions).count == versions.count)
      try await store.close()
      store = try await RocksDBStore.open(path: disk.path + "/metadata")
      for key in ["/leased", "/after/true"] { #expect(try await store.get(key) == nil) }
      #expect(try await store.keys(prefix: "/keys/").isEmpty == false)
      try await store.close()
    }
  }
}
