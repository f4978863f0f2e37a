/// What a caller of `topicStats` wants computed beyond the cheap figures; the query parameters of Pulsar's `stats` call.
public struct StatsOptions: Hashable, Sendable {
  /// Count the backlog exactly.
  public var getPreciseBacklog = false
  /// Fill `backlogSize` of subscriptions.
  public var subscriptionBacklogSize = false
  /// Fill `earliestMsgPublishTimeInBacklog` (reads an entry of each subscription).
  public var getEarliestTimeInBacklog = false
  /// Leave `publishers` empty.
  public var excludePublishers = false
  /// Leave `consumers` empty.
  public var excludeConsumers = false

  /// Nothing beyond the cheap figures.
  public init() {}
}
