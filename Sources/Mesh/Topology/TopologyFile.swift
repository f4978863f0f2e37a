import NIOCore
import Yams

/// Reads topology files (YAML) into a ``Topology``.
///
/// Every key is checked: an unknown one is an error that names the line and what is allowed there.
public struct TopologyFile {
  private let file: String

  /// Parses the text of a file.
  ///
  /// - Parameters:
  ///   - text: the YAML.
  ///   - file: the name for messages.
  /// - Throws: ``TopologyError``.
  public static func parse(_ text: String, file: String) throws -> Topology {
    let root: Node?
    do {
      root = try Yams.compose(yaml: text)
    } catch {
      throw TopologyError(file, line: nil, "not valid YAML: \(error)".split(separator: "\n").joined(separator: " "))
    }
    guard let root else { throw TopologyError(file, line: nil, "the file is empty; it needs a `regions` section") }
    return try TopologyFile(file: file).topology(root)
  }

  private func topology(_ root: Node) throws -> Topology {
    let fields = try mapping(root, "the file", allowed: ["regions", "links", "tenants", "namespaces"])
    guard let regionsNode = fields["regions"] else { throw fail(root, "there is no `regions` section") }
    var topology = Topology(regions: [], links: [], tenants: [], namespaces: [])

    for (index, (name, node)) in try entries(regionsNode, "regions").enumerated() {
      try checkName(name, regionsNode)
      let region = try mapping(node, "region \(name)", allowed: ["pulsar", "pulsarTls", "admin"])
      let base = 10_000 * (index + 1)
      topology.regions.append(
        .init(
          name: name, pulsarPort: try port(region["pulsar"], default: base + 6650),
          pulsarTLSPort: try port(region["pulsarTls"], default: base + 6651),
          adminPort: try port(region["admin"], default: base + 8080)))
    }
    guard !topology.regions.isEmpty else { throw fail(regionsNode, "`regions` names no region") }
    var ports: [Int: String] = [:]
    for region in topology.regions {
      for port in [region.pulsarPort, region.pulsarTLSPort, region.adminPort] {
        if let other = ports.updateValue(region.name, forKey: port) {
          throw fail(regionsNode, "port \(port) is used twice, by \(other) and \(region.name)")
        }
      }
    }

    if let node = fields["links"] { topology.links = try links(node, topology) }
    if let node = fields["tenants"] {
      for (name, tenant) in try entries(node, "tenants") {
        let values = try mapping(tenant, "tenant \(name)", allowed: ["regions"])
        topology.tenants.append(.init(name: name, regions: try regionList(values["regions"], tenant, topology)))
      }
    }
    if let node = fields["namespaces"] {
      for (name, namespace) in try entries(node, "namespaces") {
        topology.namespaces.append(try self.namespace(name, namespace, topology))
      }
    }
    return topology
  }

  private func links(_ node: Node, _ topology: Topology) throws -> [Topology.Link] {
    guard let list = node.sequence else { throw fail(node, "`links` must be a list") }
    var links: [Topology.Link] = []
    for item in list {
      let values = try mapping(item, "a link", allowed: ["between", "rtt", "jitter", "bandwidth"])
      let ends = try regionList(values["between"], item, topology)
      guard ends.count == 2, ends[0] != ends[1] else {
        throw fail(item, "`between` must name two different regions")
      }
      guard !links.contains(where: { Set($0.ends) == Set(ends) }) else {
        throw fail(item, "the link between \(ends[0]) and \(ends[1]) is declared twice")
      }
      var link = Topology.Link(ends: ends)
      link.roundTrip = try duration(values["rtt"], "rtt")
      link.jitter = try duration(values["jitter"], "jitter")
      if let node = values["bandwidth"] {
        guard let text = node.string, let rate = Quantity.rate(text) else {
          throw fail(node, "`bandwidth` must be a rate such as 100mbit, 1gbit or 40MB")
        }
        link.bandwidth = rate
      }
      links.append(link)
    }
    return links
  }

  private func namespace(_ name: String, _ node: Node, _ topology: Topology) throws -> Topology.Namespace {
    let parts = name.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty }) else {
      throw fail(node, "namespace `\(name)` must be written tenant/namespace")
    }
    guard topology.tenants.contains(where: { $0.name == parts[0] }) else {
      throw fail(node, "namespace `\(name)` belongs to tenant `\(parts[0])`, which `tenants` does not declare")
    }
    let values = try mapping(
      node, "namespace \(name)", allowed: ["regions", "deduplication", "replicationStartAt"])
    var deduplication = false
    if let flag = values["deduplication"] {
      guard let value = flag.bool else { throw fail(flag, "`deduplication` must be true or false") }
      deduplication = value
    }
    var start: String?
    if let node = values["replicationStartAt"] {
      guard let text = node.string, ["earliest", "latest"].contains(text) else {
        throw fail(node, "`replicationStartAt` must be earliest or latest")
      }
      start = text
    }
    return .init(
      name: name, regions: try regionList(values["regions"], node, topology), deduplication: deduplication,
      replicationStartAt: start)
  }

  private func entries(_ node: Node, _ what: String) throws -> [(String, Node)] {
    guard let mapping = node.mapping else { throw fail(node, "`\(what)` must be a mapping of names") }
    return try mapping.map { key, value in
      guard let name = key.string else { throw fail(key, "a name in `\(what)` must be text") }
      return (name, value)
    }
  }

  private func mapping(_ node: Node, _ what: String, allowed: [String]) throws -> [String: Node] {
    if case .scalar(let scalar) = node, scalar.string.isEmpty || scalar.string == "null" { return [:] }
    guard node.mapping != nil else { throw fail(node, "\(what) must be a mapping of keys to values") }
    var values: [String: Node] = [:]
    for (key, value) in try entries(node, what) {
      guard allowed.contains(key) else {
        throw fail(value, "unknown key `\(key)` in \(what); known are \(allowed.joined(separator: ", "))")
      }
      values[key] = value
    }
    return values
  }

  private func regionList(_ node: Node?, _ parent: Node, _ topology: Topology) throws -> [String] {
    guard let node else { return topology.regions.map(\.name) }
    guard let list = node.sequence else { throw fail(node, "a list of regions is needed, such as [us, eu]") }
    return try list.map { item in
      guard let name = item.string, topology.region(name) != nil else {
        throw fail(item, "region `\(item.string ?? "?")` is not declared under `regions`")
      }
      return name
    }
  }

  private func port(_ node: Node?, default value: Int) throws -> Int {
    guard let node else { return value }
    guard let port = node.int, (1...65_535).contains(port) else {
      throw fail(node, "a port must be a number from 1 to 65535")
    }
    return port
  }

  private func duration(_ node: Node?, _ key: String) throws -> TimeAmount {
    guard let node else { return .zero }
    guard let text = node.string, let value = Quantity.duration(text) else {
      throw fail(node, "`\(key)` must be a duration such as 75ms or 1s")
    }
    return value
  }

  private func checkName(_ name: String, _ node: Node) throws {
    let isValid =
      !name.isEmpty && name.count <= 64
      && name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") }
    guard isValid else {
      throw fail(node, "region name `\(name)` may have letters, digits, - and _ only, 64 at most")
    }
  }

  private func fail(_ node: Node, _ problem: String) -> TopologyError {
    TopologyError(file, line: node.mark?.line, problem)
  }
}
