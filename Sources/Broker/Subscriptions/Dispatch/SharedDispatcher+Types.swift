import TopicLog

extension SharedDispatcher {
  enum Kind: Sendable, Equatable {
    case shared
    case keyShared
  }

  struct Limits: Sendable {
    var maxUnackedMessagesPerConsumer = 50_000
    var maxUnackedMessagesPerSubscription = 200_000
    var maxDelayedEntries = 1_000_000
    var delayedDeliveryEnabled = true
    var lookAheadPerSubscription = 20_000
    var lookAheadPerConsumer = 2_000
    var hashPointsPerConsumer = 100
  }

  struct Member: Sendable {
    let key: ConsumerKey
    let name: String
    let priorityLevel: Int
    var permits = 0
    /// Messages delivered and not acknowledged.
    var unacked = 0
    /// Holds too many unacknowledged messages.
    var isBlocked = false
    var isWritable = true

    var canTake: Bool { permits > 0 && !isBlocked && isWritable }
  }

  /// An entry that a consumer has.
  struct Pending: Sendable, Equatable {
    var consumer: ConsumerKey
    var messages: Int32
    var redeliveryCount: UInt32
    var keyHash: UInt16
  }

  /// Which consumer has entries of a key, and how many.
  struct KeyHolder: Sendable {
    var consumer: ConsumerKey
    var entries: Int
  }
}
