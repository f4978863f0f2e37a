import Logging
import MetadataStore
import NIOConcurrencyHelpers

/// Clusters, tenants, namespaces, topic policies and partitioned topics of a region, kept in its metadata store.
///
/// Changes are optimistic: a closure is applied to the record as it is and again if somebody else was faster. Every
/// record is also held in memory, followed by a watch, so that brokers ask `cached…` from event loops without waiting; a
/// change made through this store is in memory when the call returns. Refusals are `PolicyError`s with Pulsar's statuses.
public final class PolicyStore: Sendable {
  /// The name of the cluster that this store belongs to.
  public let localCluster: String
  let metadata: any MetadataStore
  private let logger: Logger

  private struct State: Sendable {
    var clusters = VersionedMap<String, ClusterData>()
    var tenants = VersionedMap<String, TenantInfo>()
    var namespaces = VersionedMap<NamespaceName, NamespacePolicies>()
    var topicPolicies = VersionedMap<TopicName, TopicPolicyRecord>()
    var partitionedTopics = VersionedMap<TopicName, PartitionedTopicMetadata>()
    var observers: [Int: AsyncStream<PolicyChange>.Continuation] = [:]
    var nextObserver = 0
    var follower: Task<Void, Never>?
    var isClosed = false
  }

  private let state = NIOLockedValueBox(State())

  private init(metadata: any MetadataStore, localCluster: String, logger: Logger) {
    self.metadata = metadata
    self.localCluster = localCluster
    self.logger = logger
  }

  /// Reads all records and begins to follow their changes.
  /// - Parameter localCluster: the name of this region's cluster.
  public static func open(metadata: any MetadataStore, localCluster: String, logger: Logger) async throws -> PolicyStore
  {
    let store = PolicyStore(metadata: metadata, localCluster: localCluster, logger: logger)
    let events = try await store.watchAndLoad()
    let follower = Task { [weak store] in
      var events = events
      while true {
        for await event in events {
          guard let store else { return }
          await store.follow(event)
        }
        // The watch ended: the store was closed, or it lost track and everything must be read again.
        guard let next = await store?.resume() else { return }
        events = next
      }
    }
    store.state.withLockedValue { $0.follower = follower }
    return store
  }

  /// Ends the watch and every stream of changes. The metadata store stays open.
  public func close() {
    let (follower, observers) = state.withLockedValue { state in
      state.isClosed = true
      defer { state.observers = [:] }
      return (state.follower, Array(state.observers.values))
    }
    follower?.cancel()
    for observer in observers { observer.finish() }
  }

  deinit {
    state.withLockedValue { $0.follower }?.cancel()
  }

  /// Every change from now on, wherever it was made; ends when the store is closed. Several may listen at once.
  public func changes() -> AsyncStream<PolicyChange> {
    let (stream, continuation) = AsyncStream.makeStream(of: PolicyChange.self)
    let id: Int? = state.withLockedValue { state in
      guard !state.isClosed else { return nil }
      state.nextObserver += 1
      state.observers[state.nextObserver] = continuation
      return state.nextObserver
    }
    guard let id else {
      continuation.finish()
      return stream
    }
    continuation.onTermination = { [weak self] _ in
      _ = self?.state.withLockedValue { $0.observers.removeValue(forKey: id) }
    }
    return stream
  }

  // MARK: Reads that never wait

  /// The policies of `namespace` as last seen; nil if it does not exist.
  public func cachedPolicies(for namespace: NamespaceName) -> NamespacePolicies? {
    state.withLockedValue { $0.namespaces[namespace] }
  }

  /// What is set on `topic` itself (for a partition: on its partitioned topic), local over global; nil if nothing is.
  public func cachedTopicPolicies(for topic: TopicName) -> TopicPolicies? {
    cachedTopicPolicyRecord(for: topic)?.effective
  }

  /// Both scopes of what is set on `topic` itself; nil if nothing is.
  public func cachedTopicPolicyRecord(for topic: TopicName) -> TopicPolicyRecord? {
    let topic = topic.partitionedTopic
    return state.withLockedValue { $0.topicPolicies[topic] }
  }

  /// The partitions of `topic` as last seen; nil if it is not a partitioned topic.
  public func cachedPartitions(of topic: TopicName) -> PartitionedTopicMetadata? {
    state.withLockedValue { $0.partitionedTopics[topic] }
  }

  /// The record of a cluster as last seen; nil if there is none.
  public func cachedCluster(_ name: String) -> ClusterData? {
    state.withLockedValue { $0.clusters[name] }
  }

  /// The record of a tenant as last seen; nil if there is none.
  public func cachedTenant(_ name: String) -> TenantInfo? {
    state.withLockedValue { $0.tenants[name] }
  }

  /// Names of all clusters, in order.
  public func clusters() -> [String] {
    state.withLockedValue { $0.clusters.present.map(\.key) }.sorted()
  }

  /// Names of all tenants, in order.
  public func tenants() -> [String] {
    state.withLockedValue { $0.tenants.present.map(\.key) }.sorted()
  }

  /// All namespaces, or those of one tenant, in order.
  public func namespaces(of tenant: String? = nil) -> [NamespaceName] {
    state.withLockedValue { $0.namespaces.present.map(\.key) }.filter { tenant == nil || $0.tenant == tenant }.sorted()
  }

  /// The partitioned topics of a namespace, in order.
  public func partitionedTopics(in namespace: NamespaceName, domain: TopicDomain) -> [TopicName] {
    state.withLockedValue { $0.partitionedTopics.present.map(\.key) }
      .filter { $0.namespace == namespace && $0.domain == domain }.sorted()
  }

  func allNamespaces() -> [(key: NamespaceName, value: NamespacePolicies)] {
    state.withLockedValue { $0.namespaces.present }
  }

  func allTenants() -> [(key: String, value: TenantInfo)] {
    state.withLockedValue { $0.tenants.present }
  }

  // MARK: Changes

  /// Lets `transform` decide over the record at `key` (nil: absent; returning nil removes it) until nobody else was faster.
  @discardableResult
  func update<Value: Codable & Sendable>(
    _ key: PolicyKey, _ type: Value.Type, _ transform: (Value?) throws -> Value?
  ) async throws -> Value? {
    var result: Value?
    var before: MetadataVersion?
    do {
      let record = try await metadata.update(key.path) { present in
        before = present?.version
        let value = try present.map { try PolicyJSON.decode(Value.self, from: $0.value, what: "record at \($0.key)") }
        result = try transform(value)
        return try result.map { try PolicyJSON.encode($0) }
      }
      if let record {
        absorb(record)
      } else if let before {
        remove(key, version: before)
      }
      return result
    } catch let error as MetadataError {
      throw PolicyError(.internalError, error.description)
    }
  }

  func read<Value: Codable>(_ key: PolicyKey, _ type: Value.Type) async throws -> Value? {
    do {
      guard let record = try await metadata.get(key.path) else { return nil }
      absorb(record)
      return try PolicyJSON.decode(Value.self, from: record.value, what: "record at \(key.path)")
    } catch let error as MetadataError {
      throw PolicyError(.internalError, error.description)
    }
  }

  // MARK: Following

  private func watchAndLoad() async throws -> AsyncStream<MetadataEvent> {
    let events = try await metadata.watch(prefix: PolicyKey.root)
    for record in try await metadata.list(prefix: PolicyKey.root) { absorb(record) }
    return events
  }

  private func resume() async -> AsyncStream<MetadataEvent>? {
    var pause = Duration.milliseconds(100)
    while !Task.isCancelled, !state.withLockedValue({ $0.isClosed }) {
      do {
        let events = try await metadata.watch(prefix: PolicyKey.root)
        let records = try await metadata.list(prefix: PolicyKey.root)
        for record in records { absorb(record) }
        forgetAllBut(records)
        return events
      } catch MetadataError.closed {
        return nil
      } catch {
        logger.warning("Policies cannot be followed for now: \(error)")
        try? await Task.sleep(for: pause)
        pause = min(pause * 2, .seconds(10))
      }
    }
    return nil
  }

  private func follow(_ event: MetadataEvent) async {
    guard let key = PolicyKey(path: event.key) else { return }
    switch event.kind {
    case .delete:
      remove(key, version: event.version)
    case .put:
      do {
        // Absent: a removal followed, and its event will come.
        if let record = try await metadata.get(event.key) { absorb(record) }
      } catch {
        logger.warning("Cannot read the changed record \(event.key): \(error)")
      }
    }
  }

  private func absorb(_ record: MetadataRecord) {
    guard let key = PolicyKey(path: record.key) else { return }
    do {
      func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        try PolicyJSON.decode(type, from: record.value, what: "record at \(record.key)")
      }
      switch key {
      case .cluster(let name):
        let value = try decode(ClusterData.self)
        publish(key) { $0.clusters.apply(name, value, version: record.version) }
      case .tenant(let name):
        let value = try decode(TenantInfo.self)
        publish(key) { $0.tenants.apply(name, value, version: record.version) }
      case .namespace(let name):
        let value = try decode(NamespacePolicies.self)
        publish(key) { $0.namespaces.apply(name, value, version: record.version) }
      case .topicPolicies(let name):
        let value = try decode(TopicPolicyRecord.self)
        publish(key) { $0.topicPolicies.apply(name, value, version: record.version) }
      case .partitionedTopic(let name):
        let value = try decode(PartitionedTopicMetadata.self)
        publish(key) { $0.partitionedTopics.apply(name, value, version: record.version) }
      }
    } catch {
      logger.error("Ignoring an unreadable record: \(error)")
    }
  }

  private func remove(_ key: PolicyKey, version: MetadataVersion) {
    publish(key) { state in
      switch key {
      case .cluster(let name): state.clusters.apply(name, nil, version: version)
      case .tenant(let name): state.tenants.apply(name, nil, version: version)
      case .namespace(let name): state.namespaces.apply(name, nil, version: version)
      case .topicPolicies(let name): state.topicPolicies.apply(name, nil, version: version)
      case .partitionedTopic(let name): state.partitionedTopics.apply(name, nil, version: version)
      }
    }
  }

  private func publish(_ key: PolicyKey, _ change: (inout State) -> Bool) {
    let observers = state.withLockedValue { state in
      change(&state) ? Array(state.observers.values) : []
    }
    for observer in observers { observer.yield(key.change) }
  }

  private func forgetAllBut(_ records: [MetadataRecord]) {
    let keys = Set(records.compactMap { PolicyKey(path: $0.key) })
    let newest = records.map(\.version).max() ?? MetadataVersion(rawValue: 0)
    let known = state.withLockedValue { state in
      state.clusters.present.map { PolicyKey.cluster($0.key) } + state.tenants.present.map { .tenant($0.key) }
        + state.namespaces.present.map { .namespace($0.key) }
        + state.topicPolicies.present.map { .topicPolicies($0.key) }
        + state.partitionedTopics.present.map { .partitionedTopic($0.key) }
    }
    for key in known where !keys.contains(key) { remove(key, version: newest) }
  }
}
