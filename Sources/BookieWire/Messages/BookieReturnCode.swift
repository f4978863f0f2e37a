/// The outcome of a request, with BookKeeper's v2 numbers. Unknown numbers are kept as they came.
public struct BookieReturnCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  /// The number on the wire.
  public let rawValue: Int32

  /// The code with this number.
  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// Done.
  public static let ok = BookieReturnCode(rawValue: 0)
  /// Explicit negative: this bookie never saw the ledger, or it was deleted.
  public static let noLedger = BookieReturnCode(rawValue: 1)
  /// Explicit negative: this bookie has the ledger but not the entry.
  public static let noEntry = BookieReturnCode(rawValue: 2)
  /// The request makes no sense, or something unexpected happened on the bookie.
  public static let badRequest = BookieReturnCode(rawValue: 100)
  /// The bookie could not read or write; the outcome is unknown.
  public static let ioError = BookieReturnCode(rawValue: 101)
  /// Wrong master key, or not authenticated.
  public static let unauthorized = BookieReturnCode(rawValue: 102)
  /// The request's protocol version is not supported.
  public static let badVersion = BookieReturnCode(rawValue: 103)
  /// The ledger is fenced.
  public static let fenced = BookieReturnCode(rawValue: 104)
  /// The bookie is read-only.
  public static let readOnly = BookieReturnCode(rawValue: 105)
  /// A queue of the bookie is full; try later.
  public static let tooManyRequests = BookieReturnCode(rawValue: 106)
  /// The bookie may have lost data of this ledger; must never be counted as a negative answer.
  public static let unknownLedgerState = BookieReturnCode(rawValue: 107)

  /// Whether the bookie proves with this answer that it does not have the entry. Anything else that is not `ok` is unknown.
  public var isNegative: Bool { self == .noLedger || self == .noEntry }

  /// A name for logs.
  public var description: String {
    switch self {
    case .ok: "ok"
    case .noLedger: "no such ledger"
    case .noEntry: "no such entry"
    case .badRequest: "bad request"
    case .ioError: "I/O error"
    case .unauthorized: "unauthorized"
    case .badVersion: "unsupported version"
    case .fenced: "ledger is fenced"
    case .readOnly: "bookie is read-only"
    case .tooManyRequests: "too many requests"
    case .unknownLedgerState: "ledger state unknown"
    default: "code \(rawValue)"
    }
  }
}
