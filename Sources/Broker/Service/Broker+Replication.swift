import NIOCore
import PulsarWire
import TopicLog

/// Properties of a stream's PRODUCER command, between regions.
public enum ReplicatorStreamProperty {
  /// Partitions of the partitioned topic that the stream's topic is a partition of.
  public static let partitions = "meridian.partitions"
  /// What the receiver will never get: see ``ReplicationGaps``.
  public static let gaps = "meridian.gaps"
}

/// What replication needs of a broker besides topics that are in use.
extension Broker {
  /// Pause between two looks for topics that should be loaded.
  private static let lookInterval = Duration.seconds(5)
  /// Topics loaded at a time.
  private static let loadWidth = 8

  /// Loads topics that are replicated to other regions, and keeps them loaded, until cancelled: what waits in them must
  /// go out also if no client ever asks for them again.
  func keepReplicatedTopicsLoaded() async {
    while !Task.isCancelled {
      let missing = await replicatedTopicsNotLoaded()
      var remaining = missing.count
      replicatorFactory?.topicsLoading(remaining)
      await withTaskGroup(of: Void.self) { group in
        for (index, name) in missing.enumerated() {
          if index >= Self.loadWidth {
            await group.next()
            remaining -= 1
            replicatorFactory?.topicsLoading(remaining)
          }
          if Task.isCancelled { break }
          group.addTask { await self.loadForReplication(name) }
        }
      }
      if !missing.isEmpty { replicatorFactory?.topicsLoading(await replicatedTopicsNotLoaded().count) }
      try? await Task.sleep(for: Self.lookInterval)
    }
  }

  private func loadForReplication(_ name: TopicName) async {
    do {
      _ = try await topic(name, createIfMissing: false)
    } catch {
      logger.debug(
        "a replicated topic could not be loaded yet", metadata: ["topic": "\(name)", "reason": "\(error)"])
    }
  }

  /// Stored topics of which some policy names another region, and that are not loaded.
  private func replicatedTopicsNotLoaded() async -> [TopicName] {
    var names: [TopicName] = []
    for namespace in policies.namespaces() {
      guard let own = policies.cachedPolicies(for: namespace),
        let stored = try? await listTopics(in: namespace, mode: .persistent)
      else { continue }
      for name in stored where directory.loaded(name) == nil {
        let effective = try? await effectivePolicies(name, own)
        if effective?.remoteClusters.isEmpty == false { names.append(name) }
      }
    }
    return names
  }

  /// Throws unless the policies of a topic let another region's messages in.
  func requireAccepted(_ region: String, of name: TopicName) async throws {
    try await effectivePolicies(name, namespacePolicies(name.namespace))
      .requireAccepted(region, name, local: configuration.clusterName)
  }

  /// Gives a partition that another region sends the partitioned topic around it, with at least as many partitions as
  /// there: clients here would not find its messages otherwise.
  func preparePartitions(of name: TopicName, atLeast text: String?) async throws {
    guard name.partition != nil, let text, let partitions = Int(text), partitions > 0 else { return }
    let whole = name.partitionedTopic
    if let present = try await partitionedMetadata(of: whole) {
      if present.partitions < partitions { try await updatePartitions(whole, to: partitions) }
      return
    }
    do {
      try await createPartitionedTopic(whole, partitions: partitions)
    } catch let error as BrokerError where error.kind == .conflict {
      // Another partition's stream was faster.
      guard try await partitionedMetadata(of: whole) != nil else { throw error }
    }
  }
}
