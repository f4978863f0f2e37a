import GeoReplication

/// The lag of a whole mesh at one moment: what every region reports of its links, or the last that it did.
public struct MeshLag: Codable, Sendable, Equatable {
  /// What an operator should make of it; the raw value is the exit code that monitoring tools expect.
  public enum Verdict: Int, Sendable, Comparable, Codable {
    /// Every link is below the warning threshold.
    case ok = 0
    /// Some link is at or above the warning threshold.
    case warning = 1
    /// Some link is at or above the critical threshold, or down with data that wait.
    case critical = 2
    /// Some region did not answer, so nobody can tell.
    case unknown = 3

    /// As people and JSON call it.
    public var name: String {
      switch self {
      case .ok: "OK"
      case .warning: "WARN"
      case .critical: "CRIT"
      case .unknown: "UNKNOWN"
      }
    }

    /// The order of gravity: a critical link outweighs a region that does not answer.
    public static func < (a: Verdict, b: Verdict) -> Bool { a.gravity < b.gravity }

    private var gravity: Int {
      switch self {
      case .ok: 0
      case .warning: 1
      case .unknown: 2
      case .critical: 3
      }
    }
  }

  /// A region of the mesh.
  public struct Region: Codable, Sendable, Equatable {
    /// The region's name, or its address while it has never answered.
    public var name: String
    /// Where it was asked.
    public var adminUrl: String
    /// Whether it answered within the budget.
    public var answered: Bool
    /// Why it did not answer.
    public var problem: String?
    /// Age in seconds of what is shown of it: 0 if it answered; absent if nothing was ever known.
    public var ageSeconds: Double?
  }

  /// A link with the region that it comes from.
  public struct Link: Codable, Sendable, Equatable {
    /// The region that sends.
    public var from: String
    /// Whether the figures are current; if not, they are the last known.
    public var isCurrent: Bool
    /// Age of the figures in seconds.
    public var ageSeconds: Double
    /// The figures.
    public var lag: LinkLag
  }

  /// A namespace with the region that it comes from.
  public struct Namespace: Codable, Sendable, Equatable {
    /// The region that sends.
    public var from: String
    /// Whether the figures are current.
    public var isCurrent: Bool
    /// The figures.
    public var lag: NamespaceLag
  }

  /// When the question was asked, in milliseconds since 1970.
  public var asOfMs: Int64
  /// Regions in the order of the context.
  public var regions: [Region]
  /// Links, by source in the order of the regions.
  public var links: [Link]
  /// Namespaces, the furthest behind first.
  public var namespaces: [Namespace]

  /// Only what concerns one link or one namespace.
  public func filtered(link: (from: String, to: String)?, namespace: String?) -> MeshLag {
    var copy = self
    if let link {
      copy.links = links.filter { $0.from == link.from && $0.lag.to == link.to }
      copy.namespaces = namespaces.filter { $0.from == link.from && $0.lag.to == link.to }
      copy.regions = regions.filter { $0.name == link.from || $0.name == link.to }
    }
    if let namespace {
      copy.namespaces = copy.namespaces.filter { $0.lag.namespace == namespace }
    }
    return copy
  }

  /// The worst that can be said of the mesh.
  ///
  /// - Parameters:
  ///   - warning: seconds behind from which a link is worth a warning.
  ///   - critical: seconds behind from which it is critical.
  ///   - onlyNamespaces: judge the namespaces that are shown, not whole links.
  public func verdict(warning: Double, critical: Double, onlyNamespaces: Bool = false) -> Verdict {
    var verdict = regions.allSatisfy(\.answered) && !regions.isEmpty ? Verdict.ok : .unknown
    let figures: [(seconds: Double?, isCurrent: Bool, isStopped: Bool)] =
      onlyNamespaces
      ? namespaces.map { namespace in
        let isDown = links.contains {
          $0.from == namespace.from && $0.lag.to == namespace.lag.to && $0.lag.state == .down
        }
        return (
          namespace.lag.behindSeconds, namespace.isCurrent, isDown && (namespace.lag.behindMessages ?? 1) > 0
        )
      }
      : links.map { ($0.lag.behindSeconds, $0.isCurrent, $0.lag.state == .down && ($0.lag.behindMessages ?? 1) > 0) }
    for figure in figures {
      guard let seconds = figure.seconds, figure.isCurrent else {
        verdict = max(verdict, .unknown)
        continue
      }
      if seconds >= critical || figure.isStopped {
        verdict = max(verdict, .critical)
      } else if seconds >= warning {
        verdict = max(verdict, .warning)
      }
    }
    return verdict
  }

  /// The link that is furthest behind; one whose lag is not known counts as worse than any that is.
  public var worst: Link? {
    links.max { a, b in
      (a.isCurrent ? a.lag.behindSeconds ?? .infinity : .infinity, a.lag.behindBytes ?? 0)
        < (b.isCurrent ? b.lag.behindSeconds ?? .infinity : .infinity, b.lag.behindBytes ?? 0)
    }
  }
}
