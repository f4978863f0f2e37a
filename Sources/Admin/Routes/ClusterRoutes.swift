import Broker

/// `/admin/v2/clusters`
struct ClusterRoutes {
  var services: AdminServices

  func register(_ routes: inout RouteBuilder) {
    let policies = services.policies
    let base = AdminRoutes.base + "/clusters"
    routes.get(base) { _ in try .json(policies.clusters()) }
    routes.get("\(base)/:cluster") { request in
      try .json(await policies.cluster(try request.parameter("cluster")))
    }
    routes.put("\(base)/:cluster") { request in
      try await policies.createCluster(
        try request.parameter("cluster"), try request.json(ClusterData.self, "cluster data"))
      return .noContent
    }
    routes.post("\(base)/:cluster") { request in
      let data = try request.json(ClusterData.self, "cluster data")
      try await policies.updateCluster(try request.parameter("cluster")) { present in
        let peers = present.peerClusterNames
        present = data
        // Peers have an endpoint of their own.
        present.peerClusterNames = data.peerClusterNames ?? peers
      }
      return .noContent
    }
    routes.delete("\(base)/:cluster") { request in
      try await policies.deleteCluster(try request.parameter("cluster"))
      return .noContent
    }
    routes.get("\(base)/:cluster/peers") { request in
      try .json(await policies.cluster(try request.parameter("cluster")).peerClusterNames ?? [])
    }
    routes.post("\(base)/:cluster/peers") { request in
      let peers = request.isBodyEmpty ? [] : try request.json([String].self, "list of peers")
      try await policies.setPeers(of: try request.parameter("cluster"), peers)
      return .noContent
    }
    routes.get("\(base)/:cluster/migrate") { request in
      let data = try await policies.cluster(try request.parameter("cluster"))
      return try .json(ClusterMigration(migrated: data.migrated ?? false, migratedClusterUrl: data.migratedClusterUrl))
    }
    routes.post("\(base)/:cluster/migrate") { request in
      let migrated = try request.flag("migrated")
      let url = request.isBodyEmpty ? nil : try request.json(ClusterUrl.self, "cluster addresses")
      try await policies.updateCluster(try request.parameter("cluster")) { data in
        data.migrated = migrated
        data.migratedClusterUrl = url
      }
      return .noContent
    }
    routes.get("\(base)/:cluster/failureDomains") { request in
      _ = try await policies.cluster(try request.parameter("cluster"))
      return try .json([String: String]())
    }
    routes.get("\(base)/:cluster/namespaceIsolationPolicies") { request in
      _ = try await policies.cluster(try request.parameter("cluster"))
      return try .json([String: String]())
    }
  }

  private struct ClusterMigration: Encodable {
    var migrated: Bool
    var migratedClusterUrl: ClusterUrl?
  }
}
