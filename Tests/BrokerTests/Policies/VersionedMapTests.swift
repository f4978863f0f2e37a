import MetadataStore
import Testing

@testable import Broker

@Suite("The cache of versioned records")
struct VersionedMapTests {
  private func version(_ number: Int64) -> MetadataVersion { MetadataVersion(rawValue: number) }

  @Test("The newest version wins, whatever the order")
  func newestWins() {
    var map = VersionedMap<String, Int>()
    #expect(map.apply("a", 2, version: version(5)))
    #expect(!map.apply("a", 1, version: version(4)))
    #expect(!map.apply("a", 2, version: version(5)))
    #expect(map["a"] == 2)
    #expect(!map.apply("a", 2, version: version(6)), "The same value again is no change")
    #expect(map.apply("a", 3, version: version(7)))
  }

  @Test("What was removed does not come back with an older record")
  func removal() {
    var map = VersionedMap<String, Int>()
    #expect(map.apply("a", 1, version: version(1)))
    #expect(map.apply("a", nil, version: version(3)))
    #expect(!map.apply("a", 1, version: version(2)))
    #expect(map["a"] == nil)
    #expect(map.apply("a", 4, version: version(4)))
    // A removal that knows only the version of what it removed.
    #expect(map.apply("a", nil, version: version(4)))
    #expect(!map.apply("a", 4, version: version(4)))
    #expect(map.present.isEmpty)
  }

  @Test("A removal seen first")
  func removalFirst() {
    var map = VersionedMap<String, Int>()
    #expect(!map.apply("a", nil, version: version(3)))
    #expect(!map.apply("a", 1, version: version(2)))
    #expect(map["a"] == nil)
  }
}
