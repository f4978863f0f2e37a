import ArgumentParser

/// `tenant/namespace` on the command line.
struct NamespaceArgument: ExpressibleByArgument {
  let tenant: String
  let namespace: String

  init?(argument: String) {
    let parts = argument.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty }) else { return nil }
    tenant = parts[0]
    namespace = parts[1]
  }

  var path: String { "\(AdminSession.escape(tenant))/\(AdminSession.escape(namespace))" }
  var name: String { "\(tenant)/\(namespace)" }
}

/// A topic on the command line: `persistent://tenant/namespace/topic`, `tenant/namespace/topic` or `topic`.
struct TopicArgument: ExpressibleByArgument {
  let domain: String
  let tenant: String
  let namespace: String
  let topic: String

  init?(argument: String) {
    var rest = Substring(argument)
    var domain = "persistent"
    if let range = rest.range(of: "://") {
      domain = String(rest[..<range.lowerBound])
      rest = rest[range.upperBound...]
    }
    guard ["persistent", "non-persistent"].contains(domain), !rest.isEmpty else { return nil }
    let parts = rest.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
    guard parts.allSatisfy({ !$0.isEmpty }) else { return nil }
    self.domain = domain
    switch parts.count {
    case 1: (tenant, namespace, topic) = ("public", "default", parts[0])
    case 3: (tenant, namespace, topic) = (parts[0], parts[1], parts[2])
    default: return nil
    }
  }

  var path: String {
    "\(domain)/\(AdminSession.escape(tenant))/\(AdminSession.escape(namespace))/\(AdminSession.escape(topic))"
  }
  var name: String { "\(domain)://\(tenant)/\(namespace)/\(topic)" }
}

extension StringProtocol {
  fileprivate func range(of text: String) -> Range<Index>? {
    var start = startIndex
    while start < endIndex {
      if self[start...].hasPrefix(text) { return start..<index(start, offsetBy: text.count) }
      start = index(after: start)
    }
    return nil
  }
}
