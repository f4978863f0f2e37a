/// How much more likely a bookie is chosen the more free disk it has.
///
/// A bookie that told nothing weighs as much as the median one; nobody weighs more than a multiple of the median, so that a
/// new, empty bookie is not buried under all new ledgers.
struct DiskWeights: Sendable {
  /// `bookieMaxWeightMultipleForWeightBasedPlacement`; 0: no bound.
  let maxMultiple: Int

  /// A weight of at least 1 for each candidate, in their order.
  func weights(of candidates: [BookieInfo]) -> [Double] {
    let known = candidates.compactMap(\.freeDiskBytes).filter { $0 > 0 }.sorted()
    guard !known.isEmpty else { return Array(repeating: 1, count: candidates.count) }
    let median = Double(known[known.count / 2])
    return candidates.map { candidate in
      guard let free = candidate.freeDiskBytes else { return median }
      let most = maxMultiple > 0 ? median * Double(maxMultiple) : Double.infinity
      return min(max(1, Double(free)), most)
    }
  }
}
