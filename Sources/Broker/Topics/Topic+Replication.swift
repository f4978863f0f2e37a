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
  func startReplicators() async {
    await inTurn { await $0.startMissingReplicators() }
  }

  private func startMissingReplicators() async {
    let missing =
      (try? await onLoop { topic in
        topic.state == .closed || topic.replicatorFactory == nil
          ? [] : topic.policies.remoteClusters.filter { topic.replicators[$0] == nil }
      }) ?? []
    for cluster in missing.sorted() { await startReplicator(cluster) }
  }

  private func startReplicator(_ cluster: String) async {
    let claimed =
      (try? await onLoop { topic in
        guard topic.state != .closed, topic.replicators[cluster] == nil else { return false }
        topic.replicators[cluster] = HostedReplicator()
        return true
      }) ?? false
    guard claimed else { return }
    do {
      let start = try await onLoop { $0.policies.replicationStartAt }
      let cursor = try await log.openCursor(
        Self.replicatorCursorName(cluster), initial: start == .latest ? .latest : .earliest)
      try await onLoop { topic in
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
      retryReplicators()
    }
  }

  private func retryReplicators() {
    eventLoop.scheduleTask(in: .seconds(5)) { [weak self] in
      guard let self, state != .closed else { return }
      Task { await self.startReplicators() }
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
  private func inTurn(_ body: @escaping @Sendable (Topic) async -> Void) async {
    let turn = try? await onLoop { topic in
      let before = topic.policyTurn
      let turn = Task {
        await before?.value
        await body(topic)
      }
      topic.policyTurn = turn
      return turn
    }
    await turn?.value
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
        return removed
      }) ?? []
    for cluster in removed { await removeReplicator(cluster) }
    await startMissingReplicators()
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

  func inboundConnected(_ cluster: String, _ producer: TopicProducer) {
    inbound[cluster, default: InboundReplication()].producers[producer.id] = producer
  }

  func inboundDisconnected(_ cluster: String, _ producer: TopicProducer) {
    inbound[cluster]?.producers[producer.id] = nil
  }
}
