import Testing

@Suite("Simulation: a whole region") struct RegionSimulationTests {
  @Test("The rules hold under faults, and everything ends when they stop", arguments: 0..<UInt64(2))
  func region(part: UInt64) {
    let total = Tally()
    for seed in Seeds.part(part, of: 2, usual: 40) {
      do {
        let simulation = try RegionSimulation(seed: seed)
        defer { total.merge(simulation.tally) }
        try simulation.run()
      } catch {
        return Seeds.failed(seed, error)
      }
    }
    print("region simulation, part \(part + 1) of 2: \(total.text)")
    guard Seeds.count(40) >= 1000 else { return }
    for fault in [
      "lost requests", "lost answers", "doubled requests", "doubled answers", "slow messages", "answers on a cut way",
      "requests on a cut way", "crashed bookies", "crashed brokers", "stalled bookies", "lost sectors", "torn writes",
      "flipped bits", "writes to a full disk", "lost metadata answers", "jumps of a clock",
      "ensemble changes", "recoveries that lost a race", "recoveries that could not decide",
      "takeovers that lost a race", "entries confirmed", "entries verified", "entries read by followers",
    ] {
      #expect(total.counts[fault, default: 0] > 0, "\(fault) did not happen")
    }
  }

  @Test("The checks find deliberate mistakes", arguments: RegionSimulation.Mutation.allCases)
  func mistakes(_ mutation: RegionSimulation.Mutation) {
    for seed in UInt64(0)..<3000 {
      do {
        try RegionSimulation(seed: seed, mutation: mutation).run()
      } catch {
        return print("region simulation: '\(mutation)' found by seed \(seed): \(error)")
      }
    }
    Issue.record("3000 seeds did not find: \(mutation)")
  }
}
