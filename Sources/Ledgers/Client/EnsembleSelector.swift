import NIOCore

/// Picks bookies for ensembles from those that are registered, by the placement policy.
struct EnsembleSelector: Sendable {
  let directory: BookieDirectory
  let placement: any PlacementPolicy

  /// Bookies for a new ledger.
  func newEnsemble(_ options: LedgerOptions) async throws(LedgerError) -> [String] {
    if let ensemble = attempt(options) { return ensemble }
    // The watch may not have told us yet of a bookie that has just started.
    try await directory.refresh()
    if let ensemble = attempt(options) { return ensemble }
    throw .notEnoughBookies(needed: options.ensembleSize, available: directory.available.count)
  }

  /// Other bookies for the places of `change`, as far as there are any.
  func replacements(for change: LedgerWriter.EnsembleChange, writeQuorum: Int) -> (ensemble: [String], slots: [Int]) {
    var generator = SystemRandomNumberGenerator()
    let candidates = directory.available
    let suspects = directory.suspects
    var ensemble = change.ensemble
    var replaced: [Int] = []
    var excluded = Set(ensemble)
    for slot in change.vacant where !suspects.contains(ensemble[slot]) {
      // It was away, and is back.
      excluded.remove(ensemble[slot])
    }
    for slot in change.slots {
      guard
        let bookie = placement.replacement(
          for: slot, in: ensemble, writeQuorum: writeQuorum, candidates: candidates, excluded: excluded,
          avoiding: suspects, using: &generator)
      else { continue }
      ensemble[slot] = bookie
      excluded.insert(bookie)
      replaced.append(slot)
    }
    return (ensemble, replaced)
  }

  private func attempt(_ options: LedgerOptions) -> [String]? {
    var generator = SystemRandomNumberGenerator()
    return placement.newEnsemble(
      size: options.ensembleSize, writeQuorum: options.writeQuorumSize, candidates: directory.available,
      avoiding: directory.suspects, using: &generator)
  }
}
