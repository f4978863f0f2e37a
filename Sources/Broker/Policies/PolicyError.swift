/// Why a policy operation was refused. `status` is the HTTP status that Pulsar's REST API answers in this case, and
/// `reason` one sentence that names what was refused.
public struct PolicyError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The kinds of refusal, with Pulsar's HTTP status as raw value.
  public enum Kind: Int, Sendable {
    case badRequest = 400
    case forbidden = 403
    case notFound = 404
    case conflict = 409
    case preconditionFailed = 412
    case unprocessable = 422
    case internalError = 500
  }

  /// What kind of refusal this is.
  public var kind: Kind
  /// One sentence for the operator.
  public var reason: String

  /// Creates a refusal.
  public init(_ kind: Kind, _ reason: String) {
    self.kind = kind
    self.reason = reason
  }

  /// The HTTP status of the refusal.
  public var status: Int { kind.rawValue }

  /// The reason.
  public var description: String { reason }
}
