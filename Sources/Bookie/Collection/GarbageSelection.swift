/// Decides which ledgers may be deleted. A ledger must be missing from metadata in two rounds in a row, and a round that would
/// delete too much deletes nothing: a short or wrong answer of the metadata store must never cost data.
struct GarbageSelection {
  /// What to do with the ledgers that a round found missing.
  enum Decision: Equatable {
    case delete([Int64])
    case refuse(missing: Int, of: Int)
  }

  private let share: Double
  private let minimum: Int
  private var suspects: Set<Int64> = []
  /// What the last round found and refused.
  private var refused: Set<Int64> = []

  init(share: Double, minimum: Int) {
    self.share = share
    self.minimum = minimum
  }

  /// A round looked each of `local` ledgers up, and `missing` were not there.
  /// - Parameter confirmed: the number of ledgers that an operator saw refused, and wants to be deleted all the same.
  mutating func round(local: Int, missing: Set<Int64>, confirmed: Int? = nil) -> Decision {
    if isMass(missing.count, of: local) {
      if let confirmed, confirmed == refused.count {
        suspects = missing
        defer { refused = [] }
        return .delete(refused.intersection(missing).sorted())
      }
      suspects = []
      refused = missing
      return .refuse(missing: missing.count, of: local)
    }
    refused = []
    defer { suspects = missing }
    return .delete(suspects.intersection(missing).sorted())
  }

  /// Whether so many of the ledgers here are too many to be deleted at once.
  private func isMass(_ count: Int, of local: Int) -> Bool {
    count >= minimum && Double(count) > share * Double(local)
  }
}
