import NIOCore
import Transport

/// How a ``LedgerClient`` talks to bookies.
public struct LedgerClientConfiguration: Sendable {
  /// How long one add may take on one bookie before the bookie is replaced (`addEntryTimeoutSec`).
  public var addEntryTimeout: TimeAmount = .seconds(5)
  /// How long an entry may wait for its ack quorum before the ledger fails; nil: for ever (`addEntryQuorumTimeoutSec`).
  public var addEntryQuorumTimeout: TimeAmount?
  /// How long one read, or fence, may take on one bookie (`readEntryTimeoutSec`).
  public var readEntryTimeout: TimeAmount = .seconds(5)
  /// After how long a second replica is asked too, at most (`maxSpeculativeReadTimeout`).
  public var speculativeReadDelay: TimeAmount = .milliseconds(500)
  /// A second replica is asked after twice the time within which so many percent of reads are answered.
  public var speculativeReadPercentile: Double = 99
  /// After how long a second replica is asked, at least (`firstSpeculativeReadTimeout`).
  public var shortestSpeculativeReadDelay: TimeAmount = .milliseconds(5)
  /// Ask healthy bookies before slow ones, and those before failed ones (`reorderReadSequenceEnabled`).
  public var reorderReadSequenceEnabled = true
  /// Reads of one loop without an answer beyond which a bookie counts as slow (`readReorderThresholdPendingRequests`).
  public var readReorderThresholdPendingRequests = 256
  /// How long to wait for a TCP connection (`clientConnectTimeoutMillis`).
  public var connectTimeout: TimeAmount = .seconds(3)
  /// Longest pause between attempts to connect to a bookie that is away; attempts start at a hundredth of it.
  public var maximumReconnectDelay: TimeAmount = .seconds(5)
  /// How long a writer that lost a bookie, but still has its ack quorum, waits before it looks for a replacement again.
  public var ensembleChangeRetryDelay: TimeAmount = .seconds(5)
  /// Bytes queued towards one bookie, by each event loop, beyond which adds to it fail, and it is replaced. Bounds what a
  /// slow bookie costs in memory.
  public var maximumQueuedBytesPerBookie: Int = 64 << 20
  /// A bookie on which adds take so many times as long as on the median one is replaced while it still answers, if there
  /// is another one; 0: never.
  public var slowBookieLatencyFactor = 10
  /// A bookie on which adds take no longer than this is not slow.
  public var slowBookieLatencyFloor: TimeAmount = .milliseconds(50)
  /// How long a bookie must be slow before it is replaced.
  public var slowBookiePatience: TimeAmount = .seconds(3)
  /// What connections to bookies are encrypted with; nil: they are not.
  public var tls: TLSContext?
  /// Largest frame, the same as the bookies' (`nettyMaxFrameSizeBytes`).
  public var maximumFrameSize: Int = 5 * 1_024 * 1_024 + 10_240
  /// Read a ledger from one bookie where each has every entry, which keeps that bookie's read-ahead useful; without it the
  /// bookies share the reading, entry by entry (`bookkeeperEnableStickyReads`).
  public var stickyReadsEnabled = true
  /// Payload that a ledger's handle reads before it is asked for, for readers that read on; 0: none.
  public var readAheadBytesPerLedger = 4 << 20
  /// Payload that all handles together read before they are asked for.
  public var readAheadBytesOfAllLedgers = 64 << 20
  /// Reads of one range in flight at once.
  public var maximumReadsInFlight: Int = 64
  /// Entries read, and written again, at once while a ledger is recovered.
  public var recoveryReadBatchSize: Int = 32
  /// How often `openLedger` tries to recover a ledger before it reports why it could not.
  public var recoveryAttempts: Int = 4
  /// How long a bookie that failed is avoided by new ensembles (`bookieFailureHistoryExpirationMSec`).
  public var bookieFailureHistoryExpiration: TimeAmount = .seconds(60)
  /// Failures of one bookie within `bookieHealthCheckInterval` that put it into quarantine; 0: never
  /// (`bookieErrorThresholdPerInterval`).
  public var bookieErrorThresholdPerInterval = 100
  /// Over how long failures are counted (`bookieHealthCheckIntervalSeconds`).
  public var bookieHealthCheckInterval: TimeAmount = .seconds(60)
  /// How long a bookie stays in quarantine (`bookieQuarantineTimeSeconds`).
  public var bookieQuarantineTime: TimeAmount = .minutes(30)
  /// How long a bookie must be missing from the registrations before ledgers that nobody appends to replace it too.
  public var lostBookieGracePeriod: TimeAmount = .seconds(10)
  /// How long a writer that closes its ledger waits for bookies that are behind, before it has auto-recovery look after their
  /// copies.
  public var lateCopiesDelay: TimeAmount = .milliseconds(200)
  /// For how long copies in doubt are gathered before they are noted for auto-recovery.
  public var repairDelay: Duration = .milliseconds(200)
  /// Ask one bookie for many entries at once where it has them all (ensemble size == write quorum size).
  public var batchReadEnabled: Bool = true
  /// Bookies of the same process, reached without sockets.
  public var localBookies: LocalBookieRegistry?
  /// Chooses bookies for ensembles.
  public var placement: any PlacementPolicy = RandomPlacement()

  /// The defaults.
  public init() {}
}
