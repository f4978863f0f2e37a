import NIOCore

/// Picks bookies for ensembles from those that are registered, by the placement policy and the ledger's affinity.
struct EnsembleSelector: Sendable {
  let directory: BookieDirectory
  let placement: any PlacementPolicy

  /// Bookies for a new ledger.
  func newEnsemble(_ options: LedgerOptions) async throws(LedgerError) -> [String] {
    if let ensemble = attempt(options) { return ensemble }
    // The watch may not have told us yet of a bookie that has just started.
    try await directory.refresh()
    if let ensemble = attempt(options) { return ensemble }
    throw .notEnoughBookies(
      needed: options.ensembleSize,
      available: candidates(options.affinity, needed: options.ensembleSize).count)
  }

  /// Other bookies for the places of `change`, as far as there are any.
  func replacements(
    for change: LedgerWriter.EnsembleChange, of metadata: LedgerMetadata
  ) -> (ensemble: [String], slots: [Int]) {
    let suspects = directory.suspects
    // A vacant place whose bookie was away and is back may have it again.
    let returning = Set(change.vacant.map { change.ensemble[$0] }.filter { !suspects.contains($0) })
    return replacements(
      for: change.slots, in: change.ensemble, of: metadata, returning: returning, suspects: suspects)
  }

  /// Other bookies for the places `slots` of `ensemble`, as far as there are any. Those in `returning` may
  /// have their places again.
  func replacements(
    for slots: [Int], in start: [String], of metadata: LedgerMetadata, returning: Set<String> = [],
    suspects: Set<String>? = nil
  ) -> (ensemble: [String], slots: [Int]) {
    var generator = SystemRandomNumberGenerator()
    let suspects = suspects ?? directory.suspects
    let candidates = candidates(
      BookieAffinity(customMetadata: metadata.customMetadata), needed: metadata.ensembleSize + slots.count)
    var ensemble = start
    var replaced: [Int] = []
    for slot in slots where start.indices.contains(slot) {
      // A bookie that is back may have its own place only: in another one it could end up twice in the ensemble.
      var excluded = Set(start).union(ensemble)
      if returning.contains(start[slot]) { excluded.remove(start[slot]) }
      guard
        let bookie = placement.replacement(
          for: slot, in: ensemble, writeQuorum: metadata.writeQuorumSize, candidates: candidates, excluded: excluded,
          avoiding: suspects, using: &generator)
      else { continue }
      ensemble[slot] = bookie
      replaced.append(slot)
    }
    return (ensemble, replaced)
  }

  private func candidates(_ affinity: BookieAffinity?, needed: Int) -> [BookieInfo] {
    let available = directory.available
    return affinity?.candidates(among: available, needed: needed) ?? available
  }

  private func attempt(_ options: LedgerOptions) -> [String]? {
    var generator = SystemRandomNumberGenerator()
    return placement.newEnsemble(
      size: options.ensembleSize, writeQuorum: options.writeQuorumSize,
      candidates: candidates(options.affinity, needed: options.ensembleSize), avoiding: directory.suspects,
      using: &generator)
  }
}
