import Broker
import TopicLog

/// `/admin/v2/{persistent|non-persistent}/{tenant}/{namespace}[/{topic}]`: the life of topics.
struct TopicRoutes {
  var services: AdminServices
  var domain: TopicDomain

  func register(_ routes: inout RouteBuilder) {
    let services = services
    let domain = domain
    let namespace = "\(AdminRoutes.base)/\(domain.rawValue)/:tenant/:namespace"
    let one = "\(namespace)/:topic"

    routes.get(namespace) { request in
      let topics = try await NamespaceRoutes.topics(
        in: try request.namespace, domain == .persistent ? .persistent : .nonPersistent, services)
      let system = try request.flag("includeSystemTopic", default: true)
      return try .json(topics.filter { system || !$0.localName.hasPrefix("__") }.map(\.description))
    }
    routes.get("\(namespace)/partitioned") { request in
      let name = try request.namespace
      _ = try await services.policies.policies(for: name)
      return try .json(services.policies.partitionedTopics(in: name, domain: domain).map(\.description))
    }
    routes.put(one) { request in
      let properties = request.isBodyEmpty ? [:] : try request.json([String: String].self, "topic properties")
      try await services.broker.createTopic(try request.topic(domain), properties: properties)
      return .noContent
    }
    routes.delete(one) { request in
      let topic = try request.topic(domain)
      if try await services.policies.partitions(of: topic) != nil {
        throw PolicyError(.notFound, "\(topic) is a partitioned topic: delete it at …/partitions")
      }
      try await services.broker.deleteTopic(topic, force: try request.flag("force"))
      return .noContent
    }
    routes.put("\(one)/unload") { request in
      try await services.forEachPart(of: try request.topic(domain)) { try await services.broker.unloadTopic($0) }
      return .noContent
    }
    routes.post("\(one)/terminate") { request in
      let topic = try request.topic(domain)
      if try await services.policies.partitions(of: topic) != nil {
        throw AdminFailure(405, "Termination of a partitioned topic is not allowed: use …/terminate/partitions")
      }
      return try .json(MessageIDBody(try await services.broker.terminateTopic(topic), of: topic))
    }
    routes.post("\(one)/terminate/partitions") { request in
      let topic = try request.topic(domain)
      _ = try await services.partitionedTopic(topic)
      var ends: [String: MessageIDBody] = [:]
      try await services.forEachPart(of: topic) { part in
        ends[String(part.partition ?? -1)] = MessageIDBody(try await services.broker.terminateTopic(part), of: part)
      }
      return try .json(ends)
    }
    routes.post("\(one)/trim") { request in
      try await services.forEachPart(of: try request.topic(domain)) { try await services.broker.trimTopic($0) }
      return .noContent
    }
    routes.delete("\(one)/truncate") { request in
      try await services.forEachPart(of: try request.topic(domain)) { part in
        for name in try await services.broker.subscriptions(of: part) {
          try await services.broker.skipAll(of: name, on: part)
        }
        try await services.broker.trimTopic(part)
      }
      return .noContent
    }
    registerPartitions(&routes, one)
    registerProperties(&routes, one)
    registerPermissions(&routes, one)
    registerAbsent(&routes, one)
  }

  private func registerPartitions(_ routes: inout RouteBuilder, _ one: String) {
    let services = services
    let domain = domain
    routes.get("\(one)/partitions") { request in
      let topic = try request.topic(domain)
      let create = try request.flag("checkAllowAutoCreation")
      let count = try await services.broker.partitions(of: topic, allowAutoCreation: create)
      let metadata = count > 0 ? try await services.policies.partitions(of: topic) : nil
      return try .json(PartitionsAnswer(metadata ?? PartitionedTopicMetadata(partitions: count)))
    }
    routes.put("\(one)/partitions") { request in
      let topic = try request.topic(domain)
      let wanted = try PartitionsBody(request)
      guard topic.partition == nil else {
        throw PolicyError(.preconditionFailed, "Partitioned Topic Name should not contain '-partition-': \(topic)")
      }
      try await services.broker.createPartitionedTopic(
        topic, partitions: wanted.partitions, properties: wanted.properties)
      return .noContent
    }
    routes.post("\(one)/partitions") { request in
      let wanted = try PartitionsBody(request)
      let topic = try request.topic(domain)
      _ = try await services.partitionedTopic(topic)
      try await services.broker.updatePartitions(topic, to: wanted.partitions)
      return .noContent
    }
    routes.delete("\(one)/partitions") { request in
      let topic = try request.topic(domain)
      _ = try await services.partitionedTopic(topic)
      try await services.broker.deletePartitionedTopic(topic, force: try request.flag("force"))
      return .noContent
    }
    routes.post("\(one)/createMissedPartitions") { request in
      let topic = try request.topic(domain)
      _ = try await services.partitionedTopic(topic)
      try await services.broker.createMissingPartitions(of: topic)
      return .noContent
    }
  }

  private func registerProperties(_ routes: inout RouteBuilder, _ one: String) {
    let domain = domain
    let policies = services.policies
    routes.get("\(one)/properties") { request in
      let topic = try request.topic(domain)
      let partitioned = try await policies.partitions(of: topic.partitionedTopic)?.properties
      let own = try await policies.topicPolicies(for: topic).effective.properties
      return try .json((partitioned ?? [:]).merging(own ?? [:]) { $1 })
    }
    routes.put("\(one)/properties") { request in
      let topic = try request.topic(domain)
      let properties = try request.json([String: String].self, "topic properties")
      if try await policies.partitions(of: topic) != nil {
        try await policies.updatePartitionedTopic(topic) {
          $0.properties = ($0.properties ?? [:]).merging(properties) { $1 }
        }
      } else {
        try await policies.updateTopicPolicies(topic) {
          $0.properties = ($0.properties ?? [:]).merging(properties) { $1 }
        }
      }
      return .noContent
    }
    routes.delete("\(one)/properties") { request in
      let topic = try request.topic(domain)
      guard let key = request.query["key"] else { throw PolicyError(.badRequest, "Name the property: ?key=…") }
      if try await policies.partitions(of: topic) != nil {
        try await policies.updatePartitionedTopic(topic) { $0.properties?[key] = nil }
      } else {
        try await policies.updateTopicPolicies(topic) { record in
          record.properties?[key] = nil
          if record.properties?.isEmpty == true { record.properties = nil }
        }
      }
      return .noContent
    }
  }

  private func registerPermissions(_ routes: inout RouteBuilder, _ one: String) {
    let domain = domain
    let policies = services.policies
    routes.get("\(one)/permissions") { request in
      let topic = try request.topic(domain)
      let auth = try await policies.policies(for: topic.namespace).authPolicies ?? AuthPolicies()
      let own = auth.topicAuth[topic.partitionedTopic.description] ?? [:]
      return try .json(auth.namespaceAuth.merging(own) { Set($0).union($1).sorted() })
    }
    routes.set("\(one)/permissions/:role") { request in
      let topic = try request.topic(domain).partitionedTopic
      let role = try request.parameter("role")
      let actions = try NamespaceRoutes.actions(request)
      try await policies.updateNamespace(topic.namespace) { present in
        var auth = present.authPolicies ?? AuthPolicies()
        auth.topicAuth[topic.description, default: [:]][role] = actions
        present.authPolicies = auth
      }
      return .noContent
    }
    routes.delete("\(one)/permissions/:role") { request in
      let topic = try request.topic(domain).partitionedTopic
      let role = try request.parameter("role")
      try await policies.updateNamespace(topic.namespace) { present in
        guard present.authPolicies?.topicAuth[topic.description]?.removeValue(forKey: role) != nil else {
          throw PolicyError(.preconditionFailed, "Permissions are not set at the topic level for \(role) on \(topic)")
        }
      }
      return .noContent
    }
  }

  private func registerAbsent(_ routes: inout RouteBuilder, _ one: String) {
    for what in ["compaction", "offload"] {
      routes.get("\(one)/\(what)") { _ in try .json(["status": "NOT_RUN", "lastError": ""]) }
      routes.put("\(one)/\(what)") { _ in throw AdminFailure(405, "Meridian does not do \(what) yet") }
    }
  }
}

/// The body that names partitions: a number, or an object with properties too.
private struct PartitionsBody {
  private struct Long: Decodable {
    var partitions: Int
    var properties: [String: String]?
  }

  var partitions: Int
  var properties: [String: String] = [:]

  init(_ request: AdminRequest) throws {
    let first = request.body.first { $0 != 0x20 && $0 != 0x0a && $0 != 0x0d && $0 != 0x09 }
    if first == UInt8(ascii: "{") {
      let long = try request.json(Long.self, "partitions")
      partitions = long.partitions
      properties = long.properties ?? [:]
    } else {
      partitions = try request.json(Int.self, "number of partitions")
    }
    guard partitions > 0 else { throw AdminFailure(406, "Number of partitions should be more than 0") }
  }
}

/// Partition metadata as Pulsar answers it: `properties` is never missing.
struct PartitionsAnswer: Codable, Equatable {
  var partitions: Int
  var deleted: Bool
  var properties: [String: String]

  init(_ metadata: PartitionedTopicMetadata) {
    partitions = metadata.partitions
    deleted = metadata.deleted
    properties = metadata.properties ?? [:]
  }
}
