/// The place of one entry in a topic's log: the ledger that holds it, and its number there.
///
/// Positions order as the log does. They only grow, also when a topic is deleted and created again, because ledger ids
/// come from a durable sequence of the region. A position need not name an existing entry: `(ledger, -1)` stands before
/// the first entry of a ledger.
public struct Position: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The ledger's id; -1 stands before every ledger.
  public var ledgerID: Int64
  /// The entry's number in its ledger, from 0; -1 stands before the first.
  public var entryID: Int64

  /// Creates a position.
  @inlinable
  public init(ledgerID: Int64, entryID: Int64) {
    self.ledgerID = ledgerID
    self.entryID = entryID
  }

  /// Before every entry.
  public static let earliest = Position(ledgerID: -1, entryID: -1)
  /// Behind every entry, also future ones.
  public static let latest = Position(ledgerID: .max, entryID: .max)

  /// The order of the log.
  @inlinable
  public static func < (a: Position, b: Position) -> Bool {
    a.ledgerID != b.ledgerID ? a.ledgerID < b.ledgerID : a.entryID < b.entryID
  }

  /// `ledger:entry`, as Pulsar's tools print it.
  public var description: String { "\(ledgerID):\(entryID)" }
}
