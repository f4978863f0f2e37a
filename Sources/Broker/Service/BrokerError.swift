import PulsarWire

/// Why the broker refused or failed: a kind that callers act on, and a sentence for people.
public struct BrokerError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What went wrong, in the terms of the admin API and of the wire protocol.
  public enum Kind: String, Hashable, Sendable {
    /// The request itself makes no sense.
    case badRequest
    /// The topic's name is not a topic's name.
    case invalidTopicName
    /// The topic, namespace, subscription or schema does not exist.
    case topicNotFound, namespaceNotFound, subscriptionNotFound, schemaNotFound, messageNotFound
    /// It exists already, or somebody else changed it at the same time.
    case conflict
    /// Something else must be done before (for example: disconnect the consumers).
    case preconditionFailed
    /// Not possible on this kind of topic, or forbidden by a policy.
    case notAllowed
    /// Deletion is forbidden while the topic is replicated.
    case replicated
    case producerBusy, producerFenced, consumerBusy, consumerAssign, consumerNotFound
    case topicTerminated
    case incompatibleSchema
    case tooManyRequests
    /// Too much is stored that nobody has consumed; `quotaExceededHold` if producers are to wait.
    case quotaExceeded, quotaExceededHold
    case checksum
    /// The topic is being loaded, unloaded or moved: try again.
    case notReady
    /// Storage did not take or give the data.
    case persistence
    case metadata
    case unsupported
    case unauthenticated
    /// Who asks is not entitled to it.
    case unauthorized
    case internalError
  }

  /// What went wrong.
  public let kind: Kind
  /// One sentence: what, where, what to do.
  public let message: String

  /// Makes an error of a kind and its sentence.
  public init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }

  /// The sentence.
  public var description: String { message }

  /// The HTTP status that the admin API answers with.
  public var status: Int {
    switch kind {
    case .badRequest: 400
    case .unauthenticated: 401
    case .unauthorized: 403
    case .topicNotFound, .namespaceNotFound, .subscriptionNotFound, .schemaNotFound, .messageNotFound,
      .consumerNotFound:
      404
    case .notAllowed, .unsupported: 405
    case .conflict, .producerBusy, .consumerBusy, .consumerAssign, .producerFenced, .incompatibleSchema: 409
    case .invalidTopicName, .preconditionFailed, .topicTerminated: 412
    case .replicated: 422
    case .tooManyRequests, .quotaExceeded, .quotaExceededHold: 429
    case .notReady: 503
    case .checksum, .persistence, .metadata, .internalError: 500
    }
  }

  /// The code that a Pulsar client understands.
  public var serverError: ProtoServerError {
    switch kind {
    case .badRequest, .preconditionFailed, .notAllowed, .conflict, .replicated: .notAllowedError
    case .invalidTopicName: .invalidTopicName
    // A client retries everything it does not know to be final; a missing namespace will still be missing.
    case .topicNotFound, .namespaceNotFound: .topicNotFound
    case .subscriptionNotFound: .subscriptionNotFound
    case .schemaNotFound: .topicNotFound
    case .messageNotFound: .metadataError
    case .producerBusy: .producerBusy
    case .producerFenced: .producerFenced
    case .consumerBusy: .consumerBusy
    case .consumerAssign: .consumerAssignError
    case .consumerNotFound: .consumerNotFound
    case .topicTerminated: .topicTerminatedError
    case .incompatibleSchema: .incompatibleSchema
    case .tooManyRequests: .tooManyRequests
    case .quotaExceeded: .producerBlockedQuotaExceededException
    case .quotaExceededHold: .producerBlockedQuotaExceededError
    case .checksum: .checksumError
    case .notReady: .serviceNotReady
    case .persistence: .persistenceError
    case .metadata: .metadataError
    case .unsupported: .notAllowedError
    case .unauthenticated: .authenticationError
    case .unauthorized: .authorizationError
    case .internalError: .unknownError
    }
  }
}

extension BrokerError {
  /// The request itself makes no sense.
  public static func badRequest(_ message: String) -> BrokerError { BrokerError(.badRequest, message) }
  static func invalidTopicName(_ message: String) -> BrokerError { BrokerError(.invalidTopicName, message) }

  static func topicNotFound(_ topic: TopicName) -> BrokerError {
    BrokerError(.topicNotFound, "Topic \(topic) does not exist")
  }

  static func namespaceNotFound(_ namespace: NamespaceName) -> BrokerError {
    BrokerError(.namespaceNotFound, "Namespace \(namespace) does not exist: create it first")
  }

  static func subscriptionNotFound(_ name: String, _ topic: TopicName) -> BrokerError {
    BrokerError(.subscriptionNotFound, "Subscription \(name) of \(topic) does not exist")
  }

  static func notReady(_ message: String) -> BrokerError { BrokerError(.notReady, message) }

  /// The same error if it is one, else one of kind `internalError` that carries its description.
  static func wrap(_ error: any Error) -> BrokerError {
    (error as? BrokerError) ?? BrokerError(.internalError, "\(error)")
  }
}
