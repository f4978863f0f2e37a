/// Envelopes for cold commands: the type and the field that it names are set together.
extension ProtoBaseCommand {
  /// The envelope of a `CommandConnect`.
  public init(_ command: ProtoCommandConnect) {
    self.init()
    type = .connect
    connect = command
  }

  /// The envelope of a `CommandConnected`.
  public init(_ command: ProtoCommandConnected) {
    self.init()
    type = .connected
    connected = command
  }

  /// The envelope of a `CommandSubscribe`.
  public init(_ command: ProtoCommandSubscribe) {
    self.init()
    type = .subscribe
    subscribe = command
  }

  /// The envelope of a `CommandProducer`.
  public init(_ command: ProtoCommandProducer) {
    self.init()
    type = .producer
    producer = command
  }

  /// The envelope of a `CommandSendError`.
  public init(_ command: ProtoCommandSendError) {
    self.init()
    type = .sendError
    sendError = command
  }

  /// The envelope of a `CommandUnsubscribe`.
  public init(_ command: ProtoCommandUnsubscribe) {
    self.init()
    type = .unsubscribe
    unsubscribe = command
  }

  /// The envelope of a `CommandSuccess`.
  public init(_ command: ProtoCommandSuccess) {
    self.init()
    type = .success
    success = command
  }

  /// The envelope of a `CommandError`.
  public init(_ command: ProtoCommandError) {
    self.init()
    type = .error
    error = command
  }

  /// The envelope of a `CommandCloseProducer`.
  public init(_ command: ProtoCommandCloseProducer) {
    self.init()
    type = .closeProducer
    closeProducer = command
  }

  /// The envelope of a `CommandCloseConsumer`.
  public init(_ command: ProtoCommandCloseConsumer) {
    self.init()
    type = .closeConsumer
    closeConsumer = command
  }

  /// The envelope of a `CommandProducerSuccess`.
  public init(_ command: ProtoCommandProducerSuccess) {
    self.init()
    type = .producerSuccess
    producerSuccess = command
  }

  /// The envelope of a `CommandRedeliverUnacknowledgedMessages`.
  public init(_ command: ProtoCommandRedeliverUnacknowledgedMessages) {
    self.init()
    type = .redeliverUnacknowledgedMessages
    redeliverUnacknowledgedMessages = command
  }

  /// The envelope of a `CommandPartitionedTopicMetadata`.
  public init(_ command: ProtoCommandPartitionedTopicMetadata) {
    self.init()
    type = .partitionedMetadata
    partitionMetadata = command
  }

  /// The envelope of a `CommandPartitionedTopicMetadataResponse`.
  public init(_ command: ProtoCommandPartitionedTopicMetadataResponse) {
    self.init()
    type = .partitionedMetadataResponse
    partitionMetadataResponse = command
  }

  /// The envelope of a `CommandLookupTopic`.
  public init(_ command: ProtoCommandLookupTopic) {
    self.init()
    type = .lookup
    lookupTopic = command
  }

  /// The envelope of a `CommandLookupTopicResponse`.
  public init(_ command: ProtoCommandLookupTopicResponse) {
    self.init()
    type = .lookupResponse
    lookupTopicResponse = command
  }

  /// The envelope of a `CommandConsumerStats`.
  public init(_ command: ProtoCommandConsumerStats) {
    self.init()
    type = .consumerStats
    consumerStats = command
  }

  /// The envelope of a `CommandConsumerStatsResponse`.
  public init(_ command: ProtoCommandConsumerStatsResponse) {
    self.init()
    type = .consumerStatsResponse
    consumerStatsResponse = command
  }

  /// The envelope of a `CommandReachedEndOfTopic`.
  public init(_ command: ProtoCommandReachedEndOfTopic) {
    self.init()
    type = .reachedEndOfTopic
    reachedEndOfTopic = command
  }

  /// The envelope of a `CommandSeek`.
  public init(_ command: ProtoCommandSeek) {
    self.init()
    type = .seek
    seek = command
  }

  /// The envelope of a `CommandGetLastMessageId`.
  public init(_ command: ProtoCommandGetLastMessageId) {
    self.init()
    type = .getLastMessageID
    getLastMessageID = command
  }

  /// The envelope of a `CommandGetLastMessageIdResponse`.
  public init(_ command: ProtoCommandGetLastMessageIdResponse) {
    self.init()
    type = .getLastMessageIDResponse
    getLastMessageIDResponse = command
  }

  /// The envelope of a `CommandActiveConsumerChange`.
  public init(_ command: ProtoCommandActiveConsumerChange) {
    self.init()
    type = .activeConsumerChange
    activeConsumerChange = command
  }

  /// The envelope of a `CommandGetTopicsOfNamespace`.
  public init(_ command: ProtoCommandGetTopicsOfNamespace) {
    self.init()
    type = .getTopicsOfNamespace
    getTopicsOfNamespace = command
  }

  /// The envelope of a `CommandGetTopicsOfNamespaceResponse`.
  public init(_ command: ProtoCommandGetTopicsOfNamespaceResponse) {
    self.init()
    type = .getTopicsOfNamespaceResponse
    getTopicsOfNamespaceResponse = command
  }

  /// The envelope of a `CommandGetSchema`.
  public init(_ command: ProtoCommandGetSchema) {
    self.init()
    type = .getSchema
    getSchema = command
  }

  /// The envelope of a `CommandGetSchemaResponse`.
  public init(_ command: ProtoCommandGetSchemaResponse) {
    self.init()
    type = .getSchemaResponse
    getSchemaResponse = command
  }

  /// The envelope of a `CommandAuthChallenge`.
  public init(_ command: ProtoCommandAuthChallenge) {
    self.init()
    type = .authChallenge
    authChallenge = command
  }

  /// The envelope of a `CommandAuthResponse`.
  public init(_ command: ProtoCommandAuthResponse) {
    self.init()
    type = .authResponse
    authResponse = command
  }

  /// The envelope of a `CommandAckResponse`.
  public init(_ command: ProtoCommandAckResponse) {
    self.init()
    type = .ackResponse
    ackResponse = command
  }

  /// The envelope of a `CommandGetOrCreateSchema`.
  public init(_ command: ProtoCommandGetOrCreateSchema) {
    self.init()
    type = .getOrCreateSchema
    getOrCreateSchema = command
  }

  /// The envelope of a `CommandGetOrCreateSchemaResponse`.
  public init(_ command: ProtoCommandGetOrCreateSchemaResponse) {
    self.init()
    type = .getOrCreateSchemaResponse
    getOrCreateSchemaResponse = command
  }

  /// The envelope of a `CommandTcClientConnectResponse`.
  public init(_ command: ProtoCommandTcClientConnectResponse) {
    self.init()
    type = .tcClientConnectResponse
    tcClientConnectResponse = command
  }

  /// The envelope of a `CommandWatchTopicList`.
  public init(_ command: ProtoCommandWatchTopicList) {
    self.init()
    type = .watchTopicList
    watchTopicList = command
  }

  /// The envelope of a `CommandWatchTopicListSuccess`.
  public init(_ command: ProtoCommandWatchTopicListSuccess) {
    self.init()
    type = .watchTopicListSuccess
    watchTopicListSuccess = command
  }

  /// The envelope of a `CommandWatchTopicUpdate`.
  public init(_ command: ProtoCommandWatchTopicUpdate) {
    self.init()
    type = .watchTopicUpdate
    watchTopicUpdate = command
  }

  /// The envelope of a `CommandWatchTopicListClose`.
  public init(_ command: ProtoCommandWatchTopicListClose) {
    self.init()
    type = .watchTopicListClose
    watchTopicListClose = command
  }

  /// The envelope of a `CommandTopicMigrated`.
  public init(_ command: ProtoCommandTopicMigrated) {
    self.init()
    type = .topicMigrated
    topicMigrated = command
  }
}
