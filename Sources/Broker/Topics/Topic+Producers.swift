import NIOCore
import PulsarWire
import TopicLog

extension Topic {
  /// Attaches a producer, or queues it. Throws ``BrokerError`` with the reason a client is told.
  func addProducer(_ spec: ProducerSpec, port: SessionPort) async throws -> ProducerGrant {
    try await requireReadyForProducers()
    let kind = producerKind(spec)
    let schemaVersion = try await registerSchema(of: spec, isReplicator: kind.isReplicator)
    if let stream = spec.stream, let text = spec.metadata[ReplicatorStreamProperty.gaps] {
      try await recordGaps(text, from: stream.region)
    }
    let grant = try await attach(spec, kind: kind, schemaVersion: schemaVersion, port: port)
    if let epoch = grant.topicEpoch, grant.isReady, epoch != spec.topicEpoch {
      do {
        try await saveTopicEpoch(epoch)
      } catch {
        try await removeProducer(grant.producer)
        throw BrokerError(.metadata, "The topic epoch could not be saved: \(error)")
      }
    }
    if let subscription = spec.initialSubscription, !subscription.isEmpty {
      _ = try await openSubscription(subscription, initial: .earliest, properties: [:])
    }
    return grant
  }

  /// Attaches the producer. One of the same name on a connection that turns out to be dead makes room for it.
  private func attach(
    _ spec: ProducerSpec, kind: TopicProducer.Kind, schemaVersion: [UInt8]?, port: SessionPort
  ) async throws -> ProducerGrant {
    do {
      return try await onLoop { try $0.attachNow(spec, kind: kind, schemaVersion: schemaVersion, port: port) }
    } catch let error as BrokerError where error.kind == .producerBusy {
      let rival = try await onLoop { topic in
        topic.producers.values.first { $0.name == spec.name && $0.port.connection != port.connection }
      }
      guard let rival, await !rival.port.probe() else { throw error }
      return try await onLoop { topic in
        topic.close(rival, requestID: nil)
        return try topic.attachNow(spec, kind: kind, schemaVersion: schemaVersion, port: port)
      }
    }
  }

  private func requireReadyForProducers() async throws {
    try await onLoop { topic in
      topic.lastUseMs = WallClock.nowMs()
      if topic.isTerminated { throw BrokerError(.topicTerminated, "Topic \(topic.name) was already terminated") }
      try topic.requireOpen()
    }
  }

  private func producerKind(_ spec: ProducerSpec) -> TopicProducer.Kind {
    if let stream = spec.stream {
      return .stream(OriginKey(region: stream.region, incarnation: stream.incarnation), epoch: stream.epoch)
    }
    if let cluster = spec.pulsarCluster {
      return .pulsarReplicator(cluster: cluster, hasPositionReceipts: spec.hasPositionReceipts)
    }
    return .client
  }

  private func registerSchema(of spec: ProducerSpec, isReplicator: Bool) async throws -> [UInt8]? {
    guard let schema = spec.schema else {
      let policies = try await onLoop { $0.policies }
      if !isReplicator, policies.isSchemaValidationEnforced, try await schemas.latest(name) != nil {
        throw BrokerError(
          .incompatibleSchema, "Producers cannot connect without a schema to topics with a schema")
      }
      return nil
    }
    let policies = try await onLoop { $0.policies }
    return try await schemas.register(
      name, schema, strategy: policies.schemaCompatibility, isUpdateAllowed: policies.allowsSchemaUpdate
    ).versionBytes
  }

  private func attachNow(
    _ spec: ProducerSpec, kind: TopicProducer.Kind, schemaVersion: [UInt8]?, port: SessionPort
  ) throws -> ProducerGrant {
    try requireOpen()
    if let region = spec.sendingRegion { try policies.requireAccepted(region, name, local: localCluster) }
    let id = nextProducerID
    nextProducerID += 1
    let producer = TopicProducer(
      id: id, spec: spec, kind: kind, port: port, nowMs: WallClock.nowMs())
    var grant = ProducerGrant(producer: producer, name: spec.name, schemaVersion: schemaVersion)
    switch kind {
    case .client:
      try admit(producer, &grant)
    case .stream(let key, let epoch):
      try takeOver(producer, key, epoch: epoch)
      grant.resume = stamp(key)
    case .pulsarReplicator(let cluster, _):
      for old in producers.values where old.kind.isReplicator && old.name == spec.name { disconnect(old) }
      inboundConnected(cluster, producer)
    }
    producers[id] = producer
    if policies.isDeduplicationEnabled { grant.lastSequenceID = progress.deduplication.lastPersisted(spec.name) }
    return grant
  }

  private func admit(_ producer: TopicProducer, _ grant: inout ProducerGrant) throws {
    let spec = producer.spec
    if policies.isEncryptionRequired, !spec.isEncrypted {
      throw BrokerError(.metadata, "Encryption is required in \(name)")
    }
    if let policy = exceededQuotas.values.first {
      throw BrokerError(
        policy == .producerRequestHold ? .quotaExceededHold : .quotaExceeded,
        "Cannot create producer on topic \(name) with backlog quota exceeded")
    }
    let decision = admission.request(
      ProducerAdmission.Request(
        id: producer.id, name: producer.name, mode: ProducerAdmission.AccessMode(spec.accessMode),
        topicEpoch: spec.topicEpoch, epoch: spec.epoch, isNameChosen: spec.isNameChosen,
        connection: producer.port.connection))
    switch decision {
    case .admitted(let epoch, let fenced):
      for id in fenced {
        if let old = producers[id] { disconnect(old) }
      }
      grant.topicEpoch = epoch
    case .queued:
      producer.isWaiting = true
      grant.isReady = false
    case .refused(let kind, let message):
      throw BrokerError(kind, message)
    }
  }

  /// One stream per region's incarnation: a later one has the right, the earlier one is closed.
  private func takeOver(_ producer: TopicProducer, _ key: OriginKey, epoch: UInt64) throws {
    if key.region == localCluster {
      throw BrokerError(.notAllowed, "Region \(localCluster) does not take a stream from itself")
    }
    if let old = streams[key], case .stream(_, let oldEpoch) = old.kind {
      guard epoch >= oldEpoch else {
        throw BrokerError(.producerFenced, "Stream epoch \(epoch) of \(key) is behind \(oldEpoch)")
      }
      disconnect(old)
    }
    streams[key] = producer
    originSenders[key] = producer
    inboundConnected(key.region, producer)
  }

  /// Removes a producer because the broker wants so: its client is told and connects again.
  func disconnect(_ producer: TopicProducer) {
    guard producers[producer.id] === producer else { return }
    if !producer.isWaiting {
      producer.answer(.closedByBroker, bytes: 0, settled: 0)
    } else {
      producer.announce(
        .refused(requestID: producer.spec.requestID, .producerFenced, "Another producer has taken the topic"))
    }
    producer.markClosed(mute: false)
    forget(producer)
  }

  /// Removes a producer whose client closed it; `requestID` is answered behind everything in flight.
  func close(_ producer: TopicProducer, requestID: UInt64?) {
    eventLoop.assertInEventLoop()
    if let requestID { producer.answer(.closedByClient(requestID: requestID), bytes: 0, settled: 0) }
    producer.markClosed(mute: requestID == nil)
    forget(producer)
  }

  /// As ``close(_:requestID:)``, from anywhere.
  func removeProducer(_ producer: TopicProducer) async throws {
    try await onLoop { $0.close(producer, requestID: nil) }
  }

  private func forget(_ producer: TopicProducer) {
    guard producers.removeValue(forKey: producer.id) != nil else { return }
    lastUseMs = WallClock.nowMs()
    switch producer.kind {
    case .client:
      if let promotion = admission.leave(producer.id) { promote(promotion) }
    case .stream(let key, _):
      if streams[key] === producer { streams[key] = nil }
      originSenders = originSenders.filter { $0.value !== producer }
      inboundDisconnected(key.region, producer)
    case .pulsarReplicator(let cluster, _):
      inboundDisconnected(cluster, producer)
    }
  }

  /// A waiting producer's turn has come: it is told when the epoch is durable.
  private func promote(_ promotion: ProducerAdmission.Promotion) {
    guard let producer = producers[promotion.id] else { return }
    producer.isWaiting = false
    Task { [self] in
      do {
        try await saveTopicEpoch(promotion.topicEpoch)
        try await onLoop { _ in
          producer.announce(.ready(requestID: producer.spec.requestID, topicEpoch: promotion.topicEpoch))
        }
      } catch {
        logger.warning("the topic epoch could not be saved", metadata: ["reason": "\(error)"])
        try? await onLoop { $0.disconnect(producer) }
      }
    }
  }
}

extension ProducerAdmission.AccessMode {
  init(_ mode: ProtoProducerAccessMode) {
    switch mode {
    case .shared: self = .shared
    case .exclusive: self = .exclusive
    case .waitForExclusive: self = .waitForExclusive
    case .exclusiveWithFencing: self = .exclusiveWithFencing
    }
  }

  /// As the statistics write it.
  static func name(_ mode: ProtoProducerAccessMode) -> String {
    switch mode {
    case .shared: "Shared"
    case .exclusive: "Exclusive"
    case .waitForExclusive: "WaitForExclusive"
    case .exclusiveWithFencing: "ExclusiveWithFencing"
    }
  }
}
