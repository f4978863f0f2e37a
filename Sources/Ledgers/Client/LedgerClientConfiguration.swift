import NIOCore

/// How a ``LedgerClient`` talks to bookies.
public struct LedgerClientConfiguration: Sendable {
  /// How long one add may take on one bookie before the bookie is replaced (`addEntryTimeoutSec`).
  public var addEntryTimeout: TimeAmount = .seconds(5)
  /// How long an entry may wait for its ack quorum before the ledger fails; nil: for ever (`addEntryQuorumTimeoutSec`).
  public var addEntryQuorumTimeout: TimeAmount?
  /// How long one read, or fence, may take on one bookie (`readEntryTimeoutSec`).
  public var readEntryTimeout: TimeAmount = .seconds(5)
  /// After how long a second replica is asked too (`firstSpeculativeReadTimeout`).
  public var speculativeReadDelay: TimeAmount = .milliseconds(500)
  /// How long to wait for a TCP connection (`clientConnectTimeoutMillis`).
  public var connectTimeout: TimeAmount = .seconds(3)
  /// Longest pause between attempts to connect to a bookie that is away; attempts start at a hundredth of it.
  public var maximumReconnectDelay: TimeAmount = .seconds(5)
  /// How long a writer that lost a bookie, but still has its ack quorum, waits before it looks for a replacement again.
  public var ensembleChangeRetryDelay: TimeAmount = .seconds(5)
  /// Bytes queued towards one bookie beyond which adds to it fail, and it is replaced. Bounds the cost of a slow bookie.
  public var maximumQueuedBytesPerBookie: Int = 64 << 20
  /// Largest frame, the same as the bookies' (`nettyMaxFrameSizeBytes`).
  public var maximumFrameSize: Int = 5 * 1_024 * 1_024 + 10_240
  /// Reads of one range in flight at once.
  public var maximumReadsInFlight: Int = 64
  /// Entries read, and written again, at once while a ledger is recovered.
  public var recoveryReadBatchSize: Int = 32
  /// How often `openLedger` tries to recover a ledger before it reports why it could not.
  public var recoveryAttempts: Int = 4
  /// How long a bookie that failed is avoided by new ensembles.
  public var bookieFailureHistoryExpiration: TimeAmount = .seconds(60)
  /// Ask one bookie for many entries at once where it has them all (ensemble size == write quorum size).
  public var batchReadEnabled: Bool = true
  /// Bookies of the same process, reached without sockets.
  public var localBookies: LocalBookieRegistry?
  /// Chooses bookies for ensembles.
  public var placement: any PlacementPolicy = RandomPlacement()

  /// The defaults.
  public init() {}
}
