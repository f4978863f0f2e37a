import MetadataStore
import TestSupport
import Testing

/// What every `MetadataStore` must do, whatever is below it. Each check works under a prefix of its own, so that they may
/// run at the same time on one store.
struct MetadataStoreConformance {
  /// The store under test.
  let store: any MetadataStore
  /// Where this run keeps its keys, such as `/conformance/17`.
  let root: String

  /// Runs every check.
  func all() async throws {
    try await readsWhatWasPut()
    try await conditionsAreChecked()
    try await versionsNeverGoBack()
    try await listsInKeyOrder()
    try await refusesBadKeys()
    try await oneOfManyWritersWins()
    try await updatesAreNotLost()
    try await watchesSeeEveryChangeInOrder()
    try await watchesEndWithTheirTask()
    try await leasesBindKeys()
    try await droppedLeasesEnd()
    try await rebindingMovesAKey()
    try await sequencesIncrease()
  }

  func readsWhatWasPut() async throws {
    let key = root + "/reads/a"
    #expect(try await store.get(key) == nil)
    await expect(.notFound(key: key)) { _ = try await store.require(key) }
    let version = try await store.put(key, [1, 2, 3])
    #expect(try await store.get(key) == MetadataRecord(key: key, value: [1, 2, 3], version: version))
    let empty = try await store.put(key, [])
    #expect(empty > version)
    #expect(try await store.require(key).value == [])
    let large = [UInt8](repeating: 7, count: 1 << 20)
    try await store.put(key, large)
    #expect(try await store.get(key)?.value == large)
    try await store.delete(key)
    #expect(try await store.get(key) == nil)
    try await store.delete(key)
  }

  func conditionsAreChecked() async throws {
    let key = root + "/conditions/a"
    let mismatch = MetadataError.versionMismatch(key: key)
    await expect(mismatch) { try await store.put(key, [1], expected: .exactly(MetadataVersion(rawValue: 1))) }
    await expect(mismatch) { try await store.delete(key, expected: .exactly(MetadataVersion(rawValue: 1))) }
    let first = try await store.put(key, [1], expected: .absent)
    await expect(mismatch) { try await store.put(key, [2], expected: .absent) }
    let second = try await store.put(key, [2], expected: .exactly(first))
    await expect(mismatch) { try await store.put(key, [3], expected: .exactly(first)) }
    await expect(mismatch) { try await store.delete(key, expected: .exactly(first)) }
    await expect(mismatch) { try await store.delete(key, expected: .absent) }
    #expect(try await store.get(key)?.value == [2])
    try await store.delete(key, expected: .exactly(second))
    try await store.delete(key, expected: .absent)
    #expect(try await store.get(key) == nil)
  }

  func versionsNeverGoBack() async throws {
    let key = root + "/versions/a"
    var last = MetadataVersion(rawValue: 0)
    for round in 0..<5 {
      let created = try await store.put(key, [UInt8(round)], expected: .absent)
      #expect(created > last)
      let changed = try await store.put(key, [UInt8(round)], expected: .exactly(created))
      #expect(changed > created)
      last = changed
      try await store.delete(key)
    }
  }

  func listsInKeyOrder() async throws {
    let prefix = root + "/list/"
    let names = ["b", "a/2", "a", "a/10", "ä", "B", "a-"]
    for name in names { try await store.put(prefix + name, Array(name.utf8)) }
    try await store.put(root + "/list", [])
    try await store.put(root + "/lisu", [])
    let expected = names.map { prefix + $0 }.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    #expect(try await store.keys(prefix: prefix) == expected)
    let records = try await store.list(prefix: prefix)
    #expect(records.map(\.key) == expected)
    #expect(records.allSatisfy { Array($0.key.utf8.dropFirst(prefix.utf8.count)) == $0.value })
    var paged: [String] = []
    while true {
      let page = try await store.keys(prefix: prefix, after: paged.last, limit: 2)
      #expect(page.count <= 2)
      paged += page
      if page.isEmpty { break }
    }
    #expect(paged == expected)
    #expect(try await store.keys(prefix: prefix, after: "/", limit: 1) == [expected[0]])
    #expect(try await store.list(prefix: prefix, after: prefix + "~~", limit: 10).map(\.value) == [Array("ä".utf8)])
    #expect(try await store.list(prefix: prefix, after: nil, limit: 0).isEmpty)
    #expect(try await store.keys(prefix: root + "/nothing/").isEmpty)
  }

  func refusesBadKeys() async throws {
    for key in ["", "a", "/", "/a/", "/a//b", "/a\0b", "/" + String(repeating: "x", count: 5000)] {
      await #expect(throws: MetadataError.self) { try await store.put(key, []) }
      await #expect(throws: MetadataError.self) { try await store.get(key) }
    }
  }

  func oneOfManyWritersWins() async throws {
    let key = root + "/race/a"
    let winners = await withTaskGroup(of: Bool.self) { group in
      for writer in 0..<16 {
        group.addTask { (try? await store.put(key, [UInt8(writer)], expected: .absent)) != nil }
      }
      return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
    }
    #expect(winners == 1)
  }

  func updatesAreNotLost() async throws {
    let key = root + "/update/a"
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<8 {
        group.addTask {
          for _ in 0..<5 { try await store.update(key) { [($0?.value.first ?? 0) + 1] } }
        }
      }
      try await group.waitForAll()
    }
    #expect(try await store.get(key)?.value == [40])
    #expect(try await store.update(key) { _ in nil } == nil)
    #expect(try await store.get(key) == nil)
  }

  func watchesSeeEveryChangeInOrder() async throws {
    let prefix = root + "/watch/"
    try await store.put(prefix + "before", [])
    let stream = try await store.watch(prefix: prefix)
    var expected: [MetadataEvent] = []
    for round in 0..<20 {
      let key = prefix + "k\(round % 3)"
      let version = try await store.put(key, [UInt8(round)])
      expected.append(MetadataEvent(kind: .put, key: key, version: version))
      try await store.put(root + "/elsewhere", [])
    }
    try await store.delete(prefix + "k0")
    try await store.delete(prefix + "absent")
    let last = try await store.put(prefix + "last", [])
    var seen: [MetadataEvent] = []
    for await event in stream {
      seen.append(event)
      if event.key == prefix + "last" { break }
    }
    #expect(Array(seen.prefix(20)) == expected)
    #expect(seen.count == 22)
    #expect(seen.last == MetadataEvent(kind: .put, key: prefix + "last", version: last))
    let deletion = seen.dropLast().last
    #expect(deletion?.kind == .delete && deletion?.key == prefix + "k0")
    #expect(zip(seen, seen.dropFirst()).allSatisfy { $0.version < $1.version })
  }

  func watchesEndWithTheirTask() async throws {
    let prefix = root + "/cancel/"
    let stream = try await store.watch(prefix: prefix)
    let task = Task {
      var count = 0
      for await _ in stream { count += 1 }
      return count
    }
    try await store.put(prefix + "a", [])
    task.cancel()
    #expect(await task.value <= 1)
  }

  func leasesBindKeys() async throws {
    let prefix = root + "/leases/"
    let stream = try await store.watch(prefix: prefix)
    let lease = try await store.grantLease(ttl: .seconds(10))
    #expect(!lease.isExpired)
    try await store.put(prefix + "a", [1], expected: .absent, lease: lease)
    try await store.put(prefix + "b", [2], expected: .any, lease: lease)
    try await store.put(prefix + "stays", [3])
    #expect(try await store.keys(prefix: prefix).count == 3)
    let expired = lease.expired
    try await lease.revoke()
    #expect(lease.isExpired)
    for await _ in expired {}
    #expect(try await store.keys(prefix: prefix) == [prefix + "stays"])
    await expect(.leaseExpired) { try await store.put(prefix + "c", [], expected: .any, lease: lease) }
    try await lease.revoke()
    var deleted: Set<String> = []
    for await event in stream where event.kind == .delete {
      deleted.insert(event.key)
      if deleted.count == 2 { break }
    }
    #expect(deleted == [prefix + "a", prefix + "b"])
  }

  func droppedLeasesEnd() async throws {
    let key = root + "/dropped/a"
    var lease: MetadataLease? = try await store.grantLease(ttl: .seconds(1))
    try await store.put(key, [], expected: .absent, lease: lease)
    #expect(try await store.get(key) != nil)
    lease = nil
    await eventually { try await store.get(key) == nil }
  }

  func rebindingMovesAKey() async throws {
    let prefix = root + "/rebind/"
    let first = try await store.grantLease(ttl: .seconds(10))
    let second = try await store.grantLease(ttl: .seconds(10))
    for name in ["to-second", "to-none", "deleted"] {
      try await store.put(prefix + name, [], expected: .absent, lease: first)
    }
    try await store.put(prefix + "to-second", [], expected: .any, lease: second)
    try await store.put(prefix + "to-none", [])
    try await store.delete(prefix + "deleted")
    try await store.put(prefix + "deleted", [], expected: .absent)
    try await first.revoke()
    #expect(try await store.keys(prefix: prefix).count == 3)
    try await second.revoke()
    #expect(try await store.keys(prefix: prefix) == [prefix + "deleted", prefix + "to-none"])
  }

  func sequencesIncrease() async throws {
    let name = root + "/sequence"
    #expect(try await store.nextSequence(name) == 1)
    var last: Int64 = 1
    for _ in 0..<250 {
      let next = try await store.nextSequence(name)
      #expect(next > last)
      last = next
    }
    let parallel = try await withThrowingTaskGroup(of: [Int64].self) { group in
      for _ in 0..<4 {
        group.addTask {
          var numbers: [Int64] = []
          for _ in 0..<100 { numbers.append(try await store.nextSequence(name)) }
          return numbers
        }
      }
      return try await group.reduce(into: [[Int64]]()) { $0.append($1) }
    }
    #expect(Set(parallel.joined()).count == 400)
    #expect(parallel.allSatisfy { numbers in zip(numbers, numbers.dropFirst()).allSatisfy { $0 < $1 } })
    #expect(parallel.joined().allSatisfy { $0 > last })
    #expect(try await store.nextSequence(root + "/other-sequence") == 1)
  }

  private func expect(
    _ expected: MetadataError, sourceLocation: SourceLocation = #_sourceLocation, _ body: () async throws -> Void
  ) async {
    do {
      try await body()
      Issue.record("Nothing was thrown.", sourceLocation: sourceLocation)
    } catch {
      #expect(error as? MetadataError == expected, sourceLocation: sourceLocation)
    }
  }
}
