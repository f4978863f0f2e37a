import PulsarWire

/// Why a subscription refuses a request.
enum SubscriptionError: Error, Equatable, Sendable {
  /// An exclusive subscription has its consumer, or the limit of consumers is reached.
  case consumerBusy(String)
  /// The ranges of a sticky Key_Shared consumer cannot be given to it.
  case consumerAssign(String)
  /// The subscription has consumers of another type.
  case typeMismatch(subscription: String, current: SubscriptionType, requested: SubscriptionType)
  /// The request has no meaning for this subscription, for example a cumulative acknowledgement on a shared one.
  case notAllowed(String)
  /// The subscription is being reset or closed: the client may try again.
  case fenced(String)
  /// The subscription was deleted or its topic closed.
  case closed(String)
  /// The log or its metadata failed.
  case storage(String)
}

extension SubscriptionError: CustomStringConvertible {
  var description: String {
    switch self {
    case .consumerBusy(let reason), .consumerAssign(let reason), .notAllowed(let reason): reason
    case .typeMismatch(let name, let current, let requested):
      "Subscription \(name) has \(current.rawValue) consumers; a \(requested.rawValue) one can join after they leave."
    case .fenced(let name): "Subscription \(name) is being reset; try again."
    case .closed(let name): "Subscription \(name) is closed."
    case .storage(let reason): "The topic's log refused: \(reason)"
    }
  }
}

extension SubscriptionError {
  /// The code that the error has on the wire.
  var serverError: ProtoServerError {
    switch self {
    case .consumerBusy: .consumerBusy
    case .consumerAssign: .consumerAssignError
    // Pulsar answers a type mismatch with ConsumerBusy: clients take it as final.
    case .typeMismatch: .consumerBusy
    case .notAllowed: .notAllowedError
    case .fenced, .closed: .serviceNotReady
    case .storage: .persistenceError
    }
  }
}
