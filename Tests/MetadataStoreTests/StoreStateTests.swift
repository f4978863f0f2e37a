import Testing

@testable import MetadataStore

@Suite struct StoreStateTests {
  private func apply(
    _ state: inout StoreState, _ request: StoreRequest, stored: [String: StoredRecord] = [:], limit: Int64 = 0
  ) throws -> StoreAnswer {
    try state.apply(request, stored: { stored[$0] }, block: { _ in nil }, limit: { _ in limit })
  }

  @Test func requestsOfAGroupSeeEachOther() throws {
    var state = StoreState(revision: 10, firstLease: 1)
    let stored = ["/a": StoredRecord(version: 3, lease: 0, value: [])]
    let third = ExpectedVersion.exactly(MetadataVersion(rawValue: 3))
    #expect(
      try apply(&state, .put(key: "/a", value: [1], expected: third, lease: nil), stored: stored) == .version(11))
    #expect(
      try apply(&state, .put(key: "/a", value: [2], expected: third, lease: nil), stored: stored)
        == .failed(.versionMismatch(key: "/a")))
    #expect(try apply(&state, .delete(key: "/a", expected: .any), stored: stored) == .done)
    #expect(
      try apply(&state, .put(key: "/a", value: [3], expected: .absent, lease: nil), stored: stored) == .version(13))
    let group = state.takeGroup()
    #expect(group.events.map(\.version.rawValue) == [11, 12, 13])
    #expect(group.mutations.count == 3)
    #expect(state.takeGroup().mutations.isEmpty)
    #expect(state.revision == 13)
  }

  @Test func endedLeasesRemoveWhatIsStillTheirs() throws {
    var state = StoreState(revision: 0, firstLease: 5)
    #expect(try apply(&state, .grantLease) == .lease(5))
    for key in ["/a", "/b"] {
      _ = try apply(&state, .put(key: key, value: [], expected: .any, lease: 5))
    }
    _ = try apply(&state, .put(key: "/b", value: [], expected: .any, lease: nil))
    _ = state.takeGroup()
    let stored = [
      "/a": StoredRecord(version: 1, lease: 5, value: []), "/b": StoredRecord(version: 3, lease: 0, value: []),
    ]
    #expect(try apply(&state, .endLease(5), stored: stored) == .done)
    let group = state.takeGroup()
    #expect(group.mutations == [.unbind(lease: 5, key: "/a"), .removeRecord(key: "/a")])
    #expect(
      try apply(&state, .put(key: "/c", value: [], expected: .any, lease: 5)) == .failed(.leaseExpired))
    #expect(try apply(&state, .endLease(5)) == .done)
  }

  @Test func numbersComeInBlocks() throws {
    var state = StoreState(revision: 0, firstLease: 1)
    var numbers: [StoreAnswer] = []
    for _ in 0..<101 { numbers.append(try apply(&state, .nextInSequence("s"), limit: 40)) }
    #expect(numbers.first == .number(41) && numbers.last == .number(141))
    let group = state.takeGroup()
    #expect(group.mutations == [.setSequence("s", limit: 140), .setSequence("s", limit: 240)])
    #expect(group.blocks["s"] == SequenceBlock(next: 142, limit: 240))
  }

  @Test func recordsRoundTripAndDamageIsSeen() {
    let record = StoredRecord(version: .max, lease: 3, value: [9])
    record.encoded.withUnsafeBytes { #expect(StoredRecord($0) == record) }
    [UInt8](repeating: 0, count: 15).withUnsafeBytes { #expect(StoredRecord($0) == nil) }
  }
}
