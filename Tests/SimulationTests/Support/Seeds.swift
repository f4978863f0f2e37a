import Foundation
import NIOConcurrencyHelpers
import Testing

/// Which seeds to run, and their running on two threads, each seed on one.
enum Seeds {
  private static let environment = ProcessInfo.processInfo.environment

  /// `MERIDIAN_SEEDS` of them from `MERIDIAN_SEED` on; without these as many as are usual, from 0 on.
  static func range(usual: UInt64) -> Range<UInt64> {
    let first = environment["MERIDIAN_SEED"].flatMap(UInt64.init) ?? 0
    return first..<first + (environment["MERIDIAN_SEEDS"].flatMap(UInt64.init) ?? usual)
  }

  struct Outcome: Sendable {
    var counts: [String: Int] = [:]
    var finished = 0
    /// The failures of the lowest seeds that failed.
    var failures: [(seed: UInt64, error: String)] = []
    var seconds = 0.0

    /// What happened how often.
    var text: String {
      counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    }
  }

  /// Runs each seed alone on one thread, two seeds at a time. Ends at the first failure.
  static func run(_ seeds: Range<UInt64>, _ body: @escaping @Sendable (UInt64, Tally) throws -> Void) async -> Outcome {
    let start = ContinuousClock.now
    let next = NIOLockedValueBox(seeds.lowerBound)
    let outcome = NIOLockedValueBox(Outcome())
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<2 {
        group.addTask {
          await withCheckedContinuation { done in
            // Not a thread of the pool, which other tests need meanwhile.
            let thread = Thread {
              work(seeds, next, outcome, body)
              done.resume()
            }
            thread.stackSize = 4 << 20
            thread.start()
          }
        }
      }
    }
    let spent = ContinuousClock.now - start
    return outcome.withLockedValue { outcome in
      outcome.seconds = Double(spent.components.seconds) + Double(spent.components.attoseconds) / 1e18
      outcome.failures.sort { $0.seed < $1.seed }
      return outcome
    }
  }

  private static func work(
    _ seeds: Range<UInt64>, _ next: NIOLockedValueBox<UInt64>, _ outcome: NIOLockedValueBox<Outcome>,
    _ body: (UInt64, Tally) throws -> Void
  ) {
    while true {
      let seed = next.withLockedValue { next in
        defer { next += 1 }
        return next
      }
      guard seed < seeds.upperBound, outcome.withLockedValue({ $0.failures.isEmpty }) else { return }
      let tally = Tally()
      var failure: String?
      do { try body(seed, tally) } catch { failure = "\(error)" }
      let (counts, error) = (tally.counts, failure)
      outcome.withLockedValue { outcome in
        outcome.counts.merge(counts, uniquingKeysWith: +)
        outcome.finished += 1
        if let error { outcome.failures.append((seed, error)) }
      }
    }
  }

  /// Runs the seeds of a simulation, prints what was injected, and records a failure with how to repeat it.
  static func simulate(
    _ name: String, usual: UInt64, faults: [String], _ body: @escaping @Sendable (UInt64, Tally) throws -> Void
  ) async {
    let seeds = range(usual: usual)
    let outcome = await run(seeds, body)
    let rate = Int(Double(outcome.finished) / max(outcome.seconds, 0.001))
    print(
      "\(name) simulation: \(outcome.finished) seeds from \(seeds.lowerBound) on, \(rate) a second; \(outcome.text)")
    if let first = outcome.failures.first {
      let again = "MERIDIAN_SEED=\(first.seed) MERIDIAN_SEEDS=1"
      Issue.record("Seed \(first.seed): \(first.error) Run it alone with \(again).")
    } else if seeds.count >= 500 {
      // The run is worth something only if all of this happened.
      for fault in faults { #expect(outcome.counts[fault, default: 0] > 0, "\(fault) did not happen") }
    }
  }

  /// A deliberate mistake is found by one of the seeds from `first` (or `MERIDIAN_SEED`) on, which passes without it.
  static func finds(
    _ name: String, from first: UInt64, atMost limit: UInt64 = 400,
    _ attempt: (UInt64, _ isMistaken: Bool) throws -> Void
  ) {
    let first = environment["MERIDIAN_SEED"].flatMap(UInt64.init) ?? first
    for seed in first..<first + limit {
      do {
        try attempt(seed, true)
      } catch {
        print("'\(name)' is found by seed \(seed): \(error)")
        do { try attempt(seed, false) } catch {
          Issue.record("Seed \(seed) fails without any mistake: \(error)")
        }
        return
      }
    }
    Issue.record("\(limit) seeds from \(first) on do not find: \(name)")
  }
}
