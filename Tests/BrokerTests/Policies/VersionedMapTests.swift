import MetadataStore
import Testing

@testable import Broker

@Suite("The cache of versioned records")
struct VersionedMapTests {
  /// A map that expectations may change.
  private final class Map {
    private var map = VersionedMap<String, Int>()
    subscript(key: String) -> Int? { map[key] }
    var isEmpty: Bool { map.present.isEmpty }

    func apply(_ key: String, _ value: Int?, version: MetadataVersion) -> Bool {
      map.apply(key, value, version: version)
    }
  }

  private func version(_ number: Int64) -> MetadataVersion { MetadataVersion(rawValue: number) }

  @Test("The newest version wins, whatever the order")
  func newestWins() {
    let map = Map()
    #expect(map.apply("a", 2, version: version(5)))
    #expect(!map.apply("a", 1, version: version(4)))
    #expect(!map.apply("a", 2, version: version(5)))
    #expect(map["a"] == 2)
    #expect(!map.apply("a", 2, version: version(6)), "The same value again is no change")
    #expect(map.apply("a", 3, version: version(7)))
  }

  @Test("What was removed does not come back with an older record")
  func removal() {
    let map = Map()
    #expect(map.apply("a", 1, version: version(1)))
    #expect(map.apply("a", nil, version: version(3)))
    #expect(!map.apply("a", 1, version: version(2)))
    #expect(map["a"] == nil)
    #expect(map.apply("a", 4, version: version(4)))
    // A removal that knows only the version of what it removed.
    #expect(map.apply("a", nil, version: version(4)))
    #expect(!map.apply("a", 4, version: version(4)))
    #expect(map.isEmpty)
  }

  @Test("A removal seen first")
  func removalFirst() {
    let map = Map()
    #expect(!map.apply("a", nil, version: version(3)))
    #expect(!map.apply("a", 1, version: version(2)))
    #expect(map["a"] == nil)
  }
}
