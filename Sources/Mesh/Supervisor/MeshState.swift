/// What the supervisor of a local mesh writes down, so that the next one goes on where it stopped.
struct MeshState: Codable, Sendable {
  /// Port of the proxy through which `from` reaches `to`.
  struct Proxy: Codable, Sendable {
    var from: String
    var to: String
    var port: Int
  }

  /// Format of this file.
  var version = 1
  /// Text and name of the topology file.
  var topologyText: String
  var topologyFile: String
  /// Process id of the supervisor.
  var supervisor: Int32?
  /// Process ids of the regions.
  var processes: [String: Int32] = [:]
  var proxies: [Proxy] = []
}

/// Where the regions of a mesh are: what commands such as `meridian lag` read when they are given no address.
public struct MeshContext: Codable, Sendable, Equatable {
  /// One region.
  public struct Region: Codable, Sendable, Equatable {
    /// The region's name.
    public var name: String
    /// Where its admin REST API answers.
    public var adminUrl: String
    /// Where its Pulsar clients connect.
    public var pulsarUrl: String

    /// A region with its addresses.
    public init(name: String, adminUrl: String, pulsarUrl: String) {
      self.name = name
      self.adminUrl = adminUrl
      self.pulsarUrl = pulsarUrl
    }
  }

  /// Format of this file.
  public var version = 1
  /// The regions in the order of the topology.
  public var regions: [Region]

  /// A context of regions.
  public init(regions: [Region]) {
    self.regions = regions
  }
}
