import Broker

/// `/admin/v2/tenants`
struct TenantRoutes {
  var services: AdminServices

  func register(_ routes: inout RouteBuilder) {
    let policies = services.policies
    let base = AdminRoutes.base + "/tenants"
    let services = services
    routes.get(base) { _ in try .json(policies.tenants()) }
    routes.get("\(base)/:tenant") { request in
      try .json(await policies.tenant(try request.parameter("tenant")))
    }
    routes.put("\(base)/:tenant") { request in
      try await policies.createTenant(try request.parameter("tenant"), try request.json(TenantInfo.self, "tenant info"))
      return .noContent
    }
    routes.post("\(base)/:tenant") { request in
      try await policies.updateTenant(try request.parameter("tenant"), try request.json(TenantInfo.self, "tenant info"))
      return .noContent
    }
    routes.delete("\(base)/:tenant") { request in
      let tenant = try request.parameter("tenant")
      if try request.flag("force") {
        _ = try await policies.tenant(tenant)
        for namespace in policies.namespaces(of: tenant) {
          try await NamespaceRoutes.delete(namespace, force: true, services)
        }
      }
      try await policies.deleteTenant(tenant)
      return .noContent
    }
  }
}
