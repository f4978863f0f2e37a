import Broker

/// `/admin/v2/namespaces`: namespaces themselves, and what is not a single field of their policies.
struct NamespaceRoutes {
  var services: AdminServices

  func register(_ routes: inout RouteBuilder) {
    let services = services
    let policies = services.policies
    let base = AdminRoutes.base + "/namespaces"
    let one = "\(base)/:tenant/:namespace"

    routes.get("\(base)/:tenant") { request in
      let tenant = try request.parameter("tenant")
      _ = try await policies.tenant(tenant)
      return try .json(policies.namespaces(of: tenant).map(\.description))
    }
    routes.get(one) { request in try .json(await policies.policies(for: try request.namespace)) }
    routes.put(one) { request in
      var body =
        request.isBodyEmpty ? NamespacePolicies() : try request.json(NamespacePolicies.self, "namespace policies")
      if let bundles = try request.queryNumber("bundles"), bundles != 0 {
        guard (1...65_536).contains(bundles) else {
          throw PolicyError(.badRequest, "Invalid number of bundles \(bundles): between 1 and 65536 are possible")
        }
        body.bundles = BundlesData(count: bundles)
      }
      try await policies.createNamespace(try request.namespace, body)
      return .noContent
    }
    routes.delete(one) { request in
      try await Self.delete(try request.namespace, force: try request.flag("force"), services)
      return .noContent
    }
    routes.get("\(one)/topics") { request in
      let mode = (request.query["mode"] ?? "PERSISTENT").uppercased()
      let shown: TopicListMode
      switch mode {
      case "PERSISTENT": shown = .persistent
      case "NON_PERSISTENT": shown = .nonPersistent
      case "ALL": shown = .all
      default: throw PolicyError(.badRequest, "Unknown mode \"\(mode)\": expected PERSISTENT, NON_PERSISTENT or ALL")
      }
      let system = try request.flag("includeSystemTopic")
      let topics = try await Self.topics(in: try request.namespace, shown, services)
      return try .json(topics.filter { system || !$0.localName.hasPrefix("__") }.map(\.description))
    }
    routes.get("\(one)/bundles") { request in
      try .json(
        await policies.policies(for: try request.namespace).bundles
          ?? BundlesData(count: PolicyStore.defaultNumberOfNamespaceBundles))
    }
    routes.put("\(one)/unload") { request in
      try await Self.forEachTopic(in: try request.namespace, services) { try await services.broker.unloadTopic($0) }
      return .noContent
    }
    routes.put("\(one)/:bundle/unload") { request in
      // One broker serves every bundle: unloading all topics does what was asked for, and more.
      try await Self.forEachTopic(in: try request.namespace, services) { try await services.broker.unloadTopic($0) }
      return .noContent
    }
    routes.put("\(one)/:bundle/split") { request in
      _ = try await policies.policies(for: try request.namespace)
      throw AdminFailure(405, "Bundles are not split: one broker serves the whole namespace")
    }
    registerSubscriptions(&routes, one)
    registerQuotas(&routes, one)
    registerPermissions(&routes, one)
  }

  private func registerSubscriptions(_ routes: inout RouteBuilder, _ one: String) {
    let services = services
    let clear: RouteBuilder.Handler = { request in
      let only = request.parameters["subscription"]
      try await Self.forEachTopic(in: try request.namespace, services) { topic in
        for name in try await services.broker.subscriptions(of: topic) where only == nil || only == name {
          try await services.broker.skipAll(of: name, on: topic)
        }
      }
      return .noContent
    }
    let unsubscribe: RouteBuilder.Handler = { request in
      let name = try request.parameter("subscription")
      try await Self.forEachTopic(in: try request.namespace, services) { topic in
        if try await services.broker.subscriptions(of: topic).contains(name) {
          try await services.broker.deleteSubscription(name, on: topic, force: false)
        }
      }
      return .noContent
    }
    routes.post("\(one)/clearBacklog", clear)
    routes.post("\(one)/clearBacklog/:subscription", clear)
    routes.post("\(one)/:bundle/clearBacklog", clear)
    routes.post("\(one)/:bundle/clearBacklog/:subscription", clear)
    routes.post("\(one)/unsubscribe/:subscription", unsubscribe)
    routes.post("\(one)/:bundle/unsubscribe/:subscription", unsubscribe)
  }

  private func registerQuotas(_ routes: inout RouteBuilder, _ one: String) {
    let policies = services.policies
    routes.get("\(one)/backlogQuotaMap") { request in
      try .json(await policies.policies(for: try request.namespace).backlogQuotaMap)
    }
    routes.set("\(one)/backlogQuota") { request in
      let type = try Self.quotaType(request)
      let quota = try request.json(BacklogQuota.self, "backlog quota")
      try await policies.updateNamespace(try request.namespace) { $0.backlogQuotaMap[type] = quota }
      return .noContent
    }
    routes.delete("\(one)/backlogQuota") { request in
      let type = try Self.quotaType(request)
      try await policies.updateNamespace(try request.namespace) { $0.backlogQuotaMap[type] = nil }
      return .noContent
    }
  }

  private func registerPermissions(_ routes: inout RouteBuilder, _ one: String) {
    let policies = services.policies
    routes.get("\(one)/permissions") { request in
      try .json(await policies.policies(for: try request.namespace).authPolicies?.namespaceAuth ?? [:])
    }
    routes.set("\(one)/permissions/:role") { request in
      let role = try request.parameter("role")
      let actions = try Self.actions(request)
      try await policies.updateNamespace(try request.namespace) { present in
        var auth = present.authPolicies ?? AuthPolicies()
        auth.namespaceAuth[role] = actions
        present.authPolicies = auth
      }
      return .noContent
    }
    routes.delete("\(one)/permissions/:role") { request in
      let role = try request.parameter("role")
      try await policies.updateNamespace(try request.namespace) { present in
        present.authPolicies?.namespaceAuth[role] = nil
      }
      return .noContent
    }
  }

  /// The actions that a body names, each known.
  static func actions(_ request: AdminRequest) throws -> [String] {
    let known = ["produce", "consume", "functions", "sources", "sinks", "packages"]
    let actions = try request.json([String].self, "list of actions")
    if let unknown = actions.first(where: { !known.contains($0) }) {
      throw PolicyError(.badRequest, "Unknown action \"\(unknown)\": expected \(known.joined(separator: ", "))")
    }
    return actions
  }

  /// Which quota a request means (`backlogQuotaType`); by default the size.
  static func quotaType(_ request: AdminRequest) throws -> String {
    let type = request.query["backlogQuotaType"] ?? BacklogQuota.destinationStorage
    guard type == BacklogQuota.destinationStorage || type == BacklogQuota.messageAge else {
      throw PolicyError(
        .badRequest,
        "Unknown backlogQuotaType \"\(type)\": expected \(BacklogQuota.destinationStorage) or \(BacklogQuota.messageAge)"
      )
    }
    return type
  }

  /// The topics of a namespace, which must exist.
  static func topics(
    in namespace: NamespaceName, _ mode: TopicListMode, _ services: AdminServices
  ) async throws -> [TopicName] {
    _ = try await services.policies.policies(for: namespace)
    return try await services.broker.listTopics(in: namespace, mode: mode)
  }

  private static func forEachTopic(
    in namespace: NamespaceName, _ services: AdminServices, _ body: (TopicName) async throws -> Void
  ) async throws {
    for topic in try await topics(in: namespace, .all, services) {
      do {
        try await body(topic)
      } catch let error as BrokerError where error.kind == .topicNotFound {
        // Deleted since it was listed.
      }
    }
  }

  /// Deletes a namespace; without `force` only if it has no topics but system topics.
  static func delete(_ namespace: NamespaceName, force: Bool, _ services: AdminServices) async throws {
    let topics = try await topics(in: namespace, .all, services)
    let partitioned = TopicDomain.allCases.flatMap {
      services.policies.partitionedTopics(in: namespace, domain: $0)
    }
    if !force, let example = (topics + partitioned).first(where: { !$0.localName.hasPrefix("__") }) {
      throw PolicyError(.conflict, "Cannot delete non empty namespace \(namespace): it has \(example)")
    }
    // From here on nothing creates topics in it again.
    try await services.policies.updateNamespace(namespace) { $0.deleted = true }
    do {
      try await services.broker.deleteTopics(in: namespace, force: true)
      try await services.policies.deleteNamespace(namespace)
    } catch {
      _ = try? await services.policies.updateNamespace(namespace) { $0.deleted = false }
      throw error
    }
  }
}
