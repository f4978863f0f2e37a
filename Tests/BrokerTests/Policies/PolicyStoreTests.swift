import Logging
import MetadataStore
import TestSupport
import Testing

@testable import Broker

@Suite("The policy store")
struct PolicyStoreTests {
  private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  private func withStore(_ body: (PolicyStore, RocksDBStore) async throws -> Void) async throws {
    try await TemporaryDirectory.with { directory in
      let metadata = try await RocksDBStore.open(path: directory.file("metadata"))
      let store = try await PolicyStore.open(metadata: metadata, localCluster: "us", logger: logger)
      try await store.bootstrap(
        cluster: ClusterData(serviceUrl: "http://localhost:8080", brokerServiceUrl: "pulsar://localhost:6650"))
      try await body(store, metadata)
      store.close()
      try await metadata.close()
    }
  }

  private func status(_ body: () async throws -> Void) async -> Int? {
    do {
      try await body()
      return nil
    } catch let error as PolicyError {
      return error.status
    } catch {
      Issue.record("Not a policy error: \(error)")
      return nil
    }
  }

  @Test("A fresh region has its cluster, public and public/default; a second start changes nothing")
  func bootstrap() async throws {
    try await withStore { store, _ in
      #expect(store.clusters() == ["us"])
      #expect(store.tenants() == ["public"])
      #expect(store.namespaces() == [.publicDefault])
      #expect(store.cachedPolicies(for: .publicDefault)?.replicationClusters == ["us"])
      #expect(store.cachedPolicies(for: .publicDefault)?.bundles?.numBundles == 4)
      try await store.updateNamespace(.publicDefault) { $0.messageTTLInSeconds = 5 }
      try await store.bootstrap(cluster: ClusterData(serviceUrl: "http://localhost:9", brokerServiceUrl: nil))
      #expect(store.cachedPolicies(for: .publicDefault)?.messageTTLInSeconds == 5)
      #expect(store.cachedCluster("us")?.serviceUrl == "http://localhost:9")
    }
  }

  @Test("Statuses of clusters and tenants")
  func clustersAndTenants() async throws {
    try await withStore { store, _ in
      #expect(await status { try await store.createCluster("us", ClusterData()) } == 409)
      #expect(await status { try await store.createCluster("a/b", ClusterData()) } == 412)
      #expect(await status { _ = try await store.cluster("nowhere") } == 404)
      #expect(
        await status { try await store.createCluster("eu", ClusterData(serviceUrl: "ftp://x", brokerServiceUrl: nil)) }
          == 400)
      try await store.createCluster("eu", ClusterData())
      #expect(await status { try await store.createTenant("t", TenantInfo()) } == 412)
      #expect(await status { try await store.createTenant("t", TenantInfo(allowedClusters: ["mars"])) } == 412)
      try await store.createTenant("t", TenantInfo(allowedClusters: ["us", "eu", "us"]))
      #expect(store.cachedTenant("t")?.allowedClusters == ["us", "eu"])
      #expect(await status { try await store.createTenant("t", TenantInfo(allowedClusters: ["us"])) } == 409)
      #expect(await status { try await store.deleteCluster("eu") } == 412)
      #expect(await status { try await store.deleteTenant("public") } == 409)
      try await store.deleteTenant("t")
      try await store.deleteCluster("eu")
      #expect(await status { try await store.deleteTenant("t") } == 404)
      #expect(await status { try await store.deleteCluster("eu") } == 404)
    }
  }

  @Test("Statuses of namespaces and their clusters")
  func namespaces() async throws {
    try await withStore { store, _ in
      try await store.createCluster("eu", ClusterData())
      try await store.createCluster("ap", ClusterData())
      try await store.createTenant("t", TenantInfo(allowedClusters: ["us", "eu"]))
      let name = try NamespaceName("t/n")
      #expect(await status { _ = try await store.policies(for: name) } == 404)
      #expect(await status { try await store.createNamespace(try NamespaceName("x/n")) } == 404)
      #expect(
        await status { try await store.createNamespace(name, NamespacePolicies(replicationClusters: ["mars"])) } == 403)
      try await store.createNamespace(name)
      #expect(await status { try await store.createNamespace(name) } == 409)
      #expect(await status { try await store.setReplicationClusters(name, []) } == 412)
      #expect(await status { try await store.setReplicationClusters(name, ["us", "ap"]) } == 403)
      try await store.setAllowedClusters(name, ["us"])
      #expect(await status { try await store.setReplicationClusters(name, ["us", "eu"]) } == 400)
      try await store.setAllowedClusters(name, [])
      try await store.setPeers(of: "us", ["eu"])
      #expect(await status { try await store.setReplicationClusters(name, ["us", "eu"]) } == 409)
      try await store.setPeers(of: "us", [])
      try await store.setReplicationClusters(name, ["us", "eu"])
      #expect(store.cachedPolicies(for: name)?.replicationClusters == ["us", "eu"])
    }
  }

  @Test("Concurrent updates are all applied")
  func conflicts() async throws {
    try await withStore { store, _ in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<20 {
          group.addTask {
            try await store.updateNamespace(.publicDefault) {
              $0.maxTopicsPerNamespace = ($0.maxTopicsPerNamespace ?? 0) + 1
            }
          }
        }
        try await group.waitForAll()
      }
      #expect(try await store.policies(for: .publicDefault).maxTopicsPerNamespace == 20)
      #expect(store.cachedPolicies(for: .publicDefault)?.maxTopicsPerNamespace == 20)
    }
  }

  @Test("A change made elsewhere arrives in memory and is told")
  func following() async throws {
    try await withStore { store, metadata in
      let other = try await PolicyStore.open(metadata: metadata, localCluster: "us", logger: logger)
      let changes = other.changes()
      try await store.updateNamespace(.publicDefault) { $0.maxProducersPerTopic = 3 }
      var told = changes.makeAsyncIterator()
      #expect(await told.next() == .namespace(.publicDefault))
      #expect(other.cachedPolicies(for: .publicDefault)?.maxProducersPerTopic == 3)
      other.close()
      #expect(await told.next() == nil)
    }
  }

  @Test("Topic policies and partitioned topics, and their end with the namespace")
  func topics() async throws {
    try await withStore { store, _ in
      let topic = try TopicName("persistent://public/default/with space/and slash")
      try await store.createPartitionedTopic(topic, PartitionedTopicMetadata(partitions: 3))
      #expect(
        await status { try await store.createPartitionedTopic(topic, PartitionedTopicMetadata(partitions: 3)) } == 409)
      #expect(store.cachedPartitions(of: topic)?.partitions == 3)
      #expect(store.partitionedTopics(in: .publicDefault, domain: .persistent) == [topic])
      try await store.updateTopicPolicies(topic.partition(1)) { $0.maxConsumerPerTopic = 2 }
      try await store.updateTopicPolicies(topic, isGlobal: true) { $0.messageTTLInSeconds = 9 }
      #expect(store.cachedTopicPolicies(for: topic.partition(2))?.maxConsumerPerTopic == 2)
      #expect(store.cachedTopicPolicies(for: topic)?.messageTTLInSeconds == 9)
      try await store.deleteNamespace(.publicDefault)
      #expect(store.cachedPolicies(for: .publicDefault) == nil)
      #expect(store.cachedPartitions(of: topic) == nil)
      #expect(store.cachedTopicPolicies(for: topic) == nil)
      #expect(
        await status { try await store.updateTopicPolicies(topic) { $0.maxConsumerPerTopic = 1 } } == 404)
    }
  }

  @Test("What was stored is there again after a restart")
  func restart() async throws {
    try await TemporaryDirectory.with { directory in
      let path = directory.file("metadata")
      var metadata = try await RocksDBStore.open(path: path)
      var store = try await PolicyStore.open(metadata: metadata, localCluster: "us", logger: logger)
      try await store.bootstrap(cluster: ClusterData())
      try await store.updateNamespace(.publicDefault) { $0.encryptionRequired = true }
      store.close()
      try await metadata.close()
      metadata = try await RocksDBStore.open(path: path)
      store = try await PolicyStore.open(metadata: metadata, localCluster: "us", logger: logger)
      #expect(store.cachedPolicies(for: .publicDefault)?.encryptionRequired == true)
      store.close()
      try await metadata.close()
    }
  }
}
