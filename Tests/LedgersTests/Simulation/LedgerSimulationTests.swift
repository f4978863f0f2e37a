import Foundation
import Testing

@testable import Ledgers

@Suite struct LedgerSimulationTests {
  /// Seeds to run: `MERIDIAN_SEEDS` of them, or as many as take a few seconds; from `MERIDIAN_SEED` on.
  private static let seeds: Range<UInt64> = {
    let environment = ProcessInfo.processInfo.environment
    let first = environment["MERIDIAN_SEED"].flatMap(UInt64.init) ?? 0
    return first..<(first + (environment["MERIDIAN_SEEDS"].flatMap(UInt64.init) ?? 300))
  }()

  @Test func nothingAcknowledgedIsLostUnderFaults() {
    var injected: [String: Int] = [:]
    var confirmed: Int64 = 0
    for seed in Self.seeds {
      let simulation = LedgerSimulation(seed: seed)
      do { try simulation.run() } catch {
        Issue.record("Seed \(seed): \(error). Run it alone with MERIDIAN_SEED=\(seed) MERIDIAN_SEEDS=1.")
        return
      }
      injected.merge(simulation.network.injected) { $0 + $1 }
      confirmed += simulation.confirmed + 1
    }
    // The run is worth something only if all of this happened.
    for fault in [
      "lost requests", "lost answers", "doubled requests", "doubled answers", "slow messages", "crashed bookies",
      "crashed writers", "crashed recoveries", "ensemble changes", "recoveries that lost a race",
      "recoveries that could not decide", "reports of missing copies", "bookies replaced by a repair",
    ] where Self.seeds.count >= 100 {
      #expect(injected[fault, default: 0] > 0, "\(fault) did not happen")
    }
    let figures = injected.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    print("ledger simulation: \(Self.seeds.count) seeds, \(confirmed) entries confirmed; \(figures)")
  }

  @Test(arguments: [
    ("fence not durable", Mutations.fenceIsNotDurable),
    ("recovery reads do not fence", Mutations.recoveryReadsDoNotFence),
    ("silence counts as negative", .silenceIsNegative),
    ("acks of replaced bookies count", .generationsAreIgnored),
    ("segment starts late", .segmentStartsLate),
    ("no compare-and-set", .noCompareAndSet),
    ("acknowledged before stored", .acknowledgesBeforeItStores),
    ("missing copies are not reported", .missingCopiesAreNotReported),
    ("repair names before it copies", .repairNamesBeforeItCopies),
    ("repair skips what it cannot read", .repairSkipsWhatItCannotRead),
  ])
  func theChecksFindDeliberateMistakes(_ mutation: (name: String, set: Mutations)) {
    for seed in UInt64(0)..<3_000 {
      do { try LedgerSimulation(seed: seed, mutations: mutation.set).run() } catch {
        return print("ledger simulation: '\(mutation.name)' found by seed \(seed): \(error)")
      }
    }
    Issue.record("3000 seeds did not find: \(mutation.name)")
  }
}
