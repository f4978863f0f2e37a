/// Finds the handler of a path: `/a/:name/b` has literal components and one parameter.
///
/// A literal beats a parameter, and a route that knows the method beats one that does not: `PUT …/partitioned` may create a
/// topic of that name although `GET …/partitioned` is a listing.
struct RouteTable<Handler: Sendable>: Sendable {
  /// What a lookup found.
  enum Match {
    /// The handler, and the values of the pattern's parameters by name.
    case found(Handler, parameters: [String: String])
    /// The path exists for these methods only.
    case methodNotAllowed([String])
    case notFound
  }

  private struct Route: Sendable {
    var handler: Handler
    var names: [String]
  }

  private struct Node: Sendable {
    var literals: [String: Int] = [:]
    var parameter: Int?
    var routes: [String: Route] = [:]
  }

  private var nodes = [Node()]

  /// Adds a route; the same method and pattern again replaces it.
  mutating func add(_ method: String, _ pattern: String, _ handler: Handler) {
    var node = 0
    var names: [String] = []
    for component in pattern.split(separator: "/") {
      if component.hasPrefix(":") {
        names.append(String(component.dropFirst()))
        if let next = nodes[node].parameter {
          node = next
        } else {
          nodes.append(Node())
          nodes[node].parameter = nodes.count - 1
          node = nodes.count - 1
        }
      } else if let next = nodes[node].literals[String(component)] {
        node = next
      } else {
        nodes.append(Node())
        nodes[node].literals[String(component)] = nodes.count - 1
        node = nodes.count - 1
      }
    }
    nodes[node].routes[method] = Route(handler: handler, names: names)
  }

  /// Looks up `components`, which are percent-decoded.
  func match(_ method: String, _ components: [String]) -> Match {
    var values: [String] = []
    var allowed: Set<String> = []
    if let route = search(0, components[...], method, &values, &allowed) {
      let parameters = Dictionary(zip(route.names, values)) { _, last in last }
      return .found(route.handler, parameters: parameters)
    }
    return allowed.isEmpty ? .notFound : .methodNotAllowed(allowed.sorted())
  }

  private func search(
    _ node: Int, _ rest: ArraySlice<String>, _ method: String, _ values: inout [String], _ allowed: inout Set<String>
  ) -> Route? {
    guard let component = rest.first else {
      if let route = nodes[node].routes[method] { return route }
      allowed.formUnion(nodes[node].routes.keys)
      return nil
    }
    if let next = nodes[node].literals[component],
      let route = search(next, rest.dropFirst(), method, &values, &allowed)
    {
      return route
    }
    if let next = nodes[node].parameter {
      values.append(component)
      if let route = search(next, rest.dropFirst(), method, &values, &allowed) { return route }
      values.removeLast()
    }
    return nil
  }
}
