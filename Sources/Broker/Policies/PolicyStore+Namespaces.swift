extension PolicyStore {
  /// Bundles of a namespace whose creator names no number (`defaultNumberOfNamespaceBundles`).
  public static let defaultNumberOfNamespaceBundles = 4

  /// The policies of a namespace; throws `notFound`.
  public func policies(for namespace: NamespaceName) async throws -> NamespacePolicies {
    guard let policies = try await read(.namespace(namespace), NamespacePolicies.self) else {
      throw Self.missing(namespace)
    }
    return policies
  }

  /// Creates a namespace. Replication clusters default to the local cluster, bundles to four.
  /// Throws `notFound` for the tenant, `conflict` if the namespace exists, and as `validate` does.
  public func createNamespace(_ namespace: NamespaceName, _ policies: NamespacePolicies = .init()) async throws {
    guard try await read(.tenant(namespace.tenant), TenantInfo.self) != nil else {
      throw PolicyError(.notFound, "Tenant does not exist: \(namespace.tenant)")
    }
    var policies = policies
    policies.deleted = false
    if policies.replicationClusters.isEmpty {
      policies.replicationClusters = [localCluster]
    } else {
      policies.replicationClusters = unique(policies.replicationClusters)
      try validateReplication(policies, of: namespace)
    }
    try policies.check()
    let bundles = policies.bundles?.numBundles ?? 0
    if bundles <= 0 {
      policies.bundles = BundlesData(count: Self.defaultNumberOfNamespaceBundles)
    } else if bundles > 65_536 {
      throw PolicyError(.badRequest, "Invalid number of bundles \(bundles): between 1 and 65536 are possible")
    } else if policies.bundles?.boundaries.count != bundles + 1 {
      policies.bundles = BundlesData(count: bundles)
    }
    let created = policies
    try await update(.namespace(namespace), NamespacePolicies.self) { present in
      guard present == nil else { throw PolicyError(.conflict, "Namespace already exists: \(namespace)") }
      return created
    }
  }

  /// Changes the policies of a namespace: `change` gets them as they are, and again if somebody else was faster.
  /// Throws `notFound`, what `change` throws, and `preconditionFailed` for values that make no sense. Returns the policies
  /// as stored.
  @discardableResult
  public func updateNamespace(
    _ namespace: NamespaceName, _ change: (inout NamespacePolicies) throws -> Void
  ) async throws -> NamespacePolicies {
    let changed = try await update(.namespace(namespace), NamespacePolicies.self) { present in
      guard let present else { throw Self.missing(namespace) }
      var policies = present
      try change(&policies)
      try policies.check(insteadOf: present)
      return policies
    }
    return changed ?? NamespacePolicies()
  }

  /// Replaces the replication clusters; statuses as Pulsar's `set-clusters`.
  public func setReplicationClusters(_ namespace: NamespaceName, _ clusters: [String]) async throws {
    try await updateNamespace(namespace) { policies in
      policies.replicationClusters = unique(clusters)
      try validateReplication(policies, of: namespace)
    }
  }

  /// Replaces the allowed clusters; they must hold the replication clusters (`badRequest`), unless empty.
  public func setAllowedClusters(_ namespace: NamespaceName, _ clusters: [String]) async throws {
    try await updateNamespace(namespace) { policies in
      policies.allowedClusters = unique(clusters)
      for cluster in policies.allowedClusters where cachedCluster(cluster) == nil {
        throw PolicyError(.forbidden, "Invalid cluster id: \(cluster)")
      }
      try validateReplication(policies, of: namespace)
    }
  }

  /// Deletes a namespace with its topic policies and partitioned-topic records; throws `notFound`. Topics are the caller's.
  public func deleteNamespace(_ namespace: NamespaceName) async throws {
    guard try await read(.namespace(namespace), NamespacePolicies.self) != nil else { throw Self.missing(namespace) }
    // The namespace goes last: a crash in between leaves something that can be deleted again.
    for prefix in [PolicyKey.topicPolicies, PolicyKey.partitionedTopics] {
      for path in try await metadata.keys(prefix: "\(prefix)\(namespace)/") {
        switch PolicyKey(path: path) {
        case .topicPolicies(let topic): try await deleteTopicPolicies(topic)
        case .partitionedTopic(let topic): try await removePartitionedTopic(topic)
        default: try await metadata.delete(path)
        }
      }
    }
    try await update(.namespace(namespace), NamespacePolicies.self) { present in
      guard present != nil else { throw Self.missing(namespace) }
      return nil
    }
  }

  /// Whether `policies` may replicate as they say: known clusters (403), allowed to the tenant (403) and by the namespace
  /// (400), no cluster beside its peer (409), not empty (412).
  func validateReplication(_ policies: NamespacePolicies, of namespace: NamespaceName) throws(PolicyError) {
    let clusters = policies.replicationClusters
    guard !clusters.isEmpty else {
      throw PolicyError(.preconditionFailed, "ClusterIds should not be null or empty")
    }
    try validate(clusters: clusters, of: namespace)
    if !policies.allowedClusters.isEmpty {
      for cluster in clusters where !policies.allowedClusters.contains(cluster) {
        throw PolicyError(
          .badRequest, "Cluster [\(cluster)] is not in the list of allowed clusters of namespace \(namespace)")
      }
    }
  }

  /// As `validateReplication`, for a list of clusters that may stand on a namespace or on one of its topics.
  public func validate(clusters: [String], of namespace: NamespaceName) throws(PolicyError) {
    let tenant = cachedTenant(namespace.tenant)
    for cluster in clusters {
      guard let data = cachedCluster(cluster) else {
        throw PolicyError(.forbidden, "Invalid cluster id: \(cluster); create the cluster first")
      }
      if let tenant, !tenant.allowedClusters.isEmpty, !tenant.allowedClusters.contains(cluster) {
        throw PolicyError(
          .forbidden, "Cluster [\(cluster)] is not in the list of allowed clusters of tenant [\(namespace.tenant)]")
      }
      if let peer = data.peerClusterNames?.first(where: { clusters.contains($0) }) {
        throw PolicyError(
          .conflict, "\(cluster)'s peer-cluster \(peer) can't be part of replication clusters \(clusters)")
      }
    }
  }

  static func missing(_ namespace: NamespaceName) -> PolicyError {
    PolicyError(.notFound, "Namespace does not exist: \(namespace)")
  }
}
