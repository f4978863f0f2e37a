import Foundation
import NIOCore
import PulsarWire

extension ProtoBaseCommand {
  static func success(_ requestID: UInt64) -> ProtoBaseCommand {
    var success = ProtoCommandSuccess()
    success.requestID = requestID
    return ProtoBaseCommand(success)
  }

  static func error(_ requestID: UInt64, _ code: ProtoServerError, _ message: String) -> ProtoBaseCommand {
    var error = ProtoCommandError()
    error.requestID = requestID
    error.error = code
    error.message = message
    return ProtoBaseCommand(error)
  }

  static func error(_ requestID: UInt64, _ error: any Error) -> ProtoBaseCommand {
    let error = BrokerError.wrap(error)
    return .error(requestID, error.serverError, error.message)
  }

  static func sendError(
    _ producerID: UInt64, sequenceID: UInt64, _ code: ProtoServerError, _ message: String
  ) -> ProtoBaseCommand {
    var error = ProtoCommandSendError()
    error.producerID = producerID
    error.sequenceID = sequenceID
    error.error = code
    error.message = message
    return ProtoBaseCommand(error)
  }

  /// From the broker; the request id is -1, as nobody asked.
  static func closeProducer(_ producerID: UInt64) -> ProtoBaseCommand {
    var close = ProtoCommandCloseProducer()
    close.producerID = producerID
    close.requestID = .max
    return ProtoBaseCommand(close)
  }

  static func closeConsumer(_ consumerID: UInt64) -> ProtoBaseCommand {
    var close = ProtoCommandCloseConsumer()
    close.consumerID = consumerID
    close.requestID = .max
    return ProtoBaseCommand(close)
  }
}

extension ClientSession {
  /// Handles one frame. Requests to topics that came before it in the same read are passed on first where order
  /// matters: every path to a topic goes through its outbox, or flushes it.
  func handle(_ frame: PulsarFrame) {
    guard client != nil else {
      guard case .other(let command) = frame.command, command.type == .connect else {
        return abort("its first command is not CONNECT")
      }
      return connect(command.connect)
    }
    switch frame.command {
    case .send(let send): handle(send, frame.payload)
    case .ack(let ack): handle(ack)
    case .flow(let flow):
      if case .open(_, _, let consumer, _, let outbox) = consumers[flow.consumerID] {
        outbox.append(.flow(consumer, permits: Int(clamping: flow.messagePermits)))
      }
    case .ping(let clockMs):
      var buffer = ByteBuffer()
      if let clockMs {
        PulsarFrameEncoder.encodePong(echoedClockMs: clockMs, clockMs: WallClock.nowMs(), into: &buffer)
      } else {
        PulsarFrameEncoder.encodePong(into: &buffer)
      }
      write(buffer, flush: true)
    case .pong: break
    case .message, .sendReceipt: abort("it sent a command that only brokers send")
    case .other(let command): handle(command)
    }
  }

  private func handle(_ command: ProtoBaseCommand) {
    switch command.type {
    case .producer: handle(command.producer)
    case .closeProducer: handle(command.closeProducer)
    case .subscribe: handle(command.subscribe)
    case .closeConsumer: handle(command.closeConsumer)
    case .redeliverUnacknowledgedMessages: handle(command.redeliverUnacknowledgedMessages)
    case .unsubscribe: handle(command.unsubscribe)
    case .seek: handle(command.seek)
    case .getLastMessageID: handle(command.getLastMessageID)
    case .consumerStats: handle(command.consumerStats)
    case .partitionedMetadata: handle(command.partitionMetadata)
    case .lookup: handle(command.lookupTopic)
    case .getTopicsOfNamespace: handle(command.getTopicsOfNamespace)
    case .getSchema: handle(command.getSchema)
    case .getOrCreateSchema: handle(command.getOrCreateSchema)
    case .connect: abort("it said CONNECT twice")
    case .authResponse, .success, .error: break
    default: refuse(command)
    }
  }

  /// Answers a request that this broker does not serve, in the form that its client waits for.
  private func refuse(_ command: ProtoBaseCommand) {
    let text = "This broker has no transactions"
    var response = ProtoCommandTransactionResponse()
    response.error = .notAllowedError
    response.message = text
    var answer = ProtoBaseCommand()
    switch command.type {
    case .newTxn:
      response.requestID = command.newTxn.requestID
      answer.type = .newTxnResponse
      answer.newTxnResponse = response
    case .addPartitionToTxn:
      response.requestID = command.addPartitionToTxn.requestID
      answer.type = .addPartitionToTxnResponse
      answer.addPartitionToTxnResponse = response
    case .addSubscriptionToTxn:
      response.requestID = command.addSubscriptionToTxn.requestID
      answer.type = .addSubscriptionToTxnResponse
      answer.addSubscriptionToTxnResponse = response
    case .endTxn:
      response.requestID = command.endTxn.requestID
      answer.type = .endTxnResponse
      answer.endTxnResponse = response
    case .endTxnOnPartition:
      response.requestID = command.endTxnOnPartition.requestID
      answer.type = .endTxnOnPartitionResponse
      answer.endTxnOnPartitionResponse = response
    case .endTxnOnSubscription:
      response.requestID = command.endTxnOnSubscription.requestID
      answer.type = .endTxnOnSubscriptionResponse
      answer.endTxnOnSubscriptionResponse = response
    case .tcClientConnectRequest:
      var response = ProtoCommandTcClientConnectResponse()
      response.requestID = command.tcClientConnectRequest.requestID
      response.error = .notAllowedError
      response.message = text
      answer = ProtoBaseCommand(response)
    case .watchTopicList:
      // Clients that ask for it were told by the feature flags that it is not there; ERROR ends their request.
      answer = .error(command.watchTopicList.requestID, .notAllowedError, "Topic list watching is not supported")
    case .watchTopicListClose:
      answer = .success(command.watchTopicListClose.requestID)
    default:
      return abort("it sent \(command.type), which clients do not send")
    }
    send(answer)
  }

  // MARK: Connect

  private func connect(_ command: ProtoCommandConnect) {
    client = ConnectedClient(
      version: command.clientVersion, protocolVersion: command.protocolVersion, features: command.featureFlags)
    logger[metadataKey: "version"] = "\(command.clientVersion)"
    var connected = ProtoCommandConnected()
    connected.serverVersion = "Meridian"
    connected.protocolVersion = min(PulsarProtocol.version, max(0, command.protocolVersion))
    connected.maxMessageSize = Int32(clamping: broker.configuration.maxMessageSize)
    var features = ProtoFeatureFlags()
    features.supportsAuthRefresh = false
    features.supportsBrokerEntryMetadata = true
    features.supportsPartialProducer = true
    features.supportsTopicWatchers = false
    features.supportsGetPartitionedMetadataWithoutAutoCreation = true
    features.supportsReplDedupByLidAndEid = true
    if command.featureFlags.hasMeridian {
      var peer = ProtoMeridianPeer()
      peer.region = broker.configuration.clusterName
      peer.incarnation = broker.configuration.incarnation
      peer.linkVersion = min(1, command.featureFlags.meridian.linkVersion)
      features.meridian = peer
    }
    connected.featureFlags = features
    send(ProtoBaseCommand(connected))
  }

  /// Runs `body` off the loop, and `done` with its result on the loop, unless the connection has ended.
  func run<T: Sendable>(
    _ body: @escaping @Sendable () async throws -> T,
    then done: @escaping @Sendable (ClientSession, Result<T, any Error>) -> Void
  ) {
    requestBegan()
    Task { [self] in
      let result: Result<T, any Error>
      do {
        result = .success(try await body())
      } catch {
        result = .failure(error)
      }
      eventLoop.execute {
        done(self, result)
        self.requestEnded()
      }
    }
  }

  /// As `run`, for requests that need no producer or consumer: the broker works on so many of them at once and refuses
  /// what comes beyond.
  func runLookup<T: Sendable>(
    _ body: @escaping @Sendable () async throws -> T,
    then done: @escaping @Sendable (ClientSession, Result<T, any Error>) -> Void
  ) {
    guard broker.lookups.begin() else {
      return done(self, .failure(BrokerError(.tooManyRequests, "Failed due to too many pending lookup requests")))
    }
    run {
      defer { self.broker.lookups.end() }
      return try await body()
    } then: { session, result in
      done(session, result)
    }
  }
}

extension Dictionary where Key == String, Value == String {
  /// Of repeated pairs, the last one counts.
  init(_ pairs: [ProtoKeyValue]) {
    self.init(pairs.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })
  }

  var protoPairs: [ProtoKeyValue] {
    sorted { $0.key < $1.key }.map { key, value in
      var pair = ProtoKeyValue()
      pair.key = key
      pair.value = value
      return pair
    }
  }
}

extension SchemaDefinition {
  /// What a client declares; nil for a schema of plain bytes, which is none.
  init?(_ proto: ProtoSchema) {
    guard proto.type != .none else { return nil }
    self.init(type: proto.type, data: Array(proto.schemaData), properties: [String: String](proto.properties))
  }

  func proto(named name: String) -> ProtoSchema {
    var proto = ProtoSchema()
    proto.name = name
    proto.type = type
    proto.schemaData = Data(data)
    proto.properties = properties.protoPairs
    return proto
  }
}
