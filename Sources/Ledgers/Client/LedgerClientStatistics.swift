import NIOConcurrencyHelpers
import NIOCore
import Transport

/// What a ``LedgerClient`` has done since it was made. Names in parentheses are those of BookKeeper's metrics.
public struct LedgerClientStatistics: Sendable, Equatable {
  /// How often something was done, and how long it took.
  public struct Operation: Sendable, Equatable {
    /// What succeeded.
    public var latency = LatencyHistogram()
    /// What failed.
    public var failures: Int64 = 0

    mutating func merge(_ other: Operation) {
      latency.merge(other.latency)
      failures += other.failures
    }
  }

  /// Ledgers created (`LEDGER_CREATE`).
  public var creations = Operation()
  /// Ledgers opened to be read from end to end (`LEDGER_OPEN`).
  public var openings = Operation()
  /// Ledgers closed in place of their writer (`LEDGER_RECOVER`).
  public var recoveries = Operation()
  /// Ledgers deleted (`LEDGER_DELETE`).
  public var deletions = Operation()
  /// Entries appended, from the append to its acknowledgement (`ADD_ENTRY`).
  public var adds = Operation()
  /// Ranges of entries read (`READ_ENTRY`).
  public var reads = Operation()
  /// Bookies replaced in ensembles, each change counted once (`NUM_ENSEMBLE_CHANGE`).
  public var ensembleChanges: Int64 = 0
  /// Questions to another bookie since the first was slow (`SPECULATIVE_READ_COUNT`).
  public var speculativeReads: Int64 = 0
  /// Answers whose bytes are not what was written (`READ_ENTRY_DM`).
  public var damagedAnswers: Int64 = 0
  /// Bookies put into quarantine (`BOOKIE_QUARANTINE`).
  public var quarantines: Int64 = 0
  /// Bookies in quarantine now.
  public var quarantinedBookies = 0

  /// Nothing done.
  public init() {}

  mutating func merge(_ other: LedgerClientStatistics) {
    creations.merge(other.creations)
    openings.merge(other.openings)
    recoveries.merge(other.recoveries)
    deletions.merge(other.deletions)
    adds.merge(other.adds)
    reads.merge(other.reads)
    ensembleChanges += other.ensembleChanges
    speculativeReads += other.speculativeReads
    damagedAnswers += other.damagedAnswers
    quarantines += other.quarantines
    quarantinedBookies += other.quarantinedBookies
  }
}

/// The figures of what is not done on one loop: creating, opening and deleting ledgers.
final class LedgerClientCounters: Sendable {
  private let value = NIOLockedValueBox(LedgerClientStatistics())

  var snapshot: LedgerClientStatistics { value.withLockedValue { $0 } }

  /// Does something, and counts it.
  func measure<Result>(
    _ operation: WritableKeyPath<LedgerClientStatistics, LedgerClientStatistics.Operation> & Sendable,
    _ body: () async throws -> Result
  ) async throws -> Result {
    let start = NIODeadline.now()
    do {
      let result = try await body()
      let spent = (NIODeadline.now() - start).nanoseconds
      value.withLockedValue { $0[keyPath: operation].latency.record(nanoseconds: spent) }
      return result
    } catch {
      value.withLockedValue { $0[keyPath: operation].failures += 1 }
      throw error
    }
  }
}

extension LedgerClient {
  /// What was done since the client was made, on all its loops.
  public func statistics() async -> LedgerClientStatistics {
    var all = counters.snapshot
    all.quarantines += directory.quarantines
    all.quarantinedBookies = directory.quarantined.count
    for bookies in loops {
      guard let figures = try? await bookies.eventLoop.submit({ bookies.figures }).get() else { continue }
      all.merge(figures)
    }
    return all
  }
}
