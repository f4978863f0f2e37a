/// Decides which ledgers may be deleted. A ledger must be missing from metadata in two rounds in a row, and a round that would
/// delete too much deletes nothing: a short or wrong answer of the metadata store must never cost data.
struct GarbageSelection {
  /// What to do with the ledgers that a round found missing.
  enum Decision: Equatable {
    case delete([Int64])
    case refuse(missing: Int, of: Int)
  }

  private var massGuard: MassGuard
  private var suspects: Set<Int64> = []

  init(share: Double, minimum: Int) {
    massGuard = MassGuard(share: share, minimum: minimum)
  }

  /// A round looked each of `local` ledgers up, and `missing` were not there.
  /// - Parameter confirmed: the number of ledgers that an operator saw refused, and wants to be deleted all the same.
  mutating func round(local: Int, missing: Set<Int64>, confirmed: Int? = nil) -> Decision {
    switch massGuard.check(missing, of: local, confirmed: confirmed) {
    case .allow:
      defer { suspects = missing }
      return .delete(suspects.intersection(missing).sorted())
    case .confirmed(let ledgers):
      suspects = missing
      return .delete(ledgers.sorted())
    case .refuse:
      suspects = []
      return .refuse(missing: missing.count, of: local)
    }
  }
}
