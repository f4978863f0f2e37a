/// The metadata keys of policies, and back.
enum PolicyKey: Hashable {
  case cluster(String)
  case tenant(String)
  case namespace(NamespaceName)
  case topicPolicies(TopicName)
  case partitionedTopic(TopicName)

  static let root = "/admin/"
  static let clusters = "/admin/clusters/"
  static let tenants = "/admin/tenants/"
  static let namespaces = "/admin/namespaces/"
  static let topicPolicies = "/admin/topic-policies/"
  static let partitionedTopics = "/admin/partitioned-topics/"

  var path: String {
    switch self {
    case .cluster(let name): Self.clusters + name
    case .tenant(let name): Self.tenants + name
    case .namespace(let name): Self.namespaces + name.description
    case .topicPolicies(let name): Self.topicPolicies + name.storagePath
    case .partitionedTopic(let name): Self.partitionedTopics + name.storagePath
    }
  }

  var change: PolicyChange {
    switch self {
    case .cluster(let name): .cluster(name)
    case .tenant(let name): .tenant(name)
    case .namespace(let name): .namespace(name)
    case .topicPolicies(let name): .topicPolicies(name)
    case .partitionedTopic(let name): .partitionedTopic(name)
    }
  }

  /// Nil for a key that is none of policies'.
  init?(path: String) {
    func rest(_ prefix: String) -> String? {
      path.hasPrefix(prefix) ? String(path.dropFirst(prefix.count)) : nil
    }
    if let name = rest(Self.clusters) {
      self = .cluster(name)
    } else if let name = rest(Self.tenants) {
      self = .tenant(name)
    } else if let name = rest(Self.namespaces) {
      guard let namespace = try? NamespaceName(name) else { return nil }
      self = .namespace(namespace)
    } else if let name = rest(Self.topicPolicies) {
      guard let topic = Self.topic(storagePath: name) else { return nil }
      self = .topicPolicies(topic)
    } else if let name = rest(Self.partitionedTopics) {
      guard let topic = Self.topic(storagePath: name) else { return nil }
      self = .partitionedTopic(topic)
    } else {
      return nil
    }
  }

  private static func topic(storagePath: String) -> TopicName? {
    let parts = storagePath.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 4, let domain = TopicDomain(rawValue: String(parts[2])),
      let namespace = try? NamespaceName(tenant: String(parts[0]), localName: String(parts[1])),
      let localName = TopicName.decodeLocalName(parts[3])
    else { return nil }
    return try? TopicName(domain: domain, namespace: namespace, localName: localName)
  }
}
