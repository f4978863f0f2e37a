/// The id of a ledger: positive, never used twice within a region.
public typealias LedgerID = Int64

/// The number of an entry within its ledger, from 0; -1 means "before the first".
public typealias EntryID = Int64

/// Why an operation on a ledger did not succeed.
public enum LedgerError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Somebody else has taken the ledger over. Whether un-acknowledged entries survive is unknown until it is recovered.
  case fenced(LedgerID)
  /// The ledger takes no more entries, or the handle was closed.
  case closed(LedgerID)
  /// Too few writable bookies are registered (or reachable) for the ledger's ensemble.
  case notEnoughBookies(needed: Int, available: Int)
  /// No metadata exists under this id: never created, or deleted.
  case noSuchLedger(LedgerID)
  /// Every replica says that it never had this entry.
  case noSuchEntry(LedgerID, EntryID)
  /// Replicas that should have the data did not answer or are damaged. Trying again later may succeed.
  case dataUnavailable(String)
  /// The bookies did not answer in time.
  case timeout(String)
  /// The metadata store failed or holds something unreadable.
  case metadata(String)
  /// The ledger's password is not the one that it was created with.
  case unauthorized(LedgerID)
  /// The caller asked for something that cannot be: sizes out of bounds, a range that is empty or beyond the end.
  case invalidRequest(String)
  /// The client was shut down.
  case shutDown

  /// Whether the same request may succeed a little later.
  public var mayPass: Bool {
    switch self {
    case .notEnoughBookies, .dataUnavailable, .timeout: true
    case .fenced, .closed, .noSuchLedger, .noSuchEntry, .metadata, .unauthorized, .invalidRequest, .shutDown: false
    }
  }

  /// One sentence: what happened, where, and what to do if there is something to do.
  public var description: String {
    switch self {
    case .fenced(let id): "Ledger \(id) was fenced: another client has taken it over; write to a new ledger."
    case .closed(let id): "Ledger \(id) is closed and takes no more entries."
    case .notEnoughBookies(let needed, let available):
      "Not enough bookies: \(needed) needed, \(available) available; start more bookies or use a smaller ensemble."
    case .noSuchLedger(let id): "Ledger \(id) does not exist."
    case .noSuchEntry(let id, let entry): "Ledger \(id) has no entry \(entry)."
    case .dataUnavailable(let what): "Data is unavailable for now: \(what)"
    case .timeout(let what): "Timed out: \(what)"
    case .metadata(let what): "Ledger metadata: \(what)"
    case .unauthorized(let id): "Ledger \(id): the password does not match the one it was created with."
    case .invalidRequest(let what): "Invalid request: \(what)"
    case .shutDown: "The ledger client was shut down."
    }
  }
}
