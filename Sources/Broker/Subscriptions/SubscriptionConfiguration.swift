import NIOCore

/// The limits a subscription works under; defaults and names are those of Pulsar's broker configuration.
struct SubscriptionConfiguration: Sendable {
  /// The number of entries asked of the log in one read (`dispatcherMaxReadBatchSize`). Doubles while a subscription
  /// catches up, up to `maxCatchUpReadBatchSize`.
  var dispatcherMaxReadBatchSize = 100
  /// The largest number of entries asked in one read of a subscription that catches up.
  var maxCatchUpReadBatchSize = 1_000
  /// The bytes of entries that one subscription may hold read but not yet handed out (`dispatcherMaxReadSizeBytes`).
  var dispatcherMaxReadSizeBytes = 5 * 1024 * 1024
  /// The number of entries handed out before other work of the event loop gets its turn.
  var maxEntriesPerRound = 500
  /// Messages that one consumer of a shared kind may hold unacknowledged (`maxUnackedMessagesPerConsumer`); it gets
  /// more when half of them are acknowledged. 0: no limit.
  var maxUnackedMessagesPerConsumer = 50_000
  /// As above for all consumers of a subscription together (`maxUnackedMessagesPerSubscription`). 0: no limit.
  var maxUnackedMessagesPerSubscription = 200_000
  /// The number of consumers a subscription accepts (`maxConsumersPerSubscription`). 0: no limit.
  var maxConsumersPerSubscription = 0
  /// How long a new active consumer waits for acknowledgements of the one before, if that one is still connected
  /// (`activeConsumerFailoverDelayTimeMillis`).
  var activeConsumerFailoverDelayTime = TimeAmount.seconds(1)
  /// Whether messages with a delivery time are held back for shared kinds (`delayedDeliveryEnabled`).
  var delayedDeliveryEnabled = true
  /// The number of delayed entries one subscription tracks; beyond it, it stops reading ahead until some are due.
  var maxDelayedEntries = 1_000_000
  /// Points of each consumer on the hash ring of a Key_Shared subscription
  /// (`subscriptionKeySharedConsistentHashingReplicaPoints`).
  var subscriptionKeySharedConsistentHashingReplicaPoints = 100
  /// Entries of blocked keys that a Key_Shared subscription may set aside to reach later ones
  /// (`keySharedLookAheadMsgInReplayThresholdPerSubscription`).
  var keySharedLookAheadMsgInReplayThresholdPerSubscription = 20_000
  /// As above for each consumer (`keySharedLookAheadMsgInReplayThresholdPerConsumer`); the smaller of both counts.
  var keySharedLookAheadMsgInReplayThresholdPerConsumer = 2_000

  init() {}
}
