import BookieWire

/// What a bookie's answer to a read or a fence says about the entry, whatever the number is. Only ``absent`` is proof that
/// the bookie does not have it.
enum ReadMeaning: Equatable {
  /// The entry is in the answer, if its digest is right.
  case found
  /// This bookie never had it.
  case absent
  /// It has the entry, or may have lost it: "I/O error", "ledger state unknown".
  case doubtful
  /// Nothing about the entry: silence, a refusal, a number that is not known.
  case noAnswer

  init(_ code: BookieReturnCode?) {
    self =
      switch code {
      case BookieReturnCode.ok?: .found
      case let code? where code.isNegative: .absent
      case BookieReturnCode.ioError?, BookieReturnCode.unknownLedgerState?: .doubtful
      default: .noAnswer
      }
  }
}

extension LedgerWriter.Failure {
  /// What a bookie's refusal of an add, or its silence (nil), means to the writer.
  init(_ code: BookieReturnCode?) {
    self =
      switch code {
      case BookieReturnCode.fenced?: .fenced
      case BookieReturnCode.unauthorized?: .unauthorized
      default: .bookie
      }
  }
}
