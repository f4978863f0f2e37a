/// What can be wrong with bytes of the bookie protocol.
public enum BookieWireError: Error, Equatable, Sendable, CustomStringConvertible {
  /// A frame announces more bytes than the limit; the connection must be closed.
  case frameTooLarge(Int, limit: Int)
  /// A frame ends before its fields do, or announces a negative length.
  case truncated(String)
  /// An operation that this protocol version does not have.
  case unknownOpcode(UInt8)
  /// A version that is not spoken here. `answer` is what a server replies before it goes on.
  case unsupportedVersion(UInt8, answer: BookieResponse?)
  /// A bookie does not take START_TLS.
  case refusesTLS(BookieReturnCode)
  /// More came in the clear after START_TLS, and may be anybody's.
  case bytesBeforeTLS
  /// An entry is shorter than its header and digest.
  case entryTooShort(Int, atLeast: Int)
  /// An entry is another one than was asked for.
  case entryMismatch(expectedLedger: Int64, expectedEntry: Int64?, ledgerID: Int64, entryID: Int64)
  /// An entry's digest does not fit its bytes.
  case digestMismatch(ledgerID: Int64, entryID: Int64)

  /// One sentence for logs.
  public var description: String {
    switch self {
    case .frameTooLarge(let size, let limit): "Frame of \(size) bytes exceeds the limit of \(limit) bytes."
    case .truncated(let what): "The frame ends inside \(what)."
    case .unknownOpcode(let code): "Unknown bookie operation \(code)."
    case .unsupportedVersion(let version, _): "Bookie protocol version \(version) is not supported; speak version 2."
    case .refusesTLS(let code): "The bookie refuses TLS (\(code)); give it a certificate, or do not ask for TLS."
    case .bytesBeforeTLS: "Bytes in the clear came after START_TLS."
    case .entryTooShort(let size, let least): "An entry of \(size) bytes is shorter than its header of \(least) bytes."
    case .entryMismatch(let ledger, let entry, let gotLedger, let gotEntry):
      "Asked for entry \(entry.map { "\($0)" } ?? "last") of ledger \(ledger) but got \(gotLedger):\(gotEntry)."
    case .digestMismatch(let ledger, let entry): "The digest of entry \(ledger):\(entry) does not fit its bytes."
    }
  }
}
