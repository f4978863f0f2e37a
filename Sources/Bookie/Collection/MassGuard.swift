/// Refuses to remove most of what is here at once: a short, wrong or outdated answer of the metadata store must never cost data.
/// An operator who was told the number may insist.
struct MassGuard {
  /// What may be removed of what a search found.
  enum Decision: Equatable {
    /// So few that it is believed.
    case allow
    /// So many, but an operator confirmed these.
    case confirmed(Set<Int64>)
    case refuse
  }

  private let share: Double
  private let minimum: Int
  /// What the last search found, if that was refused.
  private var refused: Set<Int64> = []

  init(share: Double, minimum: Int) {
    self.share = share
    self.minimum = minimum
  }

  /// A search looked each of `total` ledgers up, and would have `found` removed.
  /// - Parameter confirmed: the number of ledgers that an operator saw refused, and wants to be removed all the same. It is
  ///   enough for what was refused last, which may be less if there was another search since.
  mutating func check(_ found: Set<Int64>, of total: Int, confirmed: Int?) -> Decision {
    guard found.count >= minimum, Double(found.count) > share * Double(total) else {
      refused = []
      return .allow
    }
    if let confirmed, !refused.isEmpty, confirmed >= refused.count {
      defer { refused = [] }
      return .confirmed(refused.intersection(found))
    }
    refused = found
    return .refuse
  }
}
