import NIOCore
import PulsarWire
import TopicLog

extension Topic {
  /// What a message in flight needs when the log is done with it.
  private struct Pending {
    var bytes: Int
    var counters: TopicCounters
    var sequenceID: UInt64
    var highestSequenceID: UInt64
    var deduplication: (name: String, sequence: ProducerDeduplication.Sequence)?
    var origin: OriginStamp?
  }

  /// Takes one message of a producer: judges it, hands it to the log, and answers in the order of the calls.
  func publish(_ producer: TopicProducer, _ request: PublishRequest, nowMs: Int64) {
    eventLoop.assertInEventLoop()
    let bytes = request.body.readableBytes
    guard !producer.isClosed else {
      producer.answer(.silent, bytes: bytes)
      return
    }
    if let refusal = refusal(of: request, from: producer) {
      refuse(producer, request, refusal)
      return
    }
    var pending = Pending(
      bytes: bytes, counters: TopicCounters(), sequenceID: request.command.sequenceID,
      highestSequenceID: request.command.highestSequenceID ?? 0)
    switch producer.kind {
    case .client:
      guard judge(client: producer, request, &pending) else { return }
    case .stream:
      guard judge(stream: producer, request, &pending) else { return }
    case .pulsarReplicator(let cluster, let hasPositionReceipts):
      guard judge(replicator: producer, of: cluster, hasPositionReceipts, request, &pending) else { return }
    }
    append(producer, request, pending, nowMs: nowMs)
  }

  private func refusal(of request: PublishRequest, from producer: TopicProducer) -> BrokerError? {
    switch request.fault {
    case .checksum(let reason): return BrokerError(.checksum, reason)
    case .malformed(let reason): return BrokerError(.persistence, "The message cannot be stored: \(reason)")
    case .tooLarge(let size): return tooLarge(size)
    case .transaction: return BrokerError(.notAllowed, "This broker has no transactions")
    case nil: break
    }
    if isTerminated { return BrokerError(.topicTerminated, "Topic \(name) was already terminated") }
    switch state {
    case .open: break
    case .recovering, .closed: return BrokerError(.notReady, "Topic \(name) takes no messages at the moment: reconnect")
    }
    if request.body.readableBytes > policies.maxMessageSize + PulsarProtocol.frameOverhead {
      return tooLarge(request.body.readableBytes)
    }
    if policies.isEncryptionRequired, producer.kind == .client, request.metadata()?.isEncrypted != true {
      return BrokerError(.metadata, "Messages must be encrypted")
    }
    return nil
  }

  private func tooLarge(_ size: Int) -> BrokerError {
    BrokerError(.notAllowed, "A message of \(size) bytes is larger than the limit of \(policies.maxMessageSize)")
  }

  /// Answers with an error. A replicator's stream ends here: what it sends behind a refused entry must not be stored.
  func refuse(_ producer: TopicProducer, _ request: PublishRequest, _ error: BrokerError) {
    let bytes = request.body.readableBytes
    producer.answer(
      .failed(sequenceID: request.command.sequenceID, error.serverError, error.message), bytes: bytes)
    if producer.kind.isReplicator {
      logger.warning("refused an entry of \(producer.name), its stream is closed", metadata: ["reason": "\(error)"])
      disconnect(producer)
    } else if error.kind != .checksum, error.kind != .notAllowed {
      // The client takes such an error for a broken connection and sends everything from this message on again:
      // storing what follows it now would store it out of order.
      producer.markClosed(mute: false)
    }
  }

  // MARK: Judging

  private func judge(client producer: TopicProducer, _ request: PublishRequest, _ pending: inout Pending) -> Bool {
    guard policies.isDeduplicationEnabled else { return true }
    guard let metadata = request.metadata() else {
      refuse(producer, request, BrokerError(.persistence, "The message's metadata cannot be read"))
      return false
    }
    return deduplicate(producer, as: producer.name, request, metadata, &pending)
  }

  private func deduplicate(
    _ producer: TopicProducer, as name: String, _ request: PublishRequest, _ metadata: MessageMetadataView,
    _ pending: inout Pending
  ) -> Bool {
    let sequence = ProducerDeduplication.Sequence(metadata, highest: request.command.highestSequenceID)
    switch progress.deduplication.push(name, sequence) {
    case .store:
      pending.deduplication = (name, sequence)
      return true
    case .duplicate:
      producer.answer(
        .receipt(
          sequenceID: pending.sequenceID, highestSequenceID: pending.highestSequenceID, position: .earliest),
        bytes: pending.bytes)
      return false
    case .undetermined:
      refuse(
        producer, request,
        BrokerError(
          .persistence,
          "Cannot determine whether message \(sequence.first) of producer \(name) is a duplicate: send it again later"))
      return false
    }
  }

  private func judge(stream producer: TopicProducer, _ request: PublishRequest, _ pending: inout Pending) -> Bool {
    guard var origin = request.command.origin, case .stream(let own, _) = producer.kind else {
      refuse(producer, request, BrokerError(.badRequest, "An entry of a link names no origin"))
      return false
    }
    if origin.region.isEmpty {
      // First published where the stream comes from.
      origin.region = own.region
      origin.incarnation = own.incarnation
    }
    if origin.region == localCluster, origin.incarnation == incarnation {
      refuse(producer, request, BrokerError(.notAllowed, "An entry must not return to its origin \(localCluster)"))
      return false
    }
    let key = OriginKey(region: origin.region, incarnation: origin.incarnation)
    let position = OriginPosition(ledgerID: origin.ledgerID, entryID: origin.entryID)
    let previous = OriginPosition(ledgerID: origin.previousLedgerID, entryID: origin.previousEntryID)
    originSenders[key] = producer
    switch progress.origins.push(key, position, previous: previous) {
    case .store:
      // The chain has been checked: the log's own order says what came before.
      origin.previousLedgerID = -1
      origin.previousEntryID = -1
      pending.origin = origin
      return true
    case .stored:
      producer.answer(
        .watermark(sequenceID: pending.sequenceID, stamp(key)), bytes: pending.bytes)
      return false
    case .inFlight:
      producer.answer(.silent, bytes: pending.bytes)
      return false
    case .refused(let expected):
      refuse(
        producer, request,
        BrokerError(
          .persistence,
          "Entry \(position) of \(key) follows \(previous), but \(expected) is the last one received: resume behind it")
      )
      return false
    }
  }

  private func judge(
    replicator producer: TopicProducer, of cluster: String, _ hasPositionReceipts: Bool, _ request: PublishRequest,
    _ pending: inout Pending
  ) -> Bool {
    if request.command.marker {
      // Markers are the conversation of replicated subscriptions; nothing here takes part in it.
      producer.answer(
        .receipt(
          sequenceID: pending.sequenceID, highestSequenceID: UInt64(bitPattern: Int64.min), position: .earliest),
        bytes: pending.bytes)
      return false
    }
    guard let metadata = request.metadata() else {
      refuse(producer, request, BrokerError(.persistence, "The message's metadata cannot be read"))
      return false
    }
    guard hasPositionReceipts else {
      guard policies.isDeduplicationEnabled else { return true }
      return deduplicate(producer, as: metadata.producerName, request, metadata, &pending)
    }
    guard let position = OriginPosition(sourceProperty: metadata.property(OriginPosition.sourcePropertyName)) else {
      refuse(producer, request, BrokerError(.persistence, "The message does not say its position in the source"))
      return false
    }
    pending.sequenceID = UInt64(position.ledgerID)
    pending.highestSequenceID = UInt64(position.entryID)
    let key = OriginKey(region: cluster, incarnation: 0)
    switch progress.origins.pushIncreasing(key, position) {
    case .store:
      pending.origin = OriginStamp(
        region: cluster, incarnation: 0, ledgerID: position.ledgerID, entryID: position.entryID)
      return true
    case .stored:
      producer.answer(
        .receipt(
          sequenceID: pending.sequenceID, highestSequenceID: pending.highestSequenceID, position: .earliest),
        bytes: pending.bytes)
    case .inFlight, .refused:
      refuse(
        producer, request,
        BrokerError(.persistence, "Cannot determine whether \(position) of \(key) is a duplicate: send it again later"))
    }
    return false
  }

  func stamp(_ key: OriginKey) -> OriginStamp {
    let watermark = progress.origins.watermark(key)
    return OriginStamp(
      region: key.region, incarnation: key.incarnation, ledgerID: watermark.ledgerID, entryID: watermark.entryID)
  }

  // MARK: Storing

  private func append(_ producer: TopicProducer, _ request: PublishRequest, _ pending: Pending, nowMs: Int64) {
    var pending = pending
    let messages = request.messages
    // What this region counts as its own is what its clients published; the bytes are the producer's.
    pushedCounters.add(messages: messages, bytes: pending.bytes, isLocal: producer.kind == .client)
    pending.counters = pushedCounters
    var header = ByteBuffer()
    BrokerEntryMetadataView(
      brokerTimestampMs: nowMs, index: Int64(bitPattern: pushedCounters.nextIndex) - 1,
      localMessages: Int64(bitPattern: pushedCounters.localMessages),
      localBytes: Int64(bitPattern: pushedCounters.localBytes), origin: pending.origin
    ).encode(into: &header)
    count(producer, messages: messages, bytes: pending.bytes, isChunk: request.command.isChunk, nowMs: nowMs)
    producer.appendStarted()
    pendingAppends += 1
    log.append(header, request.body) { [pending] result in
      self.pendingAppends -= 1
      switch result {
      case .success(let position): self.stored(producer, pending, at: position)
      case .failure(let error): self.failed(producer, pending, error)
      }
    }
  }

  private func count(_ producer: TopicProducer, messages: Int, bytes: Int, isChunk: Bool, nowMs: Int64) {
    counters.add(messages: messages, bytes: bytes, isChunk: isChunk)
    producer.counters.add(messages: messages, bytes: bytes, isChunk: isChunk)
    if isChunk { chunksPublished = true }
    switch producer.kind {
    case .client:
      for cluster in policies.withheldClusters { withheld[cluster, default: 0] += Int64(messages) }
      // What comes from another region was admitted there, and shares a connection with other topics.
      publishThrottle.published(messages: messages, bytes: bytes, by: producer.port)
    case .stream(let key, _):
      inbound[key.region]?.counters.add(messages: messages, bytes: bytes, isChunk: isChunk)
    case .pulsarReplicator(let cluster, _):
      inbound[cluster]?.counters.add(messages: messages, bytes: bytes, isChunk: isChunk)
    }
    lastPublishMs = nowMs
  }

  private func stored(_ producer: TopicProducer, _ pending: Pending, at position: Position) {
    progress.counters = pending.counters
    progressPosition = position
    snapshot.entriesSince += 1
    if let (name, sequence) = pending.deduplication { progress.deduplication.persist(name, sequence) }
    if let origin = pending.origin {
      let key = OriginKey(region: origin.region, incarnation: origin.incarnation)
      progress.origins.persist(key, OriginPosition(ledgerID: origin.ledgerID, entryID: origin.entryID))
      if case .stream = producer.kind {
        producer.appendCompleted(.watermark(sequenceID: pending.sequenceID, stamp(key)), bytes: pending.bytes)
        // A stream that took over from this one waits for what this one had in flight.
        if let sender = originSenders[key], sender !== producer, !sender.isClosed {
          sender.announce(.watermark(sequenceID: pending.sequenceID, stamp(key)))
        }
        finishRecovery()
        return
      }
    }
    producer.appendCompleted(
      .receipt(
        sequenceID: pending.sequenceID, highestSequenceID: pending.highestSequenceID, position: position),
      bytes: pending.bytes)
    finishRecovery()
  }

  /// The log did not take an entry. Every producer is sent away and comes back with what it has no receipt for.
  private func failed(_ producer: TopicProducer, _ pending: Pending, _ error: TopicLogError) {
    if producer.kind.isReplicator, !producer.isClosed {
      producer.appendCompleted(
        .failed(sequenceID: pending.sequenceID, .persistenceError, "\(error)"), bytes: pending.bytes)
    } else {
      producer.appendCompleted(.silent, bytes: pending.bytes)
    }
    if state == .open {
      logger.warning("an append failed, producers are disconnected", metadata: ["reason": "\(error)"])
      state = .recovering
      for producer in producers.values { disconnect(producer) }
      if !error.isTransient {
        onUnusable?(self, BrokerError(.notReady, "\(error)"))
      }
    }
    finishRecovery()
  }

  private func finishRecovery() {
    guard pendingAppends == 0, state == .recovering else { return }
    progress.deduplication.forgetUnpersisted()
    progress.origins.forgetUnpersisted()
    pushedCounters = progress.counters
    state = .open
  }
}

extension TopicLogError {
  /// Whether the log itself goes on after it.
  var isTransient: Bool {
    if case .noWritableLedger = self { return true }
    return false
  }
}

extension ProducerDeduplication.Sequence {
  /// The ids that a message carries; clients say the last one of a batch in its metadata, if at all.
  init(_ metadata: MessageMetadataView, highest: UInt64?) {
    let first = Int64(bitPattern: metadata.sequenceID)
    let last = max(Int64(bitPattern: metadata.highestSequenceID), Int64(bitPattern: highest ?? 0))
    let chunk = metadata.isChunk ? (metadata.chunkID ?? 0, metadata.numChunksFromMessage ?? 1) : nil
    self.init(first, through: max(first, last), chunk: chunk)
  }
}

extension OriginPosition {
  /// The property in which a Pulsar replicator says where a message was in its source.
  static let sourcePropertyName = "__MSG_PROP_REPL_SOURCE_POSITION"

  /// Parses `ledger:entry`; nil for anything else, negative numbers included.
  init?(sourceProperty text: String?) {
    guard let text else { return nil }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, let ledger = Int64(parts[0]), let entry = Int64(parts[1]), ledger >= 0, entry >= 0
    else { return nil }
    self.init(ledgerID: ledger, entryID: entry)
  }
}
