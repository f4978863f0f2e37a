import Broker
import MetadataStore

/// `/admin/v2/brokers`, `/admin/v2/bookies` and what tools probe: one broker, its health, its version.
struct BrokerRoutes {
  private struct Leader: Encodable {
    var brokerId: String
    var serviceUrl: String
  }

  private struct BookieInfo: Encodable {
    var bookieId: String
  }

  private struct Bookies: Encodable {
    var bookies: [BookieInfo]
  }

  private struct OwnedNamespace: Encodable {
    var broker_assignment = "shared"
    var is_controlled = false
    var is_active = true
  }

  var services: AdminServices

  func register(_ routes: inout RouteBuilder) {
    let services = services
    let base = "\(AdminRoutes.base)/brokers"
    routes.get(base) { _ in try .json([services.brokerID()]) }
    routes.get("\(base)/:cluster") { request in
      let cluster = try request.parameter("cluster")
      _ = try await services.policies.cluster(cluster)
      return try .json(cluster == services.localCluster ? [services.brokerID()] : [])
    }
    routes.get("\(base)/:cluster/:broker/ownedNamespaces") { request in
      guard try request.parameter("broker") == services.brokerID() else {
        throw PolicyError(.notFound, "There is no broker \(try request.parameter("broker")) here")
      }
      var owned: [String: OwnedNamespace] = [:]
      for namespace in services.policies.namespaces() {
        let bounds = services.policies.cachedPolicies(for: namespace)?.bundles?.boundaries ?? []
        for (lower, upper) in zip(bounds, bounds.dropFirst()) {
          owned["\(namespace)/\(lower)_\(upper)"] = OwnedNamespace()
        }
      }
      return try .json(owned)
    }
    routes.get("\(base)/leaderBroker") { _ in
      try .json(Leader(brokerId: services.brokerID(), serviceUrl: "http://\(services.brokerID())"))
    }
    let health: RouteBuilder.Handler = { _ in
      do {
        try await services.sources.health()
      } catch {
        throw AdminFailure(503, "\(error)")
      }
      return .text("ok")
    }
    routes.get("\(base)/health", health)
    routes.get("\(base)/ready", health)
    routes.get("/status.html", health)
    routes.get("\(base)/version") { _ in .text(services.configuration.version) }
    routes.get("\(base)/configuration") { _ in try .json([String]()) }
    routes.get("\(base)/configuration/values") { _ in try .json([String: String]()) }
    routes.get("\(base)/configuration/runtime") { _ in try .json(services.configuration.runtimeConfiguration) }
    routes.get("\(base)/internal-configuration") { _ in
      try .json(["bookkeeperMetadataServiceUri": "", "metadataStoreUrl": "", "stateStorageServiceUrl": ""])
    }
    routes.get("\(base)/backlog-quota-check") { _ in .text("ok") }
    routes.get("\(AdminRoutes.base)/bookies/all") { _ in
      let prefix = "/bookies/available/"
      let keys = try await services.metadata.keys(prefix: prefix)
      return try .json(Bookies(bookies: keys.map { BookieInfo(bookieId: String($0.dropFirst(prefix.count))) }))
    }
    routes.get("\(AdminRoutes.base)/bookies/racks-info") { _ in try .json([String: String]()) }
    routes.get("\(AdminRoutes.base)/broker-stats/topics") { _ in
      var byNamespace: [String: [String: TopicStats]] = [:]
      for (topic, stats) in await services.broker.loadedTopicStats(StatsOptions()) {
        byNamespace[topic.namespace.description, default: [:]][topic.description] = stats
      }
      return try .json(byNamespace)
    }
    routes.get("\(AdminRoutes.base)/resourcegroups") { _ in try .json([String]()) }
  }
}
