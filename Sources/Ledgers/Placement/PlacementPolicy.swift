/// How well an ensemble keeps to a placement policy.
public enum PlacementAdherence: String, Codable, Sendable, Comparable {
  /// Copies are in one failure domain although the policy asks for more than one.
  case violated
  /// As spread as the policy demands, but less than it would like.
  case partial
  /// As spread as it can be.
  case full

  /// Whether `lhs` is the worse one.
  public static func < (lhs: Self, rhs: Self) -> Bool { lhs.rank < rhs.rank }

  private var rank: Int {
    switch self {
    case .violated: 0
    case .partial: 1
    case .full: 2
    }
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

  /// How well `ensemble` keeps to the policy, as far as the places of its bookies are known.
  func adherence(of ensemble: [String], writeQuorum: Int, bookies: [String: BookieInfo]) -> PlacementAdherence
}

/// A policy that is nothing but a ``SpreadPlacement`` of certain failure domains.
protocol SpreadingPlacement: PlacementPolicy {
  var spread: SpreadPlacement { get }
}

extension SpreadingPlacement {
  /// Bookies whose neighbours in the striping order are in other failure domains, as far as possible; those that failed of
  /// late last.
  public func newEnsemble(
    size: Int, writeQuorum: Int, candidates: [BookieInfo], avoiding: Set<String>,
    using generator: inout some RandomNumberGenerator
  ) -> [String]? {
    spread.newEnsemble(
      size: size, writeQuorum: writeQuorum, candidates: candidates, avoiding: avoiding, using: &generator)
  }

  /// A bookie in a failure domain that the neighbours of `slot` are not in, as far as possible.
  public func replacement(
    for slot: Int, in ensemble: [String], writeQuorum: Int, candidates: [BookieInfo], excluded: Set<String>,
    avoiding: Set<String>, using generator: inout some RandomNumberGenerator
  ) -> String? {
    spread.replacement(
      for: slot, in: ensemble, writeQuorum: writeQuorum, candidates: candidates, excluded: excluded,
      avoiding: avoiding, using: &generator)
  }

  /// Whether the copies of each entry are in enough failure domains.
  public func adherence(of ensemble: [String], writeQuorum: Int, bookies: [String: BookieInfo]) -> PlacementAdherence {
    spread.adherence(of: ensemble, writeQuorum: writeQuorum, bookies: bookies)
  }
}

/// Any bookie is as good as any other, or the better the more free disk it has.
public struct RandomPlacement: SpreadingPlacement {
  let spread: SpreadPlacement

  /// Makes the policy.
  /// - Parameters:
  ///   - diskWeightBasedPlacementEnabled: prefer bookies with more free disk.
  ///   - maxWeightMultiple: how often a bookie may be preferred over the median one, at most.
  public init(diskWeightBasedPlacementEnabled: Bool = false, maxWeightMultiple: Int = 3) {
    spread = SpreadPlacement(
      domains: [], minimumDomains: 1, enforcesMinimum: false,
      weights: diskWeightBasedPlacementEnabled ? DiskWeights(maxMultiple: maxWeightMultiple) : nil)
  }
}

/// The copies of an entry are on different racks as far as there are any.
public struct RackAwarePlacement: SpreadingPlacement {
  let spread: SpreadPlacement

  /// Makes the policy.
  /// - Parameters:
  ///   - minNumRacksPerWriteQuorum: racks that the copies of each entry should be on, at least.
  ///   - enforceMinNumRacksPerWriteQuorum: rather have no ensemble than one on fewer racks.
  ///   - diskWeightBasedPlacementEnabled: prefer bookies with more free disk.
  ///   - maxWeightMultiple: how often a bookie may be preferred over the median one, at most.
  public init(
    minNumRacksPerWriteQuorum: Int = 2, enforceMinNumRacksPerWriteQuorum: Bool = false,
    diskWeightBasedPlacementEnabled: Bool = false, maxWeightMultiple: Int = 3
  ) {
    spread = SpreadPlacement(
      domains: [\.rack], minimumDomains: minNumRacksPerWriteQuorum, enforcesMinimum: enforceMinNumRacksPerWriteQuorum,
      weights: diskWeightBasedPlacementEnabled ? DiskWeights(maxMultiple: maxWeightMultiple) : nil)
  }
}

/// The copies of an entry are in different regions (or zones) as far as there are any, and on different racks within them.
public struct RegionAwarePlacement: SpreadingPlacement {
  let spread: SpreadPlacement

  /// Makes the policy.
  /// - Parameters:
  ///   - minimumRegionsForDurability: regions that the copies of each entry should be in, at least.
  ///   - enforceMinimumRegions: rather have no ensemble than one in fewer regions.
  ///   - diskWeightBasedPlacementEnabled: prefer bookies with more free disk.
  ///   - maxWeightMultiple: how often a bookie may be preferred over the median one, at most.
  public init(
    minimumRegionsForDurability: Int = 2, enforceMinimumRegions: Bool = false,
    diskWeightBasedPlacementEnabled: Bool = false, maxWeightMultiple: Int = 3
  ) {
    spread = SpreadPlacement(
      domains: [\.region, \.rack], minimumDomains: minimumRegionsForDurability, enforcesMinimum: enforceMinimumRegions,
      weights: diskWeightBasedPlacementEnabled ? DiskWeights(maxMultiple: maxWeightMultiple) : nil)
  }
}
