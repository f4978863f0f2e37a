import Testing

@testable import Broker

@Suite("Stats as JSON")
struct StatsCodingTests {
  private func text(_ value: some Encodable) throws -> String {
    String(decoding: try PolicyJSON.encode(value), as: UTF8.self)
  }

  @Test("Both spellings of durable and replicated are on the wire")
  func spellings() throws {
    var stats = SubscriptionStats()
    stats.isDurable = true
    let json = try text(stats)
    #expect(json.contains(#""isDurable":true"#))
    #expect(json.contains(#""durable":true"#))
    #expect(json.contains(#""isReplicated":false"#))
    #expect(json.contains(#""replicated":false"#))
  }

  @Test("Times of consumers come as numbers and as text")
  func times() throws {
    var stats = ConsumerStats()
    stats.lastAckedTimestamp = 1_700_000_000_123
    let json = try text(stats)
    #expect(json.contains(#""lastAckedTime":"2023-11-14T22:13:20.123Z""#))
    #expect(json.contains(#""lastAckedTimestamp":1700000000123"#))
    #expect(!json.contains("lastConsumedTime\""))
  }

  @Test("ISO 8601 by arithmetic")
  func iso() {
    #expect(ISO8601.string(ms: 0) == nil)
    #expect(ISO8601.string(ms: 1) == "1970-01-01T00:00:00.001Z")
    #expect(ISO8601.string(ms: 951_782_400_000) == "2000-02-29T00:00:00.000Z")
    #expect(ISO8601.string(ms: 4_107_542_399_999) == "2100-02-28T23:59:59.999Z")
    #expect(ISO8601.string(ms: 4_107_542_400_000) == "2100-03-01T00:00:00.000Z")
  }

  @Test("Stats of an older server are read; what is missing is empty")
  func lenient() throws {
    let stats = try PolicyJSON.decode(
      TopicStats.self,
      from: Array(
        #"{"msgRateIn":1.5,"subscriptions":{"s":{"msgBacklog":4,"type":"Shared"}},"replication":{"eu":{"connected":true}}}"#
          .utf8), what: "stats")
    #expect(stats.msgRateIn == 1.5)
    #expect(stats.subscriptions["s"]?.msgBacklog == 4)
    #expect(stats.replication["eu"]?.connected == true)
    #expect(stats.publishers.isEmpty)
  }

  @Test("A partitioned topic sums its partitions in flat form")
  func partitioned() throws {
    var one = TopicStats()
    one.msgInCounter = 3
    one.subscriptions["s"] = SubscriptionStats()
    one.subscriptions["s"]?.msgBacklog = 2
    one.replication["eu"] = ReplicatorStats()
    one.replication["eu"]?.connected = true
    var two = one
    two.replication["eu"]?.connected = false
    two.replication["eu"]?.replicationDelayInSeconds = 7
    let stats = PartitionedTopicStats(
      metadata: PartitionedTopicMetadata(partitions: 2), partitions: ["p-0": one, "p-1": two], perPartition: true)
    #expect(stats.total.msgInCounter == 6)
    #expect(stats.total.subscriptions["s"]?.msgBacklog == 4)
    #expect(stats.total.replication["eu"]?.connected == false)
    #expect(stats.total.replication["eu"]?.replicationDelayInSeconds == 7)
    let json = try text(stats)
    #expect(json.contains(#""msgInCounter":6"#))
    let again = try PolicyJSON.decode(PartitionedTopicStats.self, from: Array(json.utf8), what: "stats")
    #expect(again == stats)
  }
}
