/// A bookie as registered in the metadata store.
public struct BookieInfo: Hashable, Sendable, Codable {
  /// Its id: stable over restarts and changes of address.
  public var id: String
  /// Where it listens.
  public var host: String
  /// The port it listens on.
  public var port: Int
  /// Its failure domain, if it told one, as a path such as `/zone-a/rack-3`.
  public var networkLocation: String?

  /// Makes a description of a bookie.
  public init(id: String, host: String, port: Int, networkLocation: String? = nil) {
    self.id = id
    self.host = host
    self.port = port
    self.networkLocation = networkLocation
  }
}

/// Decides which bookies hold a segment. A value: it is given what is known and the randomness, and answers.
public protocol PlacementPolicy: Sendable {
  /// Bookies for a new ensemble, or nil if there are too few.
  func newEnsemble(
    size: Int, writeQuorum: Int, candidates: [BookieInfo], avoiding: Set<String>,
    using generator: inout some RandomNumberGenerator
  ) -> [String]?

  /// A bookie for the place `slot` of `ensemble`, none of `excluded` (which names the rest of the ensemble), or nil if
  /// there is none.
  /// `avoiding` are bookies that failed of late: taken only if there is nothing else.
  func replacement(
    for slot: Int, in ensemble: [String], writeQuorum: Int, candidates: [BookieInfo], excluded: Set<String>,
    avoiding: Set<String>, using generator: inout some RandomNumberGenerator
  ) -> String?
}

/// Any bookie is as good as any other.
public struct RandomPlacement: PlacementPolicy {
  /// Makes the policy.
  public init() {}

  /// Healthy bookies in random order, then those that failed of late.
  public func newEnsemble(
    size: Int, writeQuorum: Int, candidates: [BookieInfo], avoiding: Set<String>,
    using generator: inout some RandomNumberGenerator
  ) -> [String]? {
    guard candidates.count >= size else { return nil }
    var healthy = candidates.map(\.id).filter { !avoiding.contains($0) }.sorted()
    healthy.shuffle(using: &generator)
    if healthy.count < size {
      var rest = candidates.map(\.id).filter { avoiding.contains($0) }.sorted()
      rest.shuffle(using: &generator)
      healthy.append(contentsOf: rest)
    }
    return Array(healthy.prefix(size))
  }

  /// A random healthy bookie, else a random one that failed of late.
  public func replacement(
    for slot: Int, in ensemble: [String], writeQuorum: Int, candidates: [BookieInfo], excluded: Set<String>,
    avoiding: Set<String>, using generator: inout some RandomNumberGenerator
  ) -> String? {
    let usable = candidates.map(\.id).filter { !excluded.contains($0) }.sorted()
    let healthy = usable.filter { !avoiding.contains($0) }
    return (healthy.isEmpty ? usable : healthy).randomElement(using: &generator)
  }
}
