import NIOCore

/// A mesh as its topology file declares it.
public struct Topology: Sendable, Equatable {
  /// One region: a child process in the standalone role.
  public struct Region: Sendable, Equatable {
    /// The cluster's name, as Pulsar's admin tools see it.
    public var name: String
    /// Port of the Pulsar binary protocol.
    public var pulsarPort: Int
    /// Port of the Pulsar binary protocol over TLS.
    public var pulsarTLSPort: Int
    /// Port of the admin REST API.
    public var adminPort: Int

    /// A region with its ports.
    public init(name: String, pulsarPort: Int, pulsarTLSPort: Int, adminPort: Int) {
      self.name = name
      self.pulsarPort = pulsarPort
      self.pulsarTLSPort = pulsarTLSPort
      self.adminPort = adminPort
    }
  }

  /// The WAN between two regions; both directions have the same shape until told otherwise.
  public struct Link: Sendable, Equatable {
    /// The regions at the two ends.
    public var ends: [String]
    /// Round-trip time added by the path.
    public var roundTrip: TimeAmount
    /// Largest time added at random to each direction.
    public var jitter: TimeAmount
    /// Bytes a second in each direction; `nil` is no limit.
    public var bandwidth: Int64?

    /// A link between two regions.
    public init(ends: [String], roundTrip: TimeAmount = .zero, jitter: TimeAmount = .zero, bandwidth: Int64? = nil) {
      self.ends = ends
      self.roundTrip = roundTrip
      self.jitter = jitter
      self.bandwidth = bandwidth
    }

    /// The shape of either direction.
    public var shape: WANShape {
      WANShape(delay: .nanoseconds(roundTrip.nanoseconds / 2), jitter: jitter, bandwidth: bandwidth)
    }
  }

  /// A tenant and the regions that may hold its namespaces.
  public struct Tenant: Sendable, Equatable {
    /// The tenant's name.
    public var name: String
    /// Allowed regions.
    public var regions: [String]
  }

  /// A namespace and the regions between which it is replicated.
  public struct Namespace: Sendable, Equatable {
    /// `tenant/namespace`.
    public var name: String
    /// Regions that hold the namespace.
    public var regions: [String]
    /// Whether producers' sequence ids are checked for duplicates.
    public var deduplication: Bool
    /// Where a new link begins in topics that have data already: `earliest` or `latest`.
    public var replicationStartAt: String?
  }

  /// Regions in the order of the file.
  public var regions: [Region]
  /// Links; regions without one do not know each other.
  public var links: [Link]
  /// Tenants to create.
  public var tenants: [Tenant]
  /// Namespaces to create.
  public var namespaces: [Namespace]

  /// The region of that name.
  public func region(_ name: String) -> Region? {
    regions.first { $0.name == name }
  }

  /// The link between two regions, whichever way they are named.
  public func link(_ a: String, _ b: String) -> Link? {
    links.first { Set($0.ends) == [a, b] }
  }

  /// The regions that a region is linked with.
  public func peers(of name: String) -> [String] {
    links.compactMap { link in
      guard link.ends.contains(name) else { return nil }
      return link.ends.first { $0 != name }
    }
  }
}
