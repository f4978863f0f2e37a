extension PolicyStore {
  /// What a fresh region needs: the record of its own cluster (its addresses are brought up to date on every start), the
  /// tenant `public`, and the namespace `public/default`. What exists is left as it is.
  public func bootstrap(cluster: ClusterData) async throws {
    try cluster.validate()
    try await update(.cluster(localCluster), ClusterData.self) { present in
      guard var data = present else { return cluster }
      data.serviceUrl = cluster.serviceUrl
      data.serviceUrlTls = cluster.serviceUrlTls
      data.brokerServiceUrl = cluster.brokerServiceUrl
      data.brokerServiceUrlTls = cluster.brokerServiceUrlTls
      return data
    }
    try await update(.tenant("public"), TenantInfo.self) { present in
      present ?? TenantInfo(allowedClusters: [localCluster])
    }
    if try await read(.namespace(.publicDefault), NamespacePolicies.self) == nil {
      do {
        try await createNamespace(.publicDefault)
      } catch let error as PolicyError where error.kind == .conflict {
        // Another broker of the region was faster.
      }
    }
  }
}
