import Testing

@testable import Ledgers

@Suite struct PlacementTests {
  private static func bookie(
    _ id: String, _ location: String? = nil, group: String? = nil, free: Int64? = nil
  ) -> BookieInfo {
    BookieInfo(id: id, host: "h", port: 1, networkLocation: location, group: group, freeDiskBytes: free)
  }

  private static func byID(_ bookies: [BookieInfo]) -> [String: BookieInfo] {
    Dictionary(uniqueKeysWithValues: bookies.map { ($0.id, $0) })
  }

  /// Two bookies on each of three racks.
  private static let racks = (0..<6).map { bookie("b\($0)", "/z/rack-\($0 / 2)") }

  @Test func copiesAreOnDifferentRacks() throws {
    var generator = SeededGenerator(seed: 1)
    let policy = RackAwarePlacement()
    for writeQuorum in 2...3 {
      for _ in 0..<100 {
        let ensemble = try #require(
          policy.newEnsemble(
            size: 6, writeQuorum: writeQuorum, candidates: Self.racks, avoiding: [], using: &generator))
        #expect(Set(ensemble).count == 6)
        #expect(
          policy.adherence(of: ensemble, writeQuorum: writeQuorum, bookies: Self.byID(Self.racks)) != .violated)
      }
    }
    #expect(
      policy.adherence(of: ["b0", "b1", "b2"], writeQuorum: 2, bookies: Self.byID(Self.racks)) == .violated)
    #expect(policy.adherence(of: ["b0", "b2", "b4"], writeQuorum: 3, bookies: Self.byID(Self.racks)) == .full)
    #expect(policy.adherence(of: ["b0", "b2", "b3"], writeQuorum: 3, bookies: Self.byID(Self.racks)) == .partial)
  }

  @Test func aReplacementIsOnARackThatItsNeighboursAreNotOn() {
    var generator = SeededGenerator(seed: 2)
    for _ in 0..<50 {
      let found = RackAwarePlacement().replacement(
        for: 2, in: ["b0", "b2", "b4"], writeQuorum: 3, candidates: Self.racks, excluded: ["b0", "b2", "b4"],
        avoiding: [], using: &generator)
      #expect(found == "b5")
    }
    // Its rack counts for less than its health, unless the minimum is enforced.
    let lenient = RackAwarePlacement().replacement(
      for: 2, in: ["b0", "b2", "b4"], writeQuorum: 3, candidates: Self.racks, excluded: ["b0", "b2", "b4"],
      avoiding: ["b5"], using: &generator)
    #expect(lenient == "b1" || lenient == "b3")
    let strict = RackAwarePlacement(minNumRacksPerWriteQuorum: 3, enforceMinNumRacksPerWriteQuorum: true)
    #expect(
      strict.replacement(
        for: 2, in: ["b0", "b2", "b4"], writeQuorum: 3, candidates: Self.racks, excluded: ["b0", "b2", "b4"],
        avoiding: ["b5"], using: &generator) == "b5")
    #expect(
      strict.replacement(
        for: 2, in: ["b0", "b2", "b4"], writeQuorum: 3, candidates: Array(Self.racks.prefix(4)),
        excluded: ["b0", "b2", "b4"], avoiding: [], using: &generator) == nil)
  }

  @Test func anEnforcedMinimumRefusesOneRack() {
    var generator = SeededGenerator(seed: 3)
    let one = (0..<4).map { Self.bookie("b\($0)", "/r") }
    #expect(
      RackAwarePlacement().newEnsemble(size: 3, writeQuorum: 2, candidates: one, avoiding: [], using: &generator)
        != nil)
    #expect(
      RackAwarePlacement(enforceMinNumRacksPerWriteQuorum: true).newEnsemble(
        size: 3, writeQuorum: 2, candidates: one, avoiding: [], using: &generator) == nil)
  }

  @Test func regionsShareTheCopiesEvenly() throws {
    var generator = SeededGenerator(seed: 4)
    let bookies = (0..<12).map { Self.bookie("b\($0)", "/region-\($0 % 3)/rack-\($0 % 2)") }
    let known = Self.byID(bookies)
    for _ in 0..<50 {
      let ensemble = try #require(
        RegionAwarePlacement(minimumRegionsForDurability: 3).newEnsemble(
          size: 6, writeQuorum: 3, candidates: bookies, avoiding: [], using: &generator))
      #expect(Set(ensemble.prefix(3).compactMap { known[$0]?.region }).count == 3)
      let counts = Dictionary(grouping: ensemble) { known[$0]?.region ?? "" }.mapValues(\.count)
      #expect(counts.values.allSatisfy { $0 == 2 })
    }
  }

  @Test func freeDiskWeighsUpToAMultipleOfTheMedian() {
    var generator = SeededGenerator(seed: 5)
    let bookies = [
      Self.bookie("full", free: 1), Self.bookie("a", free: 100), Self.bookie("b", free: 100),
      Self.bookie("new", free: 1_000_000),
    ]
    var counts: [String: Int] = [:]
    for _ in 0..<4_000 {
      let found = RandomPlacement(diskWeightBasedPlacementEnabled: true).replacement(
        for: 0, in: ["x"], writeQuorum: 1, candidates: bookies, excluded: ["x"], avoiding: [], using: &generator)
      counts[found ?? "none", default: 0] += 1
    }
    // 1 : 100 : 100 : 300
    #expect(counts["full", default: 0] < 40)
    #expect((1_700...2_700).contains(counts["new", default: 0]))
    #expect((500...1_100).contains(counts["a", default: 0]))
    #expect(DiskWeights(maxMultiple: 3).weights(of: [Self.bookie("x"), Self.bookie("y", free: 8)]) == [8, 8])
  }

  @Test func affinityTakesPrimaryGroupsThenSecondaryOnesAndNoOthers() {
    let bookies = [
      Self.bookie("p1", group: "p"), Self.bookie("p2", group: "p"), Self.bookie("s1", group: "s"),
      Self.bookie("o1", group: "o"), Self.bookie("none"),
    ]
    let affinity = BookieAffinity(primary: ["p"], secondary: ["s"])
    #expect(affinity.candidates(among: bookies, needed: 2).map(\.id) == ["p1", "p2"])
    #expect(affinity.candidates(among: bookies, needed: 3).map(\.id) == ["p1", "p2", "s1"])
    #expect(affinity.candidates(among: bookies, needed: 4).map(\.id) == ["p1", "p2", "s1"])
    let metadata = LedgerMetadata(
      options: LedgerOptions(affinity: affinity), ensemble: ["p1", "p2", "s1"], createdMs: 0, creatorToken: 0)
    #expect(BookieAffinity(customMetadata: metadata.customMetadata) == affinity)
  }

  @Test func aBookieThatIsBackGetsItsOwnPlaceOnlyAndIsNeverNamedTwice() async throws {
    try await BookieCluster.with(3) { cluster in
      let client = await cluster.client(.inProcess)
      _ = try await client.availableBookies()
      let ensemble = ["bookie-1", "bookie-2", "bookie-3"]
      let metadata = LedgerMetadata(options: LedgerOptions(), ensemble: ensemble, createdMs: 0, creatorToken: 0)
      for _ in 0..<50 {
        // The first bookie failed; the second was away and is back; there is no other.
        let found = client.selector.replacements(
          for: .init(firstEntry: 5, ensemble: ensemble, slots: [0, 1], vacant: [1]), of: metadata)
        #expect(found.ensemble == ensemble)
        #expect(found.slots == [1])
      }
    }
  }
}
