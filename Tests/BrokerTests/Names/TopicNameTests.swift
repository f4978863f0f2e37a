import Testing

@testable import Broker

@Suite struct TopicNameTests {
  @Test(arguments: [
    ("a", "persistent://public/default/a"), ("t/n/a", "persistent://t/n/a"),
    ("non-persistent://t/n/a", "non-persistent://t/n/a"), ("persistent://t/n/a/b", "persistent://t/n/a/b"),
    ("persistent://t/n/ä b", "persistent://t/n/ä b"),
  ])
  func fullAndShortNames(text: String, full: String) throws {
    #expect(try TopicName(text).description == full)
  }

  @Test(arguments: [
    "", "a/b", "http://t/n/a", "persistent://t/n", "persistent://t/n/", "t/n!/a", "persistent://t/n/a\u{7}",
  ])
  func badNamesAreRefusedWithTheirKind(text: String) {
    #expect { try TopicName(text) } throws: { ($0 as? BrokerError)?.kind == .invalidTopicName }
  }

  @Test func partitions() throws {
    let topic = try TopicName("t/n/a")
    let partition = topic.partition(3)
    #expect(partition.description == "persistent://t/n/a-partition-3")
    #expect(partition.partition == 3)
    #expect(partition.partitionedTopic == topic)
    #expect(topic.partition == nil)
    #expect(try TopicName("a-partition-").partition == nil)
    #expect(try TopicName("a-partition-007").partition == nil)
    #expect(try TopicName("-partition-1").partition == nil)
    #expect(try TopicName("a-partition-0").partition == 0)
  }

  @Test(arguments: ["plain", "with space", "a/b%c", "ünï/çødé", "a-partition-3"])
  func encodedNamesAreOneComponentAndComeBack(local: String) throws {
    let name = try TopicName(domain: .persistent, namespace: .publicDefault, localName: local)
    #expect(!name.encodedLocalName.contains("/"))
    #expect(TopicName.decodeLocalName(name.encodedLocalName) == local)
    #expect(name.storagePath == "public/default/persistent/\(name.encodedLocalName)")
  }

  @Test func damagedEncodingIsNoName() {
    #expect(TopicName.decodeLocalName("a%2") == nil)
    #expect(TopicName.decodeLocalName("a%zz") == nil)
  }
}
