import BookieWire

/// What the metadata store knows of a ledger: who holds which entries, and whether it is finished.
public struct LedgerMetadata: Equatable, Sendable {
  /// Where a ledger is in its life. Only `open` → `inRecovery` → `closed` and `open` → `closed` exist.
  public enum State: Sendable, Equatable {
    /// Its writer may be appending.
    case open
    /// A client is finding out where it ends; the writer can no longer change its ensembles.
    case inRecovery
    /// `lastEntry` and `length` are final.
    case closed
  }

  /// A run of entries that one ensemble holds.
  public struct Segment: Equatable, Sendable {
    /// The first entry of the run; it reaches to the next segment's first entry.
    public var firstEntry: EntryID
    /// The bookies' ids, in striping order.
    public var ensemble: [String]

    /// Makes a segment.
    public init(firstEntry: EntryID, ensemble: [String]) {
      self.firstEntry = firstEntry
      self.ensemble = ensemble
    }
  }

  /// Bookies per ensemble.
  public var ensembleSize: Int
  /// Copies per entry.
  public var writeQuorumSize: Int
  /// Durable copies that acknowledge an entry.
  public var ackQuorumSize: Int
  /// The entries' digest.
  public var digest: LedgerDigest
  /// The ledger's password.
  public var password: [UInt8]
  /// Where the ledger is in its life.
  public var state: State
  /// The last entry of a closed ledger (-1: none was written); -1 while it is not closed.
  public var lastEntry: EntryID
  /// Payload bytes of a closed ledger; 0 while it is not closed.
  public var length: Int64
  /// Segments by rising first entry; never empty.
  public var segments: [Segment]
  /// When the ledger was created, ms since 1970.
  public var createdMs: Int64
  /// Distinguishes two creators that raced for one id.
  public var creatorToken: Int64
  /// Free-form metadata.
  public var customMetadata: [String: [UInt8]]

  /// Metadata of a new, open ledger whose first segment is `ensemble`.
  public init(options: LedgerOptions, ensemble: [String], createdMs: Int64, creatorToken: Int64) {
    self.ensembleSize = options.ensembleSize
    self.writeQuorumSize = options.writeQuorumSize
    self.ackQuorumSize = options.ackQuorumSize
    self.digest = options.digest
    self.password = options.password
    self.state = .open
    self.lastEntry = -1
    self.length = 0
    self.segments = [Segment(firstEntry: 0, ensemble: ensemble)]
    self.createdMs = createdMs
    self.creatorToken = creatorToken
    self.customMetadata = options.customMetadata
    options.affinity?.store(in: &self.customMetadata)
  }

  /// The ensemble that holds `entry`.
  public func ensemble(of entry: EntryID) -> [String] {
    for segment in segments.reversed() where segment.firstEntry <= entry { return segment.ensemble }
    return segments.first?.ensemble ?? []
  }

  /// The segment that new entries go to.
  public var lastSegment: Segment { segments.last ?? Segment(firstEntry: 0, ensemble: []) }

  /// Names `ensemble` for entries from `firstEntry` on; a last segment with the same start is replaced.
  mutating func setEnsemble(_ ensemble: [String], from firstEntry: EntryID) {
    if let last = segments.last, last.firstEntry == firstEntry {
      segments[segments.count - 1].ensemble = ensemble
    } else {
      segments.append(Segment(firstEntry: firstEntry, ensemble: ensemble))
    }
  }
}
