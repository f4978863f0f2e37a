import Foundation
import NIOCore
import PulsarWire

extension ClientSession {
  func handle(_ command: ProtoCommandProducer) {
    let id = command.producerID
    let requestID = command.requestID
    switch producers[id] {
    case .opening:
      return send(.error(requestID, .serviceNotReady, "Producer is already present on the connection"))
    case .open(_, let topic, let producer, let outbox):
      // The client does not know of the one that it has: it asked again after a timeout, or lost track of it.
      outbox.append(.closeProducer(topic, producer, requestID: nil))
      flushOutboxes()
    case nil: break
    }
    let topicName: TopicName
    do {
      topicName = try TopicName(command.topic)
    } catch {
      return send(.error(requestID, error))
    }
    let spec = producerSpec(command)
    if let refusal = replicatorAdmission.refusal(of: spec) {
      logger.warning(
        "a stream of another region is refused",
        metadata: ["producer": "\(spec.name)", "topic": "\(topicName)", "reason": "\(refusal)"])
      return send(.error(requestID, refusal))
    }
    producers[id] = .opening(life: spec.life, requestID: requestID, isCancelled: false)
    run {
      if let region = spec.sendingRegion { try await self.broker.requireAccepted(region, of: topicName) }
      if spec.stream != nil {
        try await self.broker.preparePartitions(
          of: topicName, atLeast: spec.metadata[ReplicatorStreamProperty.partitions])
      }
      let topic = try await self.broker.topic(
        topicName, createIfMissing: true, isReplicator: spec.isFromReplicator)
      let port = try await self.eventLoop.submit { self.outbox(for: topic.eventLoop).port }.get()
      return (topic, try await topic.addProducer(spec, port: port))
    } then: { session, result in
      session.producerOpened(spec, result)
    }
  }

  private var replicatorAdmission: ReplicatorAdmission {
    ReplicatorAdmission(
      isTLS: isTLS, certificate: certificate,
      declared: client.flatMap { $0.features.hasMeridian ? $0.features.meridian : nil },
      pulsarNeedsCertificate: broker.configuration.replicationRequiresClientCertificate)
  }

  private func producerSpec(_ command: ProtoCommandProducer) -> ProducerSpec {
    ProducerSpec(
      producerID: command.producerID, life: nextProducerLife(), requestID: command.requestID,
      name: command.producerName.isEmpty ? broker.nextProducerName() : command.producerName,
      isNameChosen: command.userProvidedProducerName, epoch: command.epoch, accessMode: command.producerAccessMode,
      topicEpoch: command.hasTopicEpoch ? Int64(bitPattern: command.topicEpoch) : nil,
      isEncrypted: command.encrypted, schema: command.hasSchema ? SchemaDefinition(command.schema) : nil,
      metadata: [String: String](command.metadata),
      stream: command.hasMeridianStream ? command.meridianStream : nil,
      initialSubscription: command.hasInitialSubscriptionName ? command.initialSubscriptionName : nil,
      hasPositionReceipts: client?.features.supportsReplDedupByLidAndEid ?? false, address: address,
      clientVersion: client?.version ?? "", supportsPartialProducer: client?.features.supportsPartialProducer ?? false)
  }

  private func producerOpened(_ spec: ProducerSpec, _ result: Result<(LoadedTopic, ProducerGrant), any Error>) {
    let ready = earlyReady.removeValue(forKey: spec.life)
    guard !isClosed, case .opening(spec.life, _, let isCancelled) = producers[spec.producerID] else {
      if case .success((let topic, let grant)) = result { abandon(grant.producer, of: topic) }
      return
    }
    switch result {
    case .failure(let error):
      producers[spec.producerID] = nil
      send(.error(spec.requestID, error))
    case .success((let topic, let grant)):
      guard !isCancelled else {
        producers[spec.producerID] = nil
        abandon(grant.producer, of: topic)
        return
      }
      producers[spec.producerID] = .open(life: spec.life, topic, grant.producer, outbox(for: topic.eventLoop))
      var success = ProtoCommandProducerSuccess()
      success.requestID = spec.requestID
      success.producerName = grant.name
      success.lastSequenceID = grant.lastSequenceID
      success.schemaVersion = Data(grant.schemaVersion ?? [])
      if let epoch = ready ?? grant.topicEpoch { success.topicEpoch = UInt64(bitPattern: epoch) }
      success.producerReady = grant.isReady || ready != nil
      if let resume = grant.resume, resume.ledgerID >= 0 { success.meridianResume = resume.proto }
      send(ProtoBaseCommand(success))
    }
  }

  private func abandon(_ producer: TopicProducer, of topic: LoadedTopic) {
    topic.eventLoop.execute { topic.close(producer, requestID: nil) }
  }

  func handle(_ command: ProtoCommandCloseProducer) {
    switch producers[command.producerID] {
    case .opening(let life, let requestID, _):
      producers[command.producerID] = .opening(life: life, requestID: requestID, isCancelled: true)
      send(.success(command.requestID))
    case .open(_, let topic, let producer, let outbox):
      // The answer comes behind the receipts of everything in flight.
      outbox.append(.closeProducer(topic, producer, requestID: command.requestID))
    case nil:
      send(.success(command.requestID))
    }
  }
}
