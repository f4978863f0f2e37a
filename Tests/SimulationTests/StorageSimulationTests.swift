import Testing

@Suite("Simulation: a bookie's storage") struct StorageSimulationTests {
  @Test("Nothing acknowledged is lost or denied, no fence forgotten") func storage() async {
    await Seeds.simulate(
      "storage", usual: 1_000,
      faults: [
        "crashes", "lost sectors", "torn writes", "lost names", "flipped bits in entry logs",
        "flipped bits in journals", "flipped bits in last records of journals",
        "writes to a full disk", "failed reads", "starts that were cut short", "deaths while syncing",
        "deaths while renaming", "deaths while indexing", "jumps of the clock", "fences promised",
        "entries said to be unknown", "starts into limbo", "adds to deleted ledgers",
      ]
    ) { seed, tally in
      do { try StorageSimulation(seed: seed, tally: tally).run() } catch is StorageSimulation.Refused {}
    }
  }

  @Test("The checks find deliberate mistakes", arguments: StorageSimulation.Mutation.allCases)
  func mistakes(_ mutation: StorageSimulation.Mutation) {
    Seeds.finds(mutation.rawValue, from: mutation.firstSeed) { seed, isMistaken in
      do {
        try StorageSimulation(seed: seed, mutation: isMistaken ? mutation : nil).run()
      } catch is StorageSimulation.Refused {}
    }
  }
}
