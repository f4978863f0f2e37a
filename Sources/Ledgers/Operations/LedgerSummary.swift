/// A ledger as operators see it: what the metadata store knows of it, in a form for JSON.
public struct LedgerSummary: Codable, Equatable, Sendable {
  /// A run of entries that one ensemble holds.
  public struct Segment: Codable, Equatable, Sendable {
    /// The first entry of the run.
    public var firstEntry: EntryID
    /// The bookies' ids, in striping order.
    public var ensemble: [String]
  }

  /// The ledger.
  public var ledgerID: LedgerID
  /// `OPEN`, `IN_RECOVERY` or `CLOSED`; `UNREADABLE` if the metadata cannot be read.
  public var state: String
  /// The last entry of a closed ledger (-1: it is empty); nil while it is not closed.
  public var lastEntry: EntryID?
  /// Payload bytes of a closed ledger; nil while it is not closed.
  public var length: Int64?
  /// Bookies for each segment.
  public var ensembleSize: Int
  /// Copies of each entry.
  public var writeQuorumSize: Int
  /// Durable copies that acknowledge an entry.
  public var ackQuorumSize: Int
  /// The digest's name.
  public var digest: String
  /// When it was created, ms since 1970.
  public var createdMs: Int64
  /// Segments by rising first entry.
  public var segments: [Segment]
  /// Free-form metadata; what is not UTF-8 is in hexadecimal digits.
  public var customMetadata: [String: String]
  /// Why the metadata cannot be read, if it cannot.
  public var problem: String?

  init(_ id: LedgerID, _ metadata: LedgerMetadata) {
    ledgerID = id
    switch metadata.state {
    case .open: state = "OPEN"
    case .inRecovery: state = "IN_RECOVERY"
    case .closed: state = "CLOSED"
    }
    lastEntry = metadata.state == .closed ? metadata.lastEntry : nil
    length = metadata.state == .closed ? metadata.length : nil
    ensembleSize = metadata.ensembleSize
    writeQuorumSize = metadata.writeQuorumSize
    ackQuorumSize = metadata.ackQuorumSize
    digest = "\(metadata.digest)".uppercased()
    createdMs = metadata.createdMs
    segments = metadata.segments.map { Segment(firstEntry: $0.firstEntry, ensemble: $0.ensemble) }
    customMetadata = metadata.customMetadata.mapValues { bytes in
      String(validating: bytes, as: UTF8.self) ?? bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
  }

  init(_ id: LedgerID, unreadable error: LedgerError) {
    ledgerID = id
    state = "UNREADABLE"
    ensembleSize = 0
    writeQuorumSize = 0
    ackQuorumSize = 0
    digest = ""
    createdMs = 0
    segments = []
    customMetadata = [:]
    problem = "\(error)"
  }
}

/// A page of a list of ledgers.
public struct LedgerPage: Codable, Equatable, Sendable {
  /// The ledgers, in the order of the digits of their ids (so 10 is before 9).
  public var ledgers: [LedgerSummary]
  /// Where the next page begins: pass it as `after`; nil if there is none.
  public var next: LedgerID?
}

/// How far auto-recovery is, over the whole region.
public struct AutoRecoveryStatus: Codable, Equatable, Sendable {
  /// Whether it is switched on.
  public var isEnabled: Bool
  /// Since when it is switched off, ms since 1970.
  public var disabledSinceMs: Int64?
  /// The process that is the auditor; nil if there is none at the moment.
  public var auditor: String?
  /// Ledgers that wait for repair or are being repaired.
  public var underReplicatedLedgers: Int
  /// Of these, ledgers with entries of which no copy was found.
  public var unrecoverableLedgers: Int
  /// Ledgers being repaired now.
  public var ledgersInRepair: [LedgerID]
  /// When the last search for lost bookies began, ms since 1970; nil: never.
  public var lastBookieCheckMs: Int64?
  /// When the last check of what bookies hold began, ms since 1970; nil: never.
  public var lastContentCheckMs: Int64?
  /// When the last check of placements began, ms since 1970; nil: never.
  public var lastPlacementCheckMs: Int64?
}

/// How far the emptying of a bookie is.
public struct DecommissionStatus: Codable, Equatable, Sendable {
  /// The bookie.
  public var bookie: String
  /// Ledgers that still have entries on it, or may get some.
  public var remainingLedgers: Int
  /// Whether its process is registered.
  public var isRegistered: Bool
  /// Whether it is done: no ledger needs the bookie any more, and its identity was removed, so that it cannot come back.
  public var isDone: Bool
}
