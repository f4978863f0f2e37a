import Foundation
import Testing

@testable import Bookie

/// Which seeds to run: `MERIDIAN_SEEDS` of them from `MERIDIAN_SEED` on.
enum Seeds {
  private static let environment = ProcessInfo.processInfo.environment
  static let first = environment["MERIDIAN_SEED"].flatMap(UInt64.init) ?? 0

  static func count(_ usual: UInt64) -> UInt64 { environment["MERIDIAN_SEEDS"].flatMap(UInt64.init) ?? usual }

  /// The seeds of one of `parts` that run beside each other.
  static func part(_ part: UInt64, of parts: UInt64, usual: UInt64) -> StrideTo<UInt64> {
    stride(from: first + part, to: first + count(usual), by: Int(parts))
  }

  static func failed(_ seed: UInt64, _ error: any Error) {
    Issue.record("Seed \(seed): \(error). Run it alone with MERIDIAN_SEED=\(seed) MERIDIAN_SEEDS=1.")
  }
}

@Suite("Simulation: a bookie's storage") struct StorageSimulationTests {
  @Test("Nothing acknowledged is lost or denied, no fence forgotten", arguments: 0..<UInt64(2))
  func storage(part: UInt64) {
    let total = Tally()
    for seed in Seeds.part(part, of: 2, usual: 150) {
      do {
        let simulation = try StorageSimulation(seed: seed)
        defer { total.merge(simulation.tally) }
        try simulation.run()
      } catch is StorageSimulation.Refused {
        continue
      } catch {
        return Seeds.failed(seed, error)
      }
    }
    print("storage simulation, part \(part + 1) of 2: \(total.text)")
    guard Seeds.count(150) >= 1000 else { return }
    for fault in [
      "crashes", "lost sectors", "torn writes", "lost names", "flipped bits", "writes to a full disk", "failed reads",
      "starts that were cut short", "deaths while syncing", "deaths while renaming", "deaths while indexing",
      "jumps of the clock", "fences promised", "entries said to be unknown",
    ] {
      #expect(total.counts[fault, default: 0] > 0, "\(fault) did not happen")
    }
  }

  @Test("The checks find deliberate mistakes", arguments: StorageSimulation.Mutation.allCases)
  func mistakes(_ mutation: StorageSimulation.Mutation) {
    for seed in UInt64(0)..<2000 {
      do {
        try StorageSimulation(seed: seed, mutation: mutation).run()
      } catch let violation as Violation {
        return print("storage simulation: '\(mutation)' found by seed \(seed): \(violation)")
      } catch {}
    }
    Issue.record("2000 seeds did not find: \(mutation)")
  }
}
