@testable import Bookie
@testable import Ledgers

/// What differs between the regions of different seeds.
struct RegionShape {
  /// Sizes of ensembles and quorums.
  let options: LedgerOptions
  /// Bookies of which a ledger does without.
  let spares: Int
  /// Whether messages are parts of connections.
  let hasStreams: Bool
  /// Whether there is auto-recovery.
  let hasRepairs: Bool
  /// Whether the topic forgets old ledgers.
  let trims: Bool
  /// Most entries of a ledger.
  let entries: Int
  /// For how long faults happen.
  let ms: Int
  /// Most time between two searches for deleted ledgers.
  let collectionMs: Int
  let massDelete: (share: Double, minimum: Int)
  /// How long a repair waits for the writer of a ledger that misses a bookie.
  let graceMs: Int64

  init(_ chance: Chance) {
    let (size, writeQuorum, ackQuorum) = chance.pick([
      (3, 2, 2), (3, 3, 2), (3, 3, 3), (5, 3, 2), (4, 2, 1), (1, 1, 1), (5, 3, 3), (2, 2, 2), (4, 3, 2), (3, 3, 2),
    ])
    options = LedgerOptions(ensembleSize: size, writeQuorumSize: writeQuorum, ackQuorumSize: ackQuorum)
    // Whatever may be lost can be replaced.
    spares = max(chance.number(1...2), ackQuorum - 1)
    hasStreams = chance.percent(50)
    hasRepairs = chance.percent(60)
    trims = chance.percent(50)
    entries = chance.pick([5, 30, 60])
    ms = chance.number(300...900)
    collectionMs = chance.pick([60, 300])
    massDelete = chance.pick([(0.5, 100), (0.5, 1)])
    graceMs = Int64(chance.pick([50, 400]))
  }
}
