import Ledgers
import Logging
import MetadataStore
import NIOCore
import PulsarWire
import TopicLog

/// Opens a topic's log and learns from it everything that the topic must know before it serves.
struct TopicLoader: Sendable {
  /// Entries read at once while the log is replayed.
  private static let replayBatch = 1000

  let configuration: BrokerConfiguration
  let metadata: any MetadataStore
  let ledgers: LedgerClient
  let cache: EntryCacheBudget
  let schemas: SchemaRegistry
  let logger: Logger

  /// Takes the topic over. Throws ``BrokerError``.
  func load(_ name: TopicName, policies: EffectivePolicies, on loop: any EventLoop) async throws -> Topic {
    let log: TopicLog
    do {
      log = try await TopicLog.open(
        name: name.storagePath, ledgers: ledgers, metadata: metadata, configuration: Self.logConfiguration(policies),
        cache: cache, on: loop, logger: logger)
    } catch {
      throw BrokerError(.notReady, "Topic \(name) could not be loaded: \(error)")
    }
    do {
      let topic = try await makeTopic(name, log, policies)
      try await openSubscriptions(of: topic)
      return topic
    } catch {
      try? await log.close()
      throw (error as? BrokerError) ?? BrokerError(.notReady, "Topic \(name) could not be loaded: \(error)")
    }
  }

  static func logConfiguration(_ policies: EffectivePolicies) -> TopicLogConfiguration {
    var configuration = TopicLogConfiguration()
    apply(policies, to: &configuration)
    return configuration
  }

  /// Puts retention, the number of copies, who holds them and the pace of cursors into a log's configuration. Copies count
  /// for ledgers made from now on.
  static func apply(_ policies: EffectivePolicies, to configuration: inout TopicLogConfiguration) {
    configuration.retentionTime =
      policies.retentionTimeMinutes < 0 ? nil : .seconds(Int64(min(policies.retentionTimeMinutes, Int(Int32.max))) * 60)
    configuration.retentionSize = policies.retentionSizeMB < 0 ? nil : min(policies.retentionSizeMB, .max >> 20) << 20
    let persistence = policies.persistence
    for options in [\TopicLogConfiguration.ledgerOptions, \.cursorLedgerOptions] {
      configuration[keyPath: options].ensembleSize = persistence.bookkeeperEnsemble
      configuration[keyPath: options].writeQuorumSize = persistence.bookkeeperWriteQuorum
      configuration[keyPath: options].ackQuorumSize = persistence.bookkeeperAckQuorum
      configuration[keyPath: options].affinity = policies.bookieAffinity
    }
    if persistence.managedLedgerMaxMarkDeleteRate > 0 {
      let seconds = min(3600, max(0.001, 1 / persistence.managedLedgerMaxMarkDeleteRate))
      configuration.markDeleteInterval = .milliseconds(Int64(seconds * 1000))
    }
  }

  private func makeTopic(_ name: TopicName, _ log: TopicLog, _ policies: EffectivePolicies) async throws -> Topic {
    let cursor = try await log.openCursor(Topic.progressCursorName, initial: .earliest)
    let (progress, position) = try await replay(log, from: cursor, policies)
    let epoch = try await topicEpoch(name)
    return try await log.eventLoop.submit {
      let topic = Topic(
        name: name, log: log, progressCursor: cursor, progress: progress, progressPosition: position,
        policies: policies, topicEpoch: epoch, configuration: configuration, schemas: schemas,
        createdAtMs: WallClock.nowMs(), logger: logger)
      topic.isTerminated = log.internalStats.state == "Terminated"
      topic.metadata = metadata
      return topic
    }.get()
  }

  // MARK: Replay

  /// The snapshot and every entry after it.
  private func replay(
    _ log: TopicLog, from cursor: TopicCursor, _ policies: EffectivePolicies
  ) async throws -> (TopicProgress, Position) {
    let limit = configuration.brokerDeduplicationMaxNumberOfProducers
    let (attachment, markDelete) = try await log.eventLoop.submit { (cursor.attachment, cursor.markDelete) }.get()
    var progress = TopicProgress(maximumProducers: limit)
    var position = markDelete
    if let attachment {
      guard let saved = TopicProgress(maximumProducers: limit, snapshot: attachment) else {
        throw BrokerError(.persistence, "The deduplication snapshot of \(log.name) is damaged")
      }
      progress = saved
    }
    while true {
      let from = position
      let batch = try await log.eventLoop.flatSubmit {
        let promise = log.eventLoop.makePromise(of: [LogEntry].self)
        log.read(from: log.position(after: from), maxEntries: Self.replayBatch, maxBytes: 8 * 1024 * 1024) {
          promise.completeWith($0.mapError { $0 as any Error })
        }
        return promise.futureResult
      }.get()
      guard let last = batch.last else { break }
      for entry in batch { progress.replay(entry, deduplicates: policies.isDeduplicationEnabled) }
      position = last.position
    }
    return (progress, position)
  }

  // MARK: Subscriptions

  private func openSubscriptions(of topic: Topic) async throws {
    try await topic.onLoop { topic in
      for (name, cursor) in topic.log.cursors where cursor.isDurable {
        if name == Topic.progressCursorName { continue }
        if let cluster = Topic.cluster(ofCursor: name) {
          if !topic.policies.remoteClusters.contains(cluster) {
            topic.logger.warning(
              "a replicator's cursor belongs to a cluster that no policy names; it is kept until it is deleted",
              metadata: ["cluster": "\(cluster)"])
          }
          continue
        }
        topic.restoreSubscription(name, cursor)
      }
    }
  }

  // MARK: Topic epoch

  private func topicEpoch(_ name: TopicName) async throws -> Int64? {
    guard let record = try await metadata.get(Topic.epochKey(name)) else { return nil }
    return Int64(String(decoding: record.value, as: UTF8.self))
  }
}

extension TopicProgress {
  /// Learns from an entry of the log, in the log's order.
  mutating func replay(_ entry: LogEntry, deduplicates: Bool) {
    guard let header = try? EntryHeader.parse(entry.payload) else { return }
    if let broker = header.brokerEntryMetadata {
      if let index = broker.index { counters.nextIndex = UInt64(bitPattern: index) &+ 1 }
      if let messages = broker.localMessages { counters.localMessages = UInt64(bitPattern: messages) }
      if let bytes = broker.localBytes { counters.localBytes = UInt64(bitPattern: bytes) }
      if let origin = broker.origin {
        origins.persist(
          OriginKey(region: origin.region, incarnation: origin.incarnation),
          OriginPosition(ledgerID: origin.ledgerID, entryID: origin.entryID))
        return
      }
    }
    guard deduplicates, let metadata = try? MessageMetadataView(header.metadata) else { return }
    deduplication.replay(metadata.producerName, ProducerDeduplication.Sequence(metadata, highest: nil))
  }
}

extension Topic {
  /// Where the epoch of exclusive producers is kept.
  static func epochKey(_ name: TopicName) -> String { "/topic-epochs/\(name.storagePath)" }

  /// Makes an epoch durable before its producer hears of it.
  func saveTopicEpoch(_ epoch: Int64) async throws {
    guard let metadata = try await onLoop({ $0.metadata }) else { return }
    try await metadata.put(Self.epochKey(name), Array("\(epoch)".utf8))
  }

  /// Stops serving: clients are told, replicators stopped, everything that is known saved. The log is closed when it
  /// returns. May be called twice.
  func close() async {
    let isFirst = (try? await onLoop { $0.beginClosing(.topicClosed) }) ?? false
    guard isFirst else { return }
    await stopReplicators()
    await drain()
    do {
      try await saveSnapshot()
    } catch {
      logger.debug("the deduplication snapshot could not be saved", metadata: ["reason": "\(error)"])
    }
    try? await log.close()
  }

  /// Deletes the topic with everything stored. Throws ``BrokerError``.
  func delete() async throws {
    _ = try await onLoop { topic in
      topic.isDeleted = true
      topic.beginClosing(.subscriptionDeleted)
    }
    await stopReplicators()
    await drain()
    do {
      try await log.delete()
    } catch {
      throw BrokerError(.persistence, "Topic \(name) could not be deleted: \(error)")
    }
    try? await metadata?.delete(Self.epochKey(name))
  }

  /// Sends every client away and takes no new one. Returns false if that was done before.
  @discardableResult
  func beginClosing(_ reason: ConsumerCloseReason) -> Bool {
    guard state != .closed else { return false }
    state = .closed
    maintenanceTask?.cancel()
    if let listener { log.removeAppendListener(listener) }
    listener = nil
    onInactive = nil
    onUnusable = nil
    publishThrottle.release()
    for producer in producers.values { disconnect(producer) }
    for subscription in subscriptions.values { subscription.close(reason) }
    subscriptions = [:]
    return true
  }

  /// Waits until what was sent to the log has come back, for a moment at most.
  private func drain() async {
    for _ in 0..<200 {
      let pending = (try? await onLoop { $0.pendingAppends }) ?? 0
      if pending == 0 { return }
      try? await Task.sleep(for: .milliseconds(10))
    }
  }

  /// Ends the topic for good: it takes no more messages. Returns the last position. Throws ``BrokerError``.
  func terminate() async throws -> Position {
    try await onLoop { topic in
      try topic.requireOpen()
      topic.isTerminated = true
      for producer in topic.producers.values { topic.disconnect(producer) }
    }
    let position: Position
    do {
      position = try await log.terminate()
    } catch {
      throw BrokerError(.persistence, "Topic \(name) could not be terminated: \(error)")
    }
    try await onLoop { topic in
      for subscription in topic.subscriptions.values { subscription.topicTerminated() }
    }
    return position
  }
}
