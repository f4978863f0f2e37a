import Testing

@Suite("Simulation: a whole region") struct RegionSimulationTests {
  @Test("The rules hold under faults, and everything ends when they stop") func region() async {
    await Seeds.simulate(
      "region", usual: 1_000,
      faults: [
        "lost requests", "lost answers", "doubled requests", "doubled answers", "slow messages", "messages of long ago",
        "broken connections",
        "answers on a cut way", "requests on a cut way", "crashed bookies", "crashed brokers",
        "restarts right after a fence", "stalled bookies",
        "slow bookies", "lost sectors", "torn writes", "lost names", "flipped bits in entry logs",
        "flipped bits in journals", "flipped bits in last records of journals", "flipped bits in marks and cookies",
        "writes to a full disk", "failed reads",
        "wiped bookies",
        "disks that were mixed up",
        "bookies that refuse to start", "leases that ended early", "lost metadata answers", "truncated listings",
        "jumps of a clock", "starts into limbo", "bookies that left limbo", "ensemble changes",
        "ledgers recovered while they were written",
        "recoveries that lost a race", "recoveries that could not decide", "takeovers that lost a race",
        "bookies that a writer found gone",
        "deleted ledgers", "ledgers collected", "mass deletes that were refused", "reports of missing copies",
        "repairs", "repairs that were broken off", "bookies replaced by a repair", "entries copied by repairs",
        "ledgers closed by repairs", "entries confirmed", "entries verified", "entries read by followers",
      ] + RegionRules.Rule.allCases.map { "checks of '\($0.rawValue)'" }
    ) { seed, tally in
      try RegionSimulation(seed: seed, tally: tally).run()
    }
  }

  @Test("A seed repeats itself") func repeats() throws {
    for seed in UInt64(0)..<3 {
      let traces = try (0..<2).map { _ in
        let simulation = try RegionSimulation(seed: seed)
        try simulation.run()
        return simulation.network.trace
      }
      #expect(traces[0] == traces[1], "seed \(seed)")
    }
  }

  @Test("The checks find deliberate mistakes", arguments: RegionSimulation.Mutation.allCases)
  func mistakes(_ mutation: RegionSimulation.Mutation) {
    Seeds.finds(mutation.rawValue, from: mutation.firstSeed) { seed, isMistaken in
      try RegionSimulation(seed: seed, mutation: isMistaken ? mutation : nil).run()
    }
  }
}
