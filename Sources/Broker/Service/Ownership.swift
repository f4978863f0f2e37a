/// Decides which broker serves a topic. The broker asks before it loads one and when a client looks one up.
public protocol Ownership: Sendable {
  /// The owner of `topic`; nil if it is this broker.
  func remoteOwner(of topic: TopicName) async throws -> BrokerAddress?
}

/// The only broker of its region owns everything.
public struct SoleOwnership: Ownership {
  /// The rule needs nothing to know.
  public init() {}
  /// Always nil: this broker owns `topic`.
  public func remoteOwner(of topic: TopicName) async throws -> BrokerAddress? { nil }
}
