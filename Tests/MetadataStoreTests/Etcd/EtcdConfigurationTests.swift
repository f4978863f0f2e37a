import Logging
import Testing

@testable import MetadataStore

@Suite struct EtcdConfigurationTests {
  @Test func readsAddresses() throws {
    let one = try EtcdConfiguration(url: "etcd://a:2379,[::1]:2380/regions/us")
    #expect(one.endpoints.map(\.description) == ["a:2379", "[::1]:2380"])
    #expect(one.root == "/regions/us" && one.tls == nil)
    let pulsar = try EtcdConfiguration(url: "etcd:https://a:2379,https://b:2379")
    #expect(pulsar.endpoints.map(\.host) == ["a", "b"])
    #expect(pulsar.root == EtcdConfiguration.defaultRoot && pulsar.tls != nil)
  }

  @Test(arguments: [
    "", "zk:a:1", "etcd:", "etcd://", "etcd://a", "etcd://a:0", "etcd://a:1,", "etcd://a:1/x//y", "etcd://a:1/x,b:1/y",
    "etcd:ftp://a:1",
  ])
  func refusesWhatIsNone(_ url: String) {
    #expect(throws: MetadataError.self) { try EtcdConfiguration(url: url) }
  }

  @Test func otherAddressesAreRefused() async {
    await #expect(throws: MetadataError.self) {
      _ = try await MetadataStoreURL.open("zk://a:2181", logger: Logger(label: "test"))
    }
  }

  @Test func rangesEndBehindTheirPrefix() {
    let keys = EtcdKeys(root: "/m")
    let (from, end) = keys.range(prefix: "/a/", after: nil)
    #expect(Array(from) == Array("/m/records/a/".utf8) && Array(end) == Array("/m/records/a0".utf8))
    #expect(Array(keys.range(prefix: "/a/", after: "/a/b").from) == Array("/m/records/a/b".utf8) + [0])
    #expect(Array(keys.range(prefix: "/b/", after: "/a").from) == Array("/m/records/b/".utf8))
    #expect(Array(keys.range(prefix: "", after: nil).end) == Array("/m/recordt".utf8))
  }
}
