import GRPCCore

/// How one attempt of a call failed.
enum EtcdFailure: Error {
  /// No answer: the request may have been carried out, or may still be.
  case lost(String)
  /// The cluster answered that it did not do it, and that it may do it later.
  case busy(String)
  /// The cluster answered that it does not do it.
  case refused(RPCError.Code, String)
  /// This client is closed.
  case closed

  init(_ error: any Error) {
    switch error {
    case let failure as EtcdFailure: self = failure
    case let error as RPCError: self.init(error)
    case let error as RuntimeError where error.code == .clientIsStopped: self = .closed
    case is CancellationError: self = .lost("the call was cancelled")
    default: self = .lost("\(error)")
    }
  }

  private init(_ error: RPCError) {
    switch error.code {
    case .unavailable, .deadlineExceeded, .cancelled, .unknown, .internalError, .dataLoss, .aborted:
      self = .lost(error.message.isEmpty ? "\(error.code)" : error.message)
    case .resourceExhausted where error.message.contains("too many requests"):
      self = .busy(error.message)
    default:
      self = .refused(error.code, error.message)
    }
  }

  /// What a caller of the store is told.
  var metadataError: MetadataError {
    switch self {
    case .lost(let reason), .busy(let reason): .storage("etcd does not answer: \(reason).")
    case .refused(let code, let reason): .storage("etcd refused: \(reason) (\(code)).")
    case .closed: .closed
    }
  }
}
