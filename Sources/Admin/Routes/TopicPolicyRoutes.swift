import Broker

/// `…/{topic}/{policy}?isGlobal&applied`: the table of topic policies, and the few that need more than a field.
struct TopicPolicyRoutes {
  var services: AdminServices
  var domain: TopicDomain

  func register(_ routes: inout RouteBuilder) {
    let one = "\(AdminRoutes.base)/\(domain.rawValue)/:tenant/:namespace/:topic"
    let ttl = TopicPolicyEndpoint(
      "messageTTL", \.messageTTLInSeconds, namespace: { policies, _ in policies.messageTTLInSeconds },
      check: NamespacePolicyEndpoint.notNegative("message TTL"))
    for endpoint in TopicPolicyEndpoint.all { register(endpoint, &routes, one, hasSetter: true) }
    register(ttl, &routes, one, hasSetter: false)

    let policies = services.policies
    let domain = domain
    routes.set("\(one)/messageTTL") { request in
      // Pulsar's tools name the value in the query.
      var request = request
      if let number = try request.queryNumber("messageTTL") { request.body = Array(String(number).utf8) }
      let body = request
      try await policies.updateTopicPolicies(try request.topic(domain), isGlobal: try request.flag("isGlobal")) {
        try ttl.set(&$0, body)
      }
      return .noContent
    }
    routes.set("\(one)/backlogQuota") { request in
      let type = try NamespaceRoutes.quotaType(request)
      let quota = try request.json(BacklogQuota.self, "backlog quota")
      try await policies.updateTopicPolicies(try request.topic(domain), isGlobal: try request.flag("isGlobal")) {
        $0.backlogQuotaMap = ($0.backlogQuotaMap ?? [:]).merging([type: quota]) { $1 }
      }
      return .noContent
    }
    routes.delete("\(one)/backlogQuota") { request in
      let type = try NamespaceRoutes.quotaType(request)
      try await policies.updateTopicPolicies(try request.topic(domain), isGlobal: try request.flag("isGlobal")) {
        $0.backlogQuotaMap?[type] = nil
        if $0.backlogQuotaMap?.isEmpty == true { $0.backlogQuotaMap = nil }
      }
      return .noContent
    }
    routes.delete("\(one)/policies") { request in
      try await policies.deleteTopicPolicies(try request.topic(domain))
      return .noContent
    }
    registerReplication(&routes, one)
  }

  private func registerReplication(_ routes: inout RouteBuilder, _ one: String) {
    let policies = services.policies
    let domain = domain
    let endpoint = TopicPolicyEndpoint(
      "replication", \.replicationClusters, namespace: { policies, _ in policies.replicationClusters })
    register(endpoint, &routes, one, hasSetter: false)
    routes.set("\(one)/replication") { request in
      let topic = try request.topic(domain)
      let clusters = request.isBodyEmpty ? [] : try request.json([String].self, "list of clusters")
      guard !clusters.isEmpty else {
        throw PolicyError(.preconditionFailed, "ClusterIds should not be null or empty")
      }
      try policies.validate(clusters: clusters, of: topic.namespace)
      let allowed = try await policies.policies(for: topic.namespace).allowedClusters
      if !allowed.isEmpty, let outside = clusters.first(where: { !allowed.contains($0) }) {
        throw PolicyError(
          .badRequest, "Cluster [\(outside)] is not in the list of allowed clusters of namespace \(topic.namespace)")
      }
      try await policies.updateTopicPolicies(topic, isGlobal: try request.flag("isGlobal")) {
        $0.replicationClusters = clusters
      }
      return .noContent
    }
  }

  private func register(
    _ endpoint: TopicPolicyEndpoint, _ routes: inout RouteBuilder, _ one: String, hasSetter: Bool
  ) {
    let policies = services.policies
    let cluster = services.localCluster
    let domain = domain
    let services = services
    routes.get("\(one)/\(endpoint.path)") { request in
      let topic = try request.topic(domain)
      let inherited = try await policies.policies(for: topic.namespace)
      let record = try await policies.topicPolicies(for: topic)
      if try request.flag("applied") {
        return try endpoint.get(record.effective, inherited, cluster)
      }
      return try endpoint.get(try request.flag("isGlobal") ? record.global : record.local, nil, cluster)
    }
    routes.delete("\(one)/\(endpoint.path)") { request in
      try await policies.updateTopicPolicies(try request.topic(domain), isGlobal: try request.flag("isGlobal")) {
        endpoint.clear(&$0)
      }
      return .noContent
    }
    guard hasSetter else { return }
    routes.set("\(one)/\(endpoint.path)") { request in
      if endpoint.path == "persistence" {
        try await services.check(try request.value(PersistencePolicies.self, endpoint.path))
      }
      try await policies.updateTopicPolicies(try request.topic(domain), isGlobal: try request.flag("isGlobal")) {
        try endpoint.set(&$0, request)
      }
      return .noContent
    }
  }
}
