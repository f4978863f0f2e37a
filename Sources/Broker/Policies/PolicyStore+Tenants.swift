extension PolicyStore {
  /// The record of a tenant; throws `notFound`.
  public func tenant(_ name: String) async throws -> TenantInfo {
    guard NamespaceName.isValidPart(name), let info = try await read(.tenant(name), TenantInfo.self) else {
      throw PolicyError(.notFound, "Tenant does not exist: \(name)")
    }
    return info
  }

  /// Creates a tenant; throws `conflict` if it exists, `preconditionFailed` for a bad name or unknown clusters.
  public func createTenant(_ name: String, _ info: TenantInfo) async throws {
    guard NamespaceName.isValidPart(name) else {
      throw PolicyError(.preconditionFailed, "Tenant name is not valid: \"\(name)\"; use letters, digits and -=:._")
    }
    let info = try validated(info)
    try await update(.tenant(name), TenantInfo.self) { present in
      guard present == nil else { throw PolicyError(.conflict, "Tenant already exists: \(name)") }
      return info
    }
  }

  /// Replaces a tenant's record; throws `notFound`, `preconditionFailed`, and `conflict` if a namespace of the tenant uses
  /// a cluster that would no longer be allowed.
  public func updateTenant(_ name: String, _ info: TenantInfo) async throws {
    let info = try validated(info)
    for (namespace, policies) in allNamespaces() where namespace.tenant == name {
      if let cluster = policies.replicationClusters.first(where: { !info.allowedClusters.contains($0) }) {
        throw PolicyError(.conflict, "Namespace \(namespace) is replicated to \(cluster), which would not be allowed")
      }
    }
    try await update(.tenant(name), TenantInfo.self) { present in
      guard present != nil else { throw PolicyError(.notFound, "Tenant does not exist: \(name)") }
      return info
    }
  }

  /// Deletes a tenant; throws `notFound`, and `conflict` while it has namespaces.
  public func deleteTenant(_ name: String) async throws {
    if let namespace = namespaces(of: name).first {
      throw PolicyError(.conflict, "The tenant still has active namespaces, for example \(namespace)")
    }
    try await update(.tenant(name), TenantInfo.self) { present in
      guard present != nil else { throw PolicyError(.notFound, "Tenant does not exist: \(name)") }
      return nil
    }
  }

  private func validated(_ info: TenantInfo) throws(PolicyError) -> TenantInfo {
    guard !info.allowedClusters.isEmpty else {
      throw PolicyError(.preconditionFailed, "Clusters can not be empty: name at least one in allowedClusters")
    }
    let unknown = info.allowedClusters.filter { cachedCluster($0) == nil }
    guard unknown.isEmpty else {
      throw PolicyError(.preconditionFailed, "Clusters do not exist: \(unknown.joined(separator: ", "))")
    }
    return TenantInfo(adminRoles: unique(info.adminRoles), allowedClusters: unique(info.allowedClusters))
  }
}
