import Testing

@testable import Broker

@Suite("Policies as JSON")
struct PolicyCodingTests {
  private func decode<Value: Decodable>(_ type: Value.Type, _ json: String) throws -> Value {
    try PolicyJSON.decode(type, from: Array(json.utf8), what: "value")
  }

  private func text(_ value: some Encodable) throws -> String {
    String(decoding: try PolicyJSON.encode(value), as: UTF8.self)
  }

  @Test("A value that is none of those possible is named, and not called bad JSON")
  func unknownValue() throws {
    func reason(_ json: String) -> String? {
      do {
        _ = try decode(SchemaCompatibilityStrategy.self, json)
        return nil
      } catch {
        return "\(error)"
      }
    }
    #expect(reason(#""FULL""#) == nil)
    let unknown = try #require(reason(#""NO""#))
    #expect(unknown.contains("NO") && !unknown.contains("not valid JSON"), "\(unknown)")
    let broken = try #require(reason(#""FU"#))
    #expect(broken.contains("not valid JSON"), "\(broken)")
  }

  @Test("A namespace as Pulsar writes it")
  func namespace() throws {
    let policies = try decode(
      NamespacePolicies.self,
      """
      {"auth_policies":{"namespace_auth":{"anonymous":["produce","consume"]},"destination_auth":{},
       "subscription_auth_roles":{}},"replication_clusters":["us","eu"],"allowed_clusters":[],
       "bundles":{"boundaries":["0x00000000","0x80000000","0xffffffff"],"numBundles":2},
       "backlog_quota_map":{"destination_storage":{"limit":10,"limitSize":10,"limitTime":-1,
       "policy":"producer_request_hold"}},"clusterDispatchRate":{},
       "topicDispatchRate":{"us":{"dispatchThrottlingRateInMsg":5,"dispatchThrottlingRateInByte":-1,
       "relativeToPublishRate":false,"ratePeriodInSecond":1}},
       "persistence":{"bookkeeperEnsemble":3,"bookkeeperWriteQuorum":2,"bookkeeperAckQuorum":2,
       "managedLedgerMaxMarkDeleteRate":0.0},"deduplicationEnabled":true,"message_ttl_in_seconds":60,
       "retention_policies":{"retentionTimeInMinutes":10,"retentionSizeInMB":-1},"deleted":false,
       "encryption_required":true,"subscription_auth_mode":"None","max_producers_per_topic":7,
       "schema_compatibility_strategy":"FULL","is_allow_auto_update_schema":null,"schema_validation_enforced":false,
       "unknown_field_of_the_future":{"a":[1,2]}}
      """)
    #expect(policies.replicationClusters == ["us", "eu"])
    #expect(policies.authPolicies?.namespaceAuth == ["anonymous": ["produce", "consume"]])
    #expect(policies.bundles?.numBundles == 2)
    #expect(policies.backlogQuotaMap["destination_storage"]?.limitSize == 10)
    #expect(policies.topicDispatchRate["us"]?.dispatchThrottlingRateInMsg == 5)
    #expect(policies.persistence == PersistencePolicies(ensemble: 3, writeQuorum: 2, ackQuorum: 2))
    #expect(policies.deduplicationEnabled == true)
    #expect(policies.messageTTLInSeconds == 60)
    #expect(policies.retentionPolicies == RetentionPolicies(retentionTimeInMinutes: 10, retentionSizeInMB: -1))
    #expect(policies.encryptionRequired)
    #expect(policies.maxProducersPerTopic == 7)
    #expect(policies.schemaCompatibilityStrategy == .full)
    #expect(policies.isAllowAutoUpdateSchema == nil)
    #expect(try decode(NamespacePolicies.self, try text(policies)) == policies)
  }

  @Test("What is not set is not written")
  func omitsNull() throws {
    let json = try text(NamespacePolicies(replicationClusters: ["us"]))
    #expect(json.contains(#""replication_clusters":["us"]"#))
    #expect(!json.contains("null"))
    #expect(!json.contains("max_producers_per_topic"))
    #expect(
      try text(ClusterData(serviceUrl: "http://a:1", brokerServiceUrl: nil)).contains("brokerServiceUrl") == false)
  }

  @Test("A wrong type is told by field")
  func badType() throws {
    #expect {
      try decode(NamespacePolicies.self, #"{"max_producers_per_topic":"many"}"#)
    } throws: { error in
      guard let error = error as? PolicyError else { return false }
      return error.status == 400 && error.reason.contains("max_producers_per_topic")
        && error.reason.contains("a number")
    }
    #expect(throws: PolicyError.self) { try decode(NamespacePolicies.self, "{") }
    #expect(throws: PolicyError.self) { try decode(BacklogQuota.self, #"{"limitSize":1}"#) }
    #expect(throws: PolicyError.self) { try decode(BacklogQuota.self, #"{"policy":"no_such"}"#) }
  }

  @Test("Absent fields of small policies take Pulsar's defaults")
  func defaults() throws {
    #expect(try decode(DispatchRate.self, #"{"dispatchThrottlingRateInMsg":9}"#).ratePeriodInSecond == 1)
    #expect(try decode(DispatchRate.self, "{}").dispatchThrottlingRateInByte == -1)
    #expect(try decode(PersistencePolicies.self, "{}").bookkeeperAckQuorum == 2)
    #expect(try decode(BacklogQuota.self, #"{"limit":5,"policy":"producer_exception"}"#).limitSize == 5)
    #expect(try decode(TenantInfo.self, "{}") == TenantInfo())
    #expect(try decode(PartitionedTopicMetadata.self, #"{"partitions":4}"#).partitions == 4)
  }

  @Test("Checks of single policies")
  func checks() {
    #expect(throws: PolicyError.self) {
      try PersistencePolicies(ensemble: 1, writeQuorum: 2, ackQuorum: 1).check()
    }
    #expect(throws: PolicyError.self) { try RetentionPolicies(retentionTimeInMinutes: 0, retentionSizeInMB: 5).check() }
    #expect(throws: Never.self) { try RetentionPolicies(retentionTimeInMinutes: -1, retentionSizeInMB: -1).check() }
    #expect(throws: PolicyError.self) {
      try AutoTopicCreationOverride(allowAutoTopicCreation: true, topicType: "partitioned").check()
    }
  }

  @Test("Bundles cover the whole range")
  func bundles() {
    #expect(
      BundlesData(count: 4).boundaries == ["0x00000000", "0x40000000", "0x80000000", "0xc0000000", "0xffffffff"])
    #expect(BundlesData(count: 1).boundaries == ["0x00000000", "0xffffffff"])
  }

  @Test("Local topic policies come before global ones")
  func topicScopes() {
    var record = TopicPolicyRecord()
    record.global.messageTTLInSeconds = 10
    record.global.maxMessageSize = 5
    record.local.messageTTLInSeconds = 3
    #expect(record.effective.messageTTLInSeconds == 3)
    #expect(record.effective.maxMessageSize == 5)
  }

  @Test("Any JSON survives")
  func anyJSON() throws {
    let json = #"{"a":[1,2.5,true,null,"x"],"b":{"c":-9007199254740993}}"#
    #expect(try text(try decode(JSONValue.self, json)) == json)
  }
}
