import Ledgers

/// Which groups of bookies hold what a namespace stores. Groups are what operators put bookies in, with their racks.
public struct BookieAffinityGroup: Codable, Hashable, Sendable {
  /// Groups whose bookies are taken first, separated by commas.
  public var bookkeeperAffinityGroupPrimary: String
  /// Groups whose bookies are taken too where those of the primary groups are too few, separated by commas.
  public var bookkeeperAffinityGroupSecondary: String?

  /// Creates a policy.
  public init(primary: String, secondary: String? = nil) {
    bookkeeperAffinityGroupPrimary = primary
    bookkeeperAffinityGroupSecondary = secondary
  }

  /// A record without a primary group can be read: it means any bookie.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    bookkeeperAffinityGroupPrimary =
      try container.decodeIfPresent(String.self, forKey: .bookkeeperAffinityGroupPrimary) ?? ""
    bookkeeperAffinityGroupSecondary =
      try container.decodeIfPresent(String.self, forKey: .bookkeeperAffinityGroupSecondary)
  }

  /// Refuses a policy without a primary group.
  public func check() throws(PolicyError) {
    guard affinity != nil else {
      throw PolicyError(
        .preconditionFailed,
        "A bookie affinity needs a primary group: give bookkeeperAffinityGroupPrimary the name of at least one group")
    }
  }

  /// What the ledgers of the namespace are created with; nil: any bookie.
  public var affinity: BookieAffinity? {
    let primary = Self.names(bookkeeperAffinityGroupPrimary)
    guard !primary.isEmpty else { return nil }
    return BookieAffinity(primary: primary, secondary: Self.names(bookkeeperAffinityGroupSecondary ?? ""))
  }

  private static func names(_ list: String) -> [String] {
    list.split(separator: ",").map { String($0.drop { $0 == " " }) }.map { name in
      String(name.reversed().drop { $0 == " " }.reversed())
    }.filter { !$0.isEmpty }
  }
}
