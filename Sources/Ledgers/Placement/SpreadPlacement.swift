/// Picks bookies so that places of an ensemble that share entries are in different failure domains.
///
/// Two places share entries if they are less than a write quorum apart in the ring of places. For each place in turn the
/// candidates with the fewest neighbours in their own (first, then second ...) domain are taken, and among them one at
/// random, by weight. Bookies that failed of late are the last choice.
struct SpreadPlacement: Sendable {
  typealias Domain = @Sendable (BookieInfo) -> String

  private let domains: [Domain]
  private let minimumDomains: Int
  private let enforcesMinimum: Bool
  private let weights: DiskWeights?

  /// - Parameters:
  ///   - domains: from the widest domain to the narrowest.
  ///   - minimumDomains: widest domains that each write set should be in, at least.
  init(domains: [Domain], minimumDomains: Int, enforcesMinimum: Bool, weights: DiskWeights?) {
    self.domains = domains
    self.minimumDomains = minimumDomains
    self.enforcesMinimum = enforcesMinimum
    self.weights = weights
  }

  func newEnsemble(
    size: Int, writeQuorum: Int, candidates: [BookieInfo], avoiding: Set<String>,
    using generator: inout some RandomNumberGenerator
  ) -> [String]? {
    guard candidates.count >= size, size > 0 else { return nil }
    let bookies = Dictionary(candidates.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    // Taking one place after the other can paint itself into a corner; other draws seldom do.
    var best: [String]?
    var bestAdherence = PlacementAdherence.violated
    for _ in 0..<(domains.isEmpty ? 1 : 8) {
      var places = [String?](repeating: nil, count: size)
      for slot in 0..<size {
        places[slot] = pick(
          slot, places, writeQuorum, bookies, excluded: Set(places.compactMap { $0 }), avoiding, &generator)
      }
      let ensemble = places.compactMap { $0 }
      guard ensemble.count == size else { return nil }
      let adherence = adherence(of: ensemble, writeQuorum: writeQuorum, bookies: bookies)
      if best == nil || adherence > bestAdherence { (best, bestAdherence) = (ensemble, adherence) }
      if bestAdherence == .full { break }
    }
    return enforcesMinimum && bestAdherence == .violated ? nil : best
  }

  func replacement(
    for slot: Int, in ensemble: [String], writeQuorum: Int, candidates: [BookieInfo], excluded: Set<String>,
    avoiding: Set<String>, using generator: inout some RandomNumberGenerator
  ) -> String? {
    guard ensemble.indices.contains(slot) else { return nil }
    let bookies = Dictionary(candidates.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    var places: [String?] = ensemble
    places[slot] = nil
    guard let found = pick(slot, places, writeQuorum, bookies, excluded: excluded, avoiding, &generator) else {
      return nil
    }
    var whole = ensemble
    whole[slot] = found
    if enforcesMinimum, adherence(of: whole, writeQuorum: writeQuorum, bookies: bookies) == .violated { return nil }
    return found
  }

  /// Every write set must be in as many widest domains as demanded, or as there are copies; bookies whose place is unknown
  /// count as elsewhere. Full: no two copies share a domain that they need not share.
  func adherence(of ensemble: [String], writeQuorum: Int, bookies: [String: BookieInfo]) -> PlacementAdherence {
    guard let widest = domains.first, !ensemble.isEmpty, writeQuorum > 1 else { return .full }
    var demanded = min(minimumDomains, writeQuorum)
    // Where there are fewer domains nothing better can be had: it is no violation unless the minimum is enforced.
    if !enforcesMinimum { demanded = min(demanded, max(1, Set(bookies.values.map(widest)).count)) }
    var result = PlacementAdherence.full
    for start in ensemble.indices {
      let names = (0..<min(writeQuorum, ensemble.count)).map { distance -> String in
        let bookie = ensemble[(start + distance) % ensemble.count]
        return bookies[bookie].map(widest) ?? "unknown \(bookie)"
      }
      let distinct = Set(names).count
      if distinct < demanded { return .violated }
      if distinct < names.count { result = .partial }
    }
    return result
  }

  private func pick(
    _ slot: Int, _ places: [String?], _ writeQuorum: Int, _ bookies: [String: BookieInfo], excluded: Set<String>,
    _ avoiding: Set<String>, _ generator: inout some RandomNumberGenerator
  ) -> String? {
    let usable = bookies.values.filter { !excluded.contains($0.id) }.sorted { $0.id < $1.id }
    guard !usable.isEmpty else { return nil }
    let neighbours = neighbours(of: slot, places, writeQuorum).compactMap { bookies[$0] }
    let taken = domains.map { domain in
      neighbours.reduce(into: [String: Int]()) { $0[domain($1), default: 0] += 1 }
    }
    var best: [BookieInfo] = []
    var bestCost: [Int] = []
    for candidate in usable {
      // A domain too few is worse than a bookie that failed of late only where the minimum is enforced.
      let crowding = zip(domains, taken).map { domain, counts in counts[domain(candidate), default: 0] }
      let failed = avoiding.contains(candidate.id) ? 1 : 0
      let cost = enforcesMinimum ? crowding + [failed] : [failed] + crowding
      if best.isEmpty || cost.lexicographicallyPrecedes(bestCost) {
        (best, bestCost) = ([candidate], cost)
      } else if cost == bestCost {
        best.append(candidate)
      }
    }
    return draw(best, &generator)?.id
  }

  /// The bookies of other places that share entries with `slot`.
  private func neighbours(of slot: Int, _ places: [String?], _ writeQuorum: Int) -> [String] {
    places.indices.compactMap { other in
      let distance = abs(other - slot)
      guard other != slot, min(distance, places.count - distance) < writeQuorum else { return nil }
      return places[other]
    }
  }

  private func draw(_ candidates: [BookieInfo], _ generator: inout some RandomNumberGenerator) -> BookieInfo? {
    guard let weights else { return candidates.randomElement(using: &generator) }
    let shares = weights.weights(of: candidates)
    var rest = Double.random(in: 0..<max(1, shares.reduce(0, +)), using: &generator)
    for (candidate, share) in zip(candidates, shares) {
      if rest < share { return candidate }
      rest -= share
    }
    return candidates.last
  }
}
