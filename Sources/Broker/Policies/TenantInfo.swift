/// Who administers a tenant and which clusters its namespaces may use.
public struct TenantInfo: Codable, Hashable, Sendable {
  /// Roles with administrative rights on the tenant.
  @Defaulted public var adminRoles: [String] = []
  /// Clusters that the tenant's namespaces may name.
  @Defaulted public var allowedClusters: [String] = []

  /// Creates a record.
  public init(adminRoles: [String] = [], allowedClusters: [String] = []) {
    self.adminRoles = adminRoles
    self.allowedClusters = allowedClusters
  }
}
