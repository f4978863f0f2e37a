import Mesh
import NIOCore
import Testing

@Suite struct TopologyFileTests {
  @Test func readsEverySection() throws {
    let topology = try TopologyFile.parse(
      """
      regions:
        us: { pulsar: 16650, pulsarTls: 16651, admin: 18080 }
        eu:
      links:
        - { between: [us, eu], rtt: 75ms, jitter: 2ms, bandwidth: 1gbit }
      tenants:
        demo: { regions: [us, eu] }
      namespaces:
        demo/orders: { deduplication: true, replicationStartAt: earliest }
      """, file: "mesh.yaml")
    #expect(topology.regions.map(\.name) == ["us", "eu"])
    #expect(topology.regions[1] == .init(name: "eu", pulsarPort: 26650, pulsarTLSPort: 26651, adminPort: 28080))
    #expect(
      topology.link("eu", "us")?.shape
        == WANShape(delay: .microseconds(37_500), jitter: .milliseconds(2), bandwidth: 125_000_000))
    #expect(topology.peers(of: "eu") == ["us"])
    #expect(topology.namespaces[0].regions == ["us", "eu"])
    #expect(topology.namespaces[0].deduplication)
  }

  @Test(arguments: [
    (
      "regions:\n  us: { pulsr: 1 }",
      "mesh.yaml, line 2: unknown key `pulsr` in region us; known are pulsar, pulsarTls, admin"
    ),
    (
      "regions:\n  us:\nlink: []",
      "mesh.yaml, line 3: unknown key `link` in the file; known are regions, links, tenants, namespaces"
    ),
    (
      "regions:\n  us:\n  eu:\nlinks:\n  - { between: [us, ap] }",
      "mesh.yaml, line 5: region `ap` is not declared under `regions`"
    ),
    (
      "regions:\n  us:\n  eu:\nlinks:\n  - { between: [us, eu], rtt: soon }",
      "mesh.yaml, line 5: `rtt` must be a duration such as 75ms or 1s"
    ),
    ("regions:\n  us: { pulsar: 70000 }", "mesh.yaml, line 2: a port must be a number from 1 to 65535"),
    ("regions:\n  us: { pulsar: 1, admin: 1 }", "mesh.yaml, line 2: port 1 is used twice, by us and us"),
    (
      "regions:\n  us:\nnamespaces:\n  demo/x: {}",
      "mesh.yaml, line 4: namespace `demo/x` belongs to tenant `demo`, which `tenants` does not declare"
    ),
    ("tenants: {}", "mesh.yaml, line 1: there is no `regions` section"),
    ("", "mesh.yaml: the file is empty; it needs a `regions` section"),
  ])
  func tellsWhatIsWrongAndWhere(text: String, message: String) {
    #expect { try TopologyFile.parse(text, file: "mesh.yaml") } throws: { "\($0)" == message }
  }

  @Test func brokenYAMLIsOneSentence() {
    #expect { try TopologyFile.parse("regions: [", file: "mesh.yaml") } throws: {
      let sentence = "\($0)"
      return sentence.hasPrefix("mesh.yaml: not valid YAML") && !sentence.contains("\n")
    }
  }

  @Test(arguments: [("75ms", 75_000_000), ("1s", 1_000_000_000), ("250us", 250_000), ("10", 10_000_000), ("0ms", 0)])
  func durations(text: String, nanoseconds: Int64) {
    #expect(Quantity.duration(text)?.nanoseconds == nanoseconds)
  }

  @Test(arguments: [("1gbit", 125_000_000), ("40MB/s", 40_000_000), ("100mbit", 12_500_000), ("512", 512)])
  func rates(text: String, bytes: Int64) {
    #expect(Quantity.rate(text) == bytes)
  }

  @Test(arguments: ["", "ms", "-1ms", "1e999s", "5 parsecs", "nan"])
  func nonsenseIsRefused(text: String) {
    #expect(Quantity.duration(text) == nil)
    #expect(Quantity.rate(text) == nil)
  }
}
