import Broker
import Logging

/// All routes of the admin server, by area.
enum AdminRoutes {
  /// The base of Pulsar's admin API.
  static let base = "/admin/v2"

  static func table(_ services: AdminServices, logger: Logger) -> RouteTable<AdminResponder.Handler> {
    var routes = RouteBuilder()
    ClusterRoutes(services: services).register(&routes)
    TenantRoutes(services: services).register(&routes)
    NamespaceRoutes(services: services).register(&routes)
    NamespacePolicyRoutes(services: services).register(&routes)
    for domain in TopicDomain.allCases {
      TopicRoutes(services: services, domain: domain).register(&routes)
      TopicStatsRoutes(services: services, domain: domain).register(&routes)
      SubscriptionRoutes(services: services, domain: domain).register(&routes)
      MessageRoutes(services: services, domain: domain).register(&routes)
      TopicPolicyRoutes(services: services, domain: domain).register(&routes)
      LookupRoutes(services: services, domain: domain).register(&routes)
    }
    SchemaRoutes(services: services).register(&routes)
    BrokerRoutes(services: services).register(&routes)
    MetricsRoutes(services: services).register(&routes)
    MeridianRoutes(services: services).register(&routes)
    if let storage = services.sources.storage {
      BookieAdminRoutes(services: BookieAdminServices(sources: storage, logger: logger)).register(&routes)
    }
    return routes.table
  }
}

/// Collects routes with their handlers.
struct RouteBuilder {
  typealias Handler = AdminResponder.Handler

  var table = RouteTable<Handler>()

  mutating func get(_ path: String, _ handler: @escaping Handler) { table.add("GET", path, handler) }
  mutating func put(_ path: String, _ handler: @escaping Handler) { table.add("PUT", path, handler) }
  mutating func post(_ path: String, _ handler: @escaping Handler) { table.add("POST", path, handler) }
  mutating func delete(_ path: String, _ handler: @escaping Handler) { table.add("DELETE", path, handler) }

  /// Pulsar sets some policies with POST and some with PUT; both are taken everywhere.
  mutating func set(_ path: String, _ handler: @escaping Handler) {
    post(path, handler)
    put(path, handler)
  }
}
