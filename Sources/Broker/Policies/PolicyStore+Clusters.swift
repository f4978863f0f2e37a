extension PolicyStore {
  /// The record of a cluster; throws `notFound`.
  public func cluster(_ name: String) async throws -> ClusterData {
    guard let data = try await read(.cluster(name), ClusterData.self) else {
      throw PolicyError(.notFound, "Cluster does not exist: \(name)")
    }
    return data
  }

  /// Creates a cluster; throws `conflict` if it exists, `preconditionFailed` for a bad name.
  public func createCluster(_ name: String, _ data: ClusterData) async throws {
    guard NamespaceName.isValidPart(name) else {
      throw PolicyError(.preconditionFailed, "Cluster name is not valid: \"\(name)\"; use letters, digits and -=:._")
    }
    try data.validate()
    try await update(.cluster(name), ClusterData.self) { present in
      guard present == nil else { throw PolicyError(.conflict, "Cluster already exists: \(name)") }
      return data
    }
  }

  /// Changes a cluster; throws `notFound`.
  @discardableResult
  public func updateCluster(_ name: String, _ change: (inout ClusterData) throws -> Void) async throws -> ClusterData {
    let changed = try await update(.cluster(name), ClusterData.self) { present in
      guard var data = present else { throw PolicyError(.notFound, "Cluster does not exist: \(name)") }
      try change(&data)
      try data.validate()
      return data
    }
    return changed ?? ClusterData()
  }

  /// Replaces the peers of a cluster; throws `preconditionFailed` for an unknown peer or itself.
  public func setPeers(of name: String, _ peers: [String]) async throws {
    for peer in peers {
      guard peer != name else { throw PolicyError(.preconditionFailed, "\(name) can't be its own peer") }
      guard cachedCluster(peer) != nil else {
        throw PolicyError(.preconditionFailed, "Peer cluster \(peer) does not exist")
      }
    }
    try await updateCluster(name) { $0.peerClusterNames = unique(peers) }
  }

  /// Deletes a cluster; throws `notFound`, and `preconditionFailed` while a tenant or a namespace names it.
  public func deleteCluster(_ name: String) async throws {
    if let user = allTenants().first(where: { $0.value.allowedClusters.contains(name) })?.key {
      throw PolicyError(.preconditionFailed, "Cluster not empty: tenant \(user) allows \(name)")
    }
    if let user = allNamespaces().first(where: {
      $0.value.replicationClusters.contains(name) || $0.value.allowedClusters.contains(name)
    })?.key {
      throw PolicyError(.preconditionFailed, "Cluster not empty: namespace \(user) uses \(name)")
    }
    try await update(.cluster(name), ClusterData.self) { present in
      guard present != nil else { throw PolicyError(.notFound, "Cluster does not exist: \(name)") }
      return nil
    }
  }

  /// The values once each, in order of first appearance.
  func unique(_ values: [String]) -> [String] {
    var seen: Set<String> = []
    return values.filter { seen.insert($0).inserted }
  }
}
