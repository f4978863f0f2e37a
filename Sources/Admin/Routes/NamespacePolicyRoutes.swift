import Broker

/// `/admin/v2/namespaces/{tenant}/{namespace}/{policy}`: the table of policies, and the few that need more than a field.
struct NamespacePolicyRoutes {
  var services: AdminServices

  func register(_ routes: inout RouteBuilder) {
    let services = services
    let policies = services.policies
    let cluster = services.localCluster
    let one = "\(AdminRoutes.base)/namespaces/:tenant/:namespace"
    for endpoint in NamespacePolicyEndpoint.all {
      routes.get("\(one)/\(endpoint.path)") { request in
        try endpoint.get(await policies.policies(for: try request.namespace), cluster)
      }
      routes.set("\(one)/\(endpoint.path)") { request in
        if endpoint.path == "persistence" {
          try await services.check(try request.value(PersistencePolicies.self, endpoint.path))
        }
        try await policies.updateNamespace(try request.namespace) { try endpoint.set(&$0, request, cluster) }
        return .noContent
      }
      routes.delete("\(one)/\(endpoint.path)") { request in
        try await policies.updateNamespace(try request.namespace) { endpoint.clear(&$0, cluster) }
        return .noContent
      }
    }
    registerClusters(&routes, one)
    registerProperties(&routes, one)
  }

  private func registerClusters(_ routes: inout RouteBuilder, _ one: String) {
    let policies = services.policies
    routes.get("\(one)/replication") { request in
      try .json(await policies.policies(for: try request.namespace).replicationClusters)
    }
    routes.post("\(one)/replication") { request in
      try await policies.setReplicationClusters(
        try request.namespace, request.isBodyEmpty ? [] : try request.json([String].self, "list of clusters"))
      return .noContent
    }
    routes.get("\(one)/allowedClusters") { request in
      try .json(await policies.policies(for: try request.namespace).allowedClusters)
    }
    routes.post("\(one)/allowedClusters") { request in
      try await policies.setAllowedClusters(
        try request.namespace, request.isBodyEmpty ? [] : try request.json([String].self, "list of clusters"))
      return .noContent
    }
    routes.post("\(one)/resourcegroup/:group") { request in
      let group = try request.parameter("group")
      try await policies.updateNamespace(try request.namespace) { $0.resourceGroupName = group }
      return .noContent
    }
  }

  private func registerProperties(_ routes: inout RouteBuilder, _ one: String) {
    let policies = services.policies
    // Setting properties adds to those that are there; the table's replacing form is not Pulsar's.
    routes.set("\(one)/properties") { request in
      let properties = try request.json([String: String].self, "properties")
      try await policies.updateNamespace(try request.namespace) { $0.properties.merge(properties) { $1 } }
      return .noContent
    }
    routes.get("\(one)/property/:key") { request in
      let key = try request.parameter("key")
      return try .optional(await policies.policies(for: try request.namespace).properties[key])
    }
    routes.set("\(one)/property/:key/:value") { request in
      let key = try request.parameter("key")
      let value = try request.parameter("value")
      try await policies.updateNamespace(try request.namespace) { $0.properties[key] = value }
      return .noContent
    }
    routes.delete("\(one)/property/:key") { request in
      let key = try request.parameter("key")
      var removed: String?
      try await policies.updateNamespace(try request.namespace) { removed = $0.properties.removeValue(forKey: key) }
      return try .optional(removed)
    }
  }
}
