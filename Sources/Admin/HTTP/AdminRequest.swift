import Broker

/// One request to the admin API, taken apart: what handlers see.
struct AdminRequest: Sendable {
  /// The target split and decoded, or nil if it is malformed.
  struct Target {
    var components: [String]
    var query: [String: String]

    init?(_ target: String) {
      let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
      components = []
      for component in (parts.first ?? "").split(separator: "/") {
        guard let decoded = PercentCoding.decode(component) else { return nil }
        components.append(decoded)
      }
      query = [:]
      for pair in (parts.count > 1 ? parts[1] : "").split(separator: "&") {
        let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard let name = PercentCoding.decode(halves[0], plusIsSpace: true),
          let value = PercentCoding.decode(halves.count > 1 ? halves[1] : "", plusIsSpace: true)
        else { return nil }
        query[name] = value
      }
    }
  }

  var method: String
  var parameters: [String: String]
  var query: [String: String]
  var body: [UInt8]

  /// A parameter of the route; routes name every parameter that their handlers ask for.
  func parameter(_ name: String) throws -> String {
    guard let value = parameters[name], !value.isEmpty else {
      throw PolicyError(.badRequest, "The path lacks its \(name)")
    }
    return value
  }

  /// A parameter of the route that is a whole number.
  func number(_ name: String) throws -> Int64 {
    let text = try parameter(name)
    guard let number = Int64(text) else {
      throw PolicyError(.badRequest, "\"\(text)\" is not a whole number (\(name))")
    }
    return number
  }

  /// A query flag: absent is `fallback`, present without a value or with `true` is true.
  func flag(_ name: String, default fallback: Bool = false) throws -> Bool {
    switch query[name]?.lowercased() {
    case nil: return fallback
    case "", "true": return true
    case "false": return false
    case let other?: throw PolicyError(.badRequest, "\"\(other)\" is neither true nor false (\(name))")
    }
  }

  /// A query parameter that is a whole number; nil if absent.
  func queryNumber(_ name: String) throws -> Int? {
    guard let text = query[name] else { return nil }
    guard let number = Int(text) else {
      throw PolicyError(.badRequest, "\"\(text)\" is not a whole number (\(name))")
    }
    return number
  }

  /// Whether there is no body, or only the word `null`.
  var isBodyEmpty: Bool {
    let text = body.drop { $0 == 0x20 || $0 == 0x0a || $0 == 0x0d || $0 == 0x09 }
    return text.isEmpty || text.starts(with: Array("null".utf8))
  }

  /// The body as JSON; throws `badRequest` that names the field.
  func json<Value: Decodable>(_ type: Value.Type, _ what: String) throws -> Value {
    guard !isBodyEmpty else { throw PolicyError(.badRequest, "The request needs a body: \(what)") }
    return try PolicyJSON.decode(type, from: body, what: what)
  }

  /// The namespace that the path names.
  var namespace: NamespaceName {
    get throws {
      let tenant = try parameter("tenant")
      let name = try parameter("namespace")
      guard NamespaceName.isValidPart(tenant), NamespaceName.isValidPart(name) else {
        throw PolicyError(
          .preconditionFailed, "Namespace name is not valid: \"\(tenant)/\(name)\"; use letters, digits and -=:._")
      }
      return try NamespaceName(tenant: tenant, localName: name)
    }
  }

  /// The topic that the path names.
  func topic(_ domain: TopicDomain) throws -> TopicName {
    try TopicName(domain: domain, namespace: try namespace, localName: try parameter("topic"))
  }
}
