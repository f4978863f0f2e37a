@testable import Broker
import NIOCore
import PulsarWire
import TopicLog
import Testing

@testable import Admin

@Suite("The admin REST API over a real port")
struct AdminRESTTests {
  @Test("Clusters")
  func clusters() async throws {
    try await AdminFixture.run { api in
      let base = "/admin/v2/clusters"
      #expect(await api.call("GET", base) == (200, #"["us"]"#))
      #expect(await api.status("PUT", "\(base)/eu", #"{"serviceUrl":"http://eu:8080"}"#) == 204)
      #expect(await api.status("PUT", "\(base)/eu", "{}") == 409)
      #expect(await api.status("PUT", "\(base)/a%2Fb", "{}") == 412)
      #expect(await api.status("PUT", "\(base)/x", #"{"serviceUrl":7}"#) == 400)
      #expect(await api.status("PUT", "\(base)/x") == 400)
      #expect(await api.status("POST", "\(base)/eu", #"{"serviceUrl":"http://eu:9090"}"#) == 204)
      #expect(await api.call("GET", "\(base)/eu").text.contains(#""serviceUrl":"http://eu:9090""#))
      #expect(await api.status("POST", "\(base)/us/peers", #"["eu"]"#) == 204)
      #expect(await api.call("GET", "\(base)/us/peers") == (200, #"["eu"]"#))
      #expect(await api.status("DELETE", "\(base)/us") == 412)
      #expect(await api.status("DELETE", "\(base)/eu") == 204)
      #expect(await api.status("GET", "\(base)/eu") == 404)
      #expect(await api.status("POST", "\(base)/us/migrate?migrated=true", "{}") == 204)
      #expect(await api.call("GET", "\(base)/us/migrate").text.contains(#""migrated":true"#))
    }
  }

  @Test("Tenants and namespaces")
  func namespaces() async throws {
    try await AdminFixture.run { api in
      #expect(await api.status("PUT", "/admin/v2/tenants/t", #"{"allowedClusters":["us"]}"#) == 204)
      #expect(await api.status("PUT", "/admin/v2/tenants/t", #"{"allowedClusters":["us"]}"#) == 409)
      #expect(await api.status("PUT", "/admin/v2/tenants/u", #"{"allowedClusters":["mars"]}"#) == 412)
      #expect(await api.status("GET", "/admin/v2/tenants/%00") == 404)
      #expect(await api.status("PUT", "/admin/v2/namespaces/t/n?bundles=-1") == 400)
      let base = "/admin/v2/namespaces/t/n"
      #expect(await api.status("PUT", "\(base)?bundles=1") == 204)
      #expect(await api.status("PUT", base) == 409)
      #expect(await api.status("PUT", "/admin/v2/namespaces/nobody/n") == 404)
      #expect(await api.call("GET", "/admin/v2/namespaces/t") == (200, #"["t/n"]"#))
      let policies = try await api.client.get(base, as: NamespacePolicies.self)
      #expect(policies.bundles?.numBundles == 1)
      #expect(policies.replicationClusters == ["us"])
      #expect(await api.status("POST", "\(base)/replication", #"["us","mars"]"#) == 403)
      #expect(await api.status("POST", "\(base)/replication", "[]") == 412)
      #expect(await api.call("GET", "\(base)/replication") == (200, #"["us"]"#))
      #expect(await api.status("POST", "\(base)/permissions/anonymous", #"["produce","consume"]"#) == 204)
      #expect(await api.call("GET", "\(base)/permissions") == (200, #"{"anonymous":["produce","consume"]}"#))
      #expect(await api.status("POST", "\(base)/permissions/anonymous", #"["fly"]"#) == 400)
      #expect(
        await api.status("POST", "\(base)/backlogQuota", #"{"limitSize":1,"policy":"producer_exception"}"#) == 204)
      #expect(await api.call("GET", "\(base)/backlogQuotaMap").text.contains("destination_storage"))
      #expect(await api.status("PUT", "/admin/v2/persistent/t/n/x") == 204)
      #expect(await api.status("DELETE", base) == 409)
      #expect(await api.status("DELETE", "/admin/v2/tenants/t") == 409)
      #expect(await api.status("DELETE", "\(base)?force=true") == 204)
      #expect(await api.status("GET", base) == 404)
      #expect(await api.status("DELETE", "/admin/v2/tenants/t") == 204)
    }
  }

  @Test("Creating a namespace honours every policy of the body")
  func namespaceBody() async throws {
    try await AdminFixture.run { api in
      let body = #"{"encryption_required":true,"max_producers_per_topic":2,"replication_clusters":["us"]}"#
      #expect(await api.status("PUT", "/admin/v2/namespaces/public/x", body) == 204)
      #expect(await api.call("GET", "/admin/v2/namespaces/public/x/maxProducersPerTopic") == (200, "2"))
      #expect(await api.call("GET", "/admin/v2/namespaces/public/x/encryptionRequired") == (200, "true"))
    }
  }

  @Test("Every policy of the table is set, read and cleared", arguments: NamespacePolicyEndpoint.all.map(\.path))
  func policyTable(_ path: String) async throws {
    let bodies = [
      "retention": #"{"retentionTimeInMinutes":1,"retentionSizeInMB":2}"#,
      "persistence": #"{"bookkeeperEnsemble":3,"bookkeeperWriteQuorum":2,"bookkeeperAckQuorum":2}"#,
      "autoTopicCreation": #"{"allowAutoTopicCreation":true,"topicType":"partitioned","defaultNumPartitions":3}"#,
      "schemaCompatibilityStrategy": #""BACKWARD""#, "subscriptionAuthMode": #""Prefix""#,
      "inactiveTopicPolicies":
        #"{"inactiveTopicDeleteMode":"delete_when_no_subscriptions","maxInactiveDurationSeconds":5}"#,
      "subscriptionTypesEnabled": #"["Shared"]"#, "allowedTopicPropertyKeysForMetrics": #"["a"]"#,
      "properties": #"{"a":"b"}"#, "replicationStartAt": #""latest""#, "antiAffinity": "group-without-quotes",
      "persistence/bookieAffinity": #"{"bookkeeperAffinityGroupPrimary":"fast"}"#,
      "residencyDeny": #"["eu"]"#, "resourcegroup": #""g""#, "schemaAutoUpdateCompatibilityStrategy": #""Full""#,
    ]
    let objects: Set<String> = [
      "dispatchRate", "subscriptionDispatchRate", "replicatorDispatchRate", "subscribeRate", "publishRate",
      "autoSubscriptionCreation", "offloadPolicies", "delayedDelivery", "entryFilters",
    ]
    let flags: Set<String> = [
      "deduplication", "isAllowAutoUpdateSchema", "schemaValidationEnforced", "encryptionRequired",
      "dispatcherPauseOnAckStatePersistent", "migration",
    ]
    let body = bodies[path] ?? (objects.contains(path) ? "{}" : flags.contains(path) ? "true" : "7")
    try await AdminFixture.run { api in
      let url = "/admin/v2/namespaces/public/default/\(path)"
      let before = await api.call("GET", url)
      #expect(before.status == 200 || before.status == 204)
      #expect(await api.status("POST", url, body) == 204)
      let after = await api.call("GET", url)
      #expect(after.status == 200)
      if body == "7" || body == "true" || body.hasPrefix("\"") { #expect(after.text == body) }
      if path != "antiAffinity", path != "resourcegroup", path != "offloadPolicies",
        path != "schemaAutoUpdateCompatibilityStrategy"
      {
        #expect(await api.status("POST", url, #""nonsense""#) == 400)
      }
      #expect(await api.status("DELETE", url) == 204)
      let cleared = await api.call("GET", url)
      #expect(cleared == before)
      #expect(await api.status("GET", "/admin/v2/namespaces/public/nowhere/\(path)") == 404)
    }
  }

  @Test("More copies than there are bookies are refused, for namespaces and for topics")
  func tooManyCopies() async throws {
    var sources = AdminSources()
    sources.bookieCount = { 3 }
    try await AdminFixture.run(sources: sources) { api in
      let nine = #"{"bookkeeperEnsemble":9,"bookkeeperWriteQuorum":9,"bookkeeperAckQuorum":9}"#
      let three = #"{"bookkeeperEnsemble":3,"bookkeeperWriteQuorum":3,"bookkeeperAckQuorum":3}"#
      let namespace = "/admin/v2/namespaces/public/default/persistence"
      let refusal = await api.call("POST", namespace, nine)
      #expect(refusal.status == 412)
      #expect(
        refusal.text.contains(
          "Bookkeeper Ensemble (9) needs as many bookies, and this region has 3: start more bookies or use a smaller"))
      #expect(await api.status("POST", namespace, three) == 204)
      #expect(await api.status("POST", "/admin/v2/persistent/public/default/t/persistence", nine) == 412)
      // What contradicts itself is refused for that, and needs no bookie.
      let contradiction = #"{"bookkeeperEnsemble":9,"bookkeeperWriteQuorum":1,"bookkeeperAckQuorum":2}"#
      #expect(await api.call("POST", namespace, contradiction).text.contains("does not hold"))
    }
  }

  @Test(
    "Values that make no sense are refused with one sentence",
    arguments: [
      ("messageTTL", "99999999999"), ("messageTTL", "-1"),
      ("retention", #"{"retentionTimeInMinutes":99999999999,"retentionSizeInMB":1}"#),
      ("backlogQuota", #"{"limitSize":0,"policy":"producer_exception"}"#),
      ("backlogQuota?backlogQuotaType=message_age", #"{"policy":"producer_exception"}"#),
      ("dispatchRate", #"{"ratePeriodInSecond":0}"#), ("publishRate", #"{"publishThrottlingRateInMsg":-2}"#),
    ])
  func absurdPolicies(_ path: String, _ body: String) async throws {
    try await AdminFixture.run { api in
      for base in ["/admin/v2/namespaces/public/default", "/admin/v2/persistent/public/default/t"] {
        let answer = await api.call("POST", "\(base)/\(path)", body)
        #expect(answer.status == 412)
        let hints = ["possible", "must not be", "needs", "at most"]
        #expect(hints.contains { answer.text.contains($0) }, "\(answer.text)")
      }
    }
  }

  @Test("Topics: create, list, partitions, delete, with names that need encoding")
  func topics() async throws {
    try await AdminFixture.run { api in
      let base = "/admin/v2/persistent/public/default"
      #expect(await api.status("PUT", "\(base)/my%20topic%2Fx") == 204)
      #expect(await api.status("PUT", "\(base)/my%20topic%2Fx") == 409)
      #expect(await api.call("GET", base) == (200, #"["persistent://public/default/my topic/x"]"#))
      #expect(await api.status("PUT", "\(base)/p/partitions", "3") == 204)
      #expect(await api.status("PUT", "\(base)/p/partitions", "3") == 409)
      #expect(await api.status("PUT", "\(base)/q/partitions", "0") == 406)
      #expect(await api.status("PUT", "\(base)/q/partitions", "many") == 400)
      #expect(await api.status("PUT", "\(base)/r/partitions", #"{"partitions":2,"properties":{"a":"b"}}"#) == 204)
      #expect(
        await api.call("GET", "\(base)/r/partitions")
          == (200, #"{"deleted":false,"partitions":2,"properties":{"a":"b"}}"#))
      #expect(await api.status("GET", "\(base)/none/partitions") == 404)
      #expect(
        await api.call("GET", "\(base)/auto/partitions?checkAllowAutoCreation=true")
          == (200, #"{"deleted":false,"partitions":0,"properties":{}}"#))
      #expect(
        await api.call("GET", "\(base)/partitioned")
          == (200, #"["persistent://public/default/p","persistent://public/default/r"]"#))
      #expect(await api.status("POST", "\(base)/p/partitions", "5") == 204)
      #expect(await api.status("PUT", "\(base)/p-partition-0/unload") == 204)
      #expect(await api.status("PUT", "\(base)/p/unload") == 204)
      #expect(api.broker.calls.filter { $0.hasPrefix("unload") }.count == 4)
      #expect(await api.call("POST", "\(base)/auto/terminate").text.contains(#""ledgerId":7"#))
      #expect(await api.status("POST", "\(base)/p/terminate") == 405)
      #expect(await api.status("DELETE", "\(base)/p") == 404)
      #expect(await api.status("DELETE", "\(base)/p/partitions") == 204)
      #expect(await api.status("DELETE", "\(base)/p/partitions") == 404)
      #expect(await api.status("DELETE", "\(base)/auto") == 204)
      #expect(await api.status("DELETE", "\(base)/auto") == 404)
      let all = "/admin/v2/namespaces/public/default/topics"
      #expect(await api.status("PUT", "/admin/v2/non-persistent/public/default/np") == 204)
      #expect(await api.call("GET", "\(all)?mode=NON_PERSISTENT") == (200, #"["non-persistent://public/default/np"]"#))
      #expect(await api.call("GET", all).text.contains("non-persistent") == false)
      #expect(await api.status("GET", "\(all)?mode=SOME") == 400)
    }
  }

  @Test("Stats and subscriptions")
  func subscriptions() async throws {
    try await AdminFixture.run { api in
      let base = "/admin/v2/persistent/public/default"
      #expect(await api.status("PUT", "\(base)/p/partitions", "2") == 204)
      #expect(await api.status("PUT", "\(base)/t") == 204)
      let latest = #"{"ledgerId":9223372036854775807,"entryId":9223372036854775807,"partitionIndex":-1}"#
      #expect(await api.status("PUT", "\(base)/t/subscription/s", latest) == 204)
      #expect(await api.status("PUT", "\(base)/t/subscription/s", latest) == 409)
      let earliest = #"{"ledgerId":-1,"entryId":-1,"partitionIndex":-1}"#
      #expect(await api.status("PUT", "\(base)/p/subscription/sub%20b", earliest) == 204)
      #expect(await api.call("GET", "\(base)/p/subscriptions") == (200, #"["sub b"]"#))
      #expect(await api.status("GET", "\(base)/none/subscriptions") == 404)
      #expect(await api.status("POST", "\(base)/t/subscription/s/skip/3") == 204)
      #expect(await api.status("POST", "\(base)/p/subscription/sub%20b/skip/3") == 405)
      #expect(await api.status("POST", "\(base)/p/subscription/sub%20b/skip_all") == 204)
      #expect(await api.status("POST", "\(base)/p/subscription/none/skip_all") == 404)
      #expect(await api.status("POST", "\(base)/t/subscription/s/expireMessages/60") == 204)
      #expect(await api.status("POST", "\(base)/t/all_subscription/expireMessages/60") == 204)
      #expect(await api.status("POST", "\(base)/t/subscription/s/resetcursor/1700000000000") == 204)
      #expect(await api.status("POST", "\(base)/t/subscription/s/resetcursor/soon") == 400)
      #expect(
        await api.status(
          "POST", "\(base)/t/subscription/s/resetcursor", #"{"ledgerId":3,"entryId":4,"isExcluded":true}"#) == 204)
      // As old clients write it.
      #expect(await api.status("PUT", "\(base)/t/subscription/old", #""earliest""#) == 204)
      #expect(await api.status("PUT", "\(base)/t/subscription/new", #""latest""#) == 204)
      #expect(await api.status("PUT", "\(base)/t/subscription/bad", #""soonest""#) == 400)
      #expect(
        await api.status("POST", "\(base)/t/subscription/s/expireMessages", #"{"ledgerId":3,"entryId":4}"#) == 204)
      #expect(
        await api.status("POST", "\(base)/p/subscription/sub%20b/expireMessages", #"{"ledgerId":3,"entryId":4}"#) == 405
      )
      #expect(
        await api.call("GET", "\(base)/t/getMessageIdByIndex?index=9")
          == (200, #"{"entryId":8,"ledgerId":7,"partitionIndex":-1}"#))
      #expect(await api.status("GET", "\(base)/t/getMessageIdByIndex?index=10") == 404)
      #expect(await api.status("GET", "\(base)/t/getMessageIdByIndex?index=-1") == 400)
      for call in [
        "subscribe old earliest", "subscribe new latest", "expire s 3:4 false", "subscribe s latest",
        "subscribe sub b earliest", "skip s 3", "expire s 60", "expire all 60",
      ]
        + ["reset s 1700000000000", "reset s 3:4 true"]
      {
        #expect(api.broker.calls.contains(call), "\(call)")
      }
      let stats = try await api.client.get("\(base)/t/stats", as: TopicStats.self)
      #expect(stats.msgInCounter == 5)
      #expect(await api.status("GET", "\(base)/p/stats") == 404)
      let whole = try await api.client.get("\(base)/p/partitioned-stats", as: PartitionedTopicStats.self)
      #expect(whole.total.msgInCounter == 10)
      #expect(whole.partitions.count == 2)
      let sums = try await api.client.get(
        "\(base)/p/partitioned-stats", query: ["perPartition": "false"], as: PartitionedTopicStats.self)
      #expect(sums.partitions.isEmpty)
      #expect(await api.call("GET", "\(base)/t/internalStats").text.contains(#""lastConfirmedEntry":"7:8""#))
      #expect(
        await api.call("GET", "\(base)/t/lastMessageId") == (200, #"{"entryId":8,"ledgerId":7,"partitionIndex":-1}"#))
      #expect(await api.status("DELETE", "\(base)/t/subscription/s") == 204)
      #expect(await api.status("DELETE", "\(base)/t/subscription/s") == 404)
    }
  }

  @Test("A peeked message: payload as body, the rest in headers")
  func peek() async throws {
    try await AdminFixture.run { api in
      var metadata = MessageMetadata(producerName: "p", sequenceID: 3, publishTimeMs: 1_700_000_000_000)
      metadata.replicatedFrom = "eu"
      metadata.properties = [MessageProperty(key: "a", value: "b"), MessageProperty(key: "bad key", value: "x")]
      var encoded = ByteBuffer()
      metadata.encode(into: &encoded)
      let message = PeekedMessage(
        position: Position(ledgerID: 1, entryID: 2), broker: nil, metadata: try MessageMetadataView(encoded),
        payload: ByteBuffer(string: "hello"))
      api.broker.state.withLockedValue { $0.peeked = message }
      let base = "/admin/v2/persistent/public/default/t"
      #expect(await api.status("PUT", base) == 204)
      #expect(await api.status("PUT", "\(base)/subscription/s") == 204)
      let answer = try await api.client.send("GET", "\(base)/subscription/s/position/1")
      #expect(String(decoding: answer.body, as: UTF8.self) == "hello")
      #expect(answer.header("X-Pulsar-Message-ID") == "1:2")
      #expect(answer.header("X-Pulsar-replicated-from") == "eu")
      #expect(answer.header("X-Pulsar-PROPERTY-a") == "b")
      #expect(answer.header("X-Pulsar-publish-time") == "2023-11-14T22:13:20.000Z")
      #expect(await api.status("GET", "\(base)/subscription/s/position/2") == 404)
      #expect(await api.status("GET", "\(base)/subscription/s/position/0") == 412)
    }
  }

  @Test("Topic policies in both scopes, and what applies")
  func topicPolicies() async throws {
    try await AdminFixture.run { api in
      let base = "/admin/v2/persistent/public/default/t"
      #expect(await api.status("GET", "\(base)/maxProducers") == 204)
      #expect(await api.status("POST", "\(base)/maxProducers?isGlobal=true", "9") == 204)
      #expect(await api.status("GET", "\(base)/maxProducers") == 204)
      #expect(await api.call("GET", "\(base)/maxProducers?isGlobal=true") == (200, "9"))
      #expect(await api.status("POST", "\(base)/maxProducers", "4") == 204)
      #expect(await api.call("GET", "\(base)/maxProducers?applied=true") == (200, "4"))
      #expect(await api.status("POST", "/admin/v2/namespaces/public/default/messageTTL", "60") == 204)
      #expect(await api.call("GET", "\(base)/messageTTL?applied=true") == (200, "60"))
      #expect(await api.status("POST", "\(base)/messageTTL?messageTTL=30") == 204)
      #expect(await api.call("GET", "\(base)/messageTTL") == (200, "30"))
      #expect(await api.status("POST", "\(base)/replication", #"["us"]"#) == 204)
      #expect(await api.call("GET", "\(base)/replication") == (200, #"["us"]"#))
      #expect(await api.status("POST", "\(base)/replication", #"["mars"]"#) == 403)
      #expect(await api.status("DELETE", "\(base)/policies") == 204)
      #expect(await api.status("GET", "\(base)/maxProducers?isGlobal=true") == 204)
    }
  }

  @Test("Lookup: every field, also when empty")
  func lookup() async throws {
    try await AdminFixture.run { api in
      let answer = await api.call("GET", "/lookup/v2/topic/persistent/public/default/t")
      #expect(
        answer
          == (
            200,
            #"{"brokerUrl":"pulsar://localhost:6650","brokerUrlTls":"","httpUrl":"http://localhost:8080","#
              + #""httpUrlTls":"","nativeUrl":"pulsar://localhost:6650"}"#
          ))
      #expect(await api.status("GET", "/lookup/v2/topic/persistent/public/nowhere/t") == 404)
      #expect(await api.call("GET", "/lookup/v2/topic/persistent/public/default/t/bundle").text.hasPrefix("0x"))
    }
  }

  @Test("Schemas")
  func schemas() async throws {
    try await AdminFixture.run { api in
      let topic = try TopicName("t")
      let record = SchemaRecord(
        version: 0, schema: SchemaDefinition(type: .json, data: Array("{}".utf8)), timestampMs: 5, isDeleted: false)
      api.broker.state.withLockedValue { $0.schemas[topic] = [record] }
      let base = "/admin/v2/schemas/public/default/t"
      let expected = #"{"data":"{}","properties":{},"timestamp":5,"type":"JSON","version":0}"#
      #expect(await api.call("GET", "\(base)/schema") == (200, expected))
      #expect(await api.call("GET", "\(base)/schema/0") == (200, expected))
      #expect(await api.status("GET", "\(base)/schema/1") == 404)
      #expect(await api.call("GET", "\(base)/schemas") == (200, #"{"getSchemaResponses":["# + expected + "]}"))
      #expect(await api.status("POST", "\(base)/schema", #"{"type":"AVRO","schema":"{}","properties":{}}"#) == 409)
      #expect(await api.status("POST", "\(base)/schema", #"{"type":"COBOL"}"#) == 400)
      #expect(
        await api.call("POST", "\(base)/compatibility", #"{"type":"JSON","schema":"{}"}"#)
          == (200, #"{"compatibility":true,"schemaCompatibilityStrategy":"FULL"}"#))
      #expect(await api.call("POST", "\(base)/version", #"{"type":"JSON","schema":"{}"}"#) == (200, #"{"version":0}"#))
      #expect(await api.call("DELETE", "\(base)/schema") == (200, #"{"version":1}"#))
    }
  }
}
