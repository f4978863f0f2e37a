import NIOCore
import TopicLog

/// A replicator and where it is in its life.
final class HostedReplicator {
  /// nil while its cursor is being opened.
  var replicator: (any TopicReplicator)?
  var isStopping = false
  /// Run when a stop is complete.
  var waiters: [() -> Void] = []
}

/// What comes in from another region.
struct InboundReplication {
  var producers: [ProducerAdmission.ID: TopicProducer] = [:]
  var counters = PublishCounters()
  var rates = SampledRates()
}

extension Topic {
  static func replicatorCursorName(_ cluster: String) -> String { "\(replicatorPrefix).\(cluster)" }

  /// The cluster that a replicator's cursor belongs to; nil for any other cursor.
  static func cluster(ofCursor name: String) -> String? {
    let prefix = "\(replicatorPrefix)."
    return name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : nil
  }

  /// The running replicators by remote cluster.
  public var runningReplicators: [String: any TopicReplicator] {
    eventLoop.assertInEventLoop()
    return replicators.compactMapValues { $0.isStopping ? nil : $0.replicator }
  }

  /// Starts the replicators that the policy names and that do not run. Nothing is stopped or deleted here: a cursor that
  /// no policy names may be the only trace of messages that another region still needs.
  ///
  /// Throws ``BrokerError`` if one cannot be started: who loads the topic must not let it serve then, as messages that are
  /// published before the cursor exists might never be sent.
  func startReplicators() async throws {
    if let failure = await inTurn({ await $0.startMissingReplicators() }) ?? nil { throw failure }
  }

  private func startMissingReplicators() async -> BrokerError? {
    let missing =
      (try? await onLoop { topic in
        topic.state == .closed || topic.replicatorFactory == nil
          ? [] : topic.policies.remoteClusters.filter { topic.replicators[$0] == nil }
      }) ?? []
    var failure: BrokerError?
    for cluster in missing.sorted() {
      do {
        try await startReplicator(cluster)
      } catch {
        failure = error
      }
    }
    return failure
  }

  private func startReplicator(_ cluster: String) async throws(BrokerError) {
    do {
      // Where it begins is decided once: a later attempt must not miss what was published meanwhile.
      let initial = try await onLoop { topic -> InitialPosition? in
        guard topic.state != .closed, topic.replicators[cluster] == nil else { return nil }
        topic.replicators[cluster] = HostedReplicator()
        if let decided = topic.replicatorStarts[cluster] { return decided }
        let initial: InitialPosition
        switch topic.policies.replicationStartAt {
        case .earliest: initial = .earliest
        case .latest: initial = .at(topic.log.position(after: topic.log.lastConfirmed))
        }
        topic.replicatorStarts[cluster] = initial
        return initial
      }
      guard let initial else { return }
      let cursor = try await log.openCursor(Self.replicatorCursorName(cluster), initial: initial)
      try await onLoop { topic in
        topic.replicatorStarts[cluster] = nil
        guard let hosted = topic.replicators[cluster], !hosted.isStopping, let factory = topic.replicatorFactory,
          topic.state != .closed
        else {
          topic.replicatorStopped(cluster)
          return
        }
        let replicator = factory.makeReplicator(topic: topic, remoteCluster: cluster, cursor: cursor)
        hosted.replicator = replicator
        replicator.start()
      }
    } catch {
      logger.error("a replicator's cursor cannot be opened", metadata: ["cluster": "\(cluster)", "reason": "\(error)"])
      _ = try? await onLoop { $0.replicatorStopped(cluster) }
      throw BrokerError(
        .notReady, "Replication of \(name) to \(cluster) cannot begin, as its cursor cannot be made: \(error)")
    }
  }

  /// Tries again to start what could not be started in a topic that serves already.
  private func startReplicatorsLater() {
    eventLoop.scheduleTask(in: .seconds(5)) { [weak self] in
      guard let self, state != .closed else { return }
      Task {
        do {
          try await self.startReplicators()
        } catch {
          self.startReplicatorsLater()
        }
      }
    }
  }

  /// Stops the replicator towards `cluster`; its cursor stays. `completion` runs on the loop.
  func stopReplicator(_ cluster: String, completion: @escaping () -> Void) {
    eventLoop.assertInEventLoop()
    guard let hosted = replicators[cluster] else { return completion() }
    hosted.waiters.append(completion)
    guard !hosted.isStopping else { return }
    hosted.isStopping = true
    // One whose cursor is being opened ends when it is open.
    hosted.replicator?.stop { self.replicatorStopped(cluster) }
  }

  private func replicatorStopped(_ cluster: String) {
    let waiters = replicators.removeValue(forKey: cluster)?.waiters ?? []
    for waiter in waiters { waiter() }
  }

  /// Stops every replicator.
  func stopReplicators() async {
    let done = try? await onLoop { topic in
      EventLoopFuture.andAllSucceed(
        topic.replicators.keys.map { cluster in
          let promise = topic.eventLoop.makePromise(of: Void.self)
          topic.stopReplicator(cluster) { promise.succeed() }
          return promise.futureResult
        }, on: topic.eventLoop)
    }
    try? await done?.get()
  }

  /// Takes policies that an operator changed. A cluster that the new ones no longer name loses its replicator and its
  /// cursor, and with it the right to what it has not received: that is what removing it means.
  ///
  /// One change is carried out behind the other: a cluster that is taken back and named again gets a cursor that is not
  /// about to be deleted.
  func apply(_ new: EffectivePolicies) async {
    await inTurn { await $0.applyNow(new) }
  }

  /// Runs `body` when every earlier call's is done.
  @discardableResult
  private func inTurn<Value: Sendable>(_ body: @escaping @Sendable (Topic) async -> Value) async -> Value? {
    let turn = try? await onLoop { topic in
      let before = topic.policyTurn
      let turn = Task {
        await before?.value
        return await body(topic)
      }
      topic.policyTurn = Task { _ = await turn.value }
      return turn
    }
    return await turn?.value
  }

  private func applyNow(_ new: EffectivePolicies) async {
    let removed =
      (try? await onLoop { topic -> Set<String> in
        guard topic.state != .closed, topic.policies != new else { return [] }
        let removed = topic.policies.remoteClusters.subtracting(new.remoteClusters)
        topic.policies = new
        topic.admission.maximumProducers = new.maxProducers
        topic.applyLimits()
        TopicLoader.apply(new, to: &topic.log.configuration)
        for hosted in topic.replicators.values { hosted.replicator?.policyChanged() }
        for cluster in removed { topic.replicatorStarts[cluster] = nil }
        topic.dismissReplicators()
        return removed
      }) ?? []
    for cluster in removed { await removeReplicator(cluster) }
    if await startMissingReplicators() != nil { startReplicatorsLater() }
  }

  /// Ends the streams of regions whose messages are no longer taken.
  private func dismissReplicators() {
    for producer in producers.values {
      guard let region = producer.spec.sendingRegion else { continue }
      do {
        try policies.requireAccepted(region, name, local: localCluster)
      } catch {
        logger.warning("a stream of another region is ended", metadata: ["reason": "\(error)"])
        disconnect(producer)
      }
    }
  }

  private func removeReplicator(_ cluster: String) async {
    let stopped = try? await onLoop { topic in
      let promise = topic.eventLoop.makePromise(of: Void.self)
      topic.stopReplicator(cluster) { promise.succeed() }
      return promise.futureResult
    }
    try? await stopped?.get()
    do {
      // Named again meanwhile: then the cursor is needed.
      if try await onLoop({ $0.policies.remoteClusters.contains(cluster) }) { return }
      try await log.deleteCursor(Self.replicatorCursorName(cluster))
      logger.info("replication was taken back, its cursor is deleted", metadata: ["cluster": "\(cluster)"])
    } catch {
      logger.error(
        "a replicator's cursor cannot be deleted", metadata: ["cluster": "\(cluster)", "reason": "\(error)"])
    }
  }

  // MARK: Inbound

  /// Puts it on record what another region says that it cannot send any more; durable when it returns.
  func recordGaps(_ text: String, from region: String) async throws {
    guard let told = ReplicationGaps(text: text) else {
      throw BrokerError(.badRequest, "The gaps that region \(region) tells of cannot be read: \(text.prefix(200))")
    }
    let isNew = try await onLoop { topic in
      try topic.policies.requireAccepted(region, topic.name, local: topic.localCluster)
      var known = ReplicationGaps(properties: topic.progressCursor.properties, region: region)
      var isNew = false
      for gap in told.records where known.add(gap) {
        isNew = true
        topic.logger.error(
          "a region lost messages before this one had them",
          metadata: [
            "region": "\(region)", "behind": "\(gap.fromLedgerId):\(gap.fromEntryId)",
            "through": "\(gap.throughLedgerId):\(gap.throughEntryId)",
          ])
      }
      guard isNew else { return false }
      var properties = topic.progressCursor.properties
      known.write(into: &properties, region: region)
      topic.progressCursor.properties = properties
      return true
    }
    guard isNew else { return }
    do {
      try await progressCursor.flush()
    } catch {
      throw BrokerError(.persistence, "The record of a gap of region \(region) could not be saved: \(error)")
    }
  }

  /// What other regions have told that they cannot send any more, by region.
  var inboundGaps: [String: ReplicationGaps] {
    let properties = progressCursor.properties
    guard !properties.isEmpty else { return [:] }
    var all: [String: ReplicationGaps] = [:]
    for region in ReplicationGaps.regions(in: properties) {
      let gaps = ReplicationGaps(properties: properties, region: region)
      if gaps.count > 0 { all[region] = gaps }
    }
    return all
  }

  func inboundConnected(_ cluster: String, _ producer: TopicProducer) {
    inbound[cluster, default: InboundReplication()].producers[producer.id] = producer
  }

  func inboundDisconnected(_ cluster: String, _ producer: TopicProducer) {
    inbound[cluster]?.producers[producer.id] = nil
  }
}
