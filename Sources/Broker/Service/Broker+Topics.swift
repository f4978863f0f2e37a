import MetadataStore
import NIOCore
import PulsarWire
import TopicLog

/// Which topics a listing shows.
public enum TopicListMode: Sendable {
  case persistent, nonPersistent, all
}

/// Creating, listing and deleting topics.
extension Broker {
  /// Makes a topic that is not partitioned. Throws `conflict` if it exists.
  public func createTopic(_ name: TopicName, properties: [String: String] = [:]) async throws {
    let namespace = try await namespacePolicies(name.namespace)
    if try await partitionedMetadata(of: name) != nil {
      throw BrokerError(.conflict, "This topic already exists: \(name) is partitioned")
    }
    if try await exists(name) { throw BrokerError(.conflict, "This topic already exists: \(name)") }
    try await requireRoom(in: name.namespace, namespace)
    // As an operator asks for it, it does not matter whether clients may create topics.
    _ = try await topic(name, createIfMissing: true, isReplicator: true)
  }

  /// Makes a topic of `partitions` partitions, which exist at once. Throws `conflict` if the topic exists in any form.
  public func createPartitionedTopic(
    _ name: TopicName, partitions: Int, properties: [String: String] = [:]
  ) async throws {
    guard partitions > 0 else {
      throw BrokerError(.preconditionFailed, "Number of partitions should be more than 0")
    }
    guard partitions <= configuration.maxNumPartitionsPerPartitionedTopic else {
      throw BrokerError(
        .preconditionFailed,
        "Number of partitions should be less than or equal to \(configuration.maxNumPartitionsPerPartitionedTopic)")
    }
    let namespace = try await namespacePolicies(name.namespace)
    if try await exists(name) { throw BrokerError(.conflict, "This topic already exists: \(name)") }
    try await requireRoom(in: name.namespace, namespace, adding: partitions)
    do {
      try await policies.createPartitionedTopic(
        name, PartitionedTopicMetadata(partitions: partitions, properties: properties.isEmpty ? nil : properties))
    } catch let error as PolicyError {
      throw BrokerError(error)
    }
    try await createPartitions(of: name, 0..<partitions)
  }

  /// Makes a partitioned topic larger. Throws `preconditionFailed` if it would become smaller.
  public func updatePartitions(_ name: TopicName, to partitions: Int) async throws {
    guard partitions <= configuration.maxNumPartitionsPerPartitionedTopic else {
      throw BrokerError(
        .preconditionFailed,
        "Number of partitions should be less than or equal to \(configuration.maxNumPartitionsPerPartitionedTopic)")
    }
    let subscriptions = try await self.subscriptions(of: name)
    do {
      try await policies.updatePartitionedTopic(name) { metadata in
        guard partitions >= metadata.partitions else {
          throw BrokerError(
            .preconditionFailed,
            "Number of partitions must be at least the present \(metadata.partitions), not \(partitions)")
        }
        metadata.partitions = partitions
      }
    } catch let error as PolicyError {
      throw BrokerError(error)
    }
    try await createPartitions(of: name, 0..<partitions)
    // What is published to a new partition before a consumer finds it belongs to every subscription too.
    for index in 0..<partitions {
      let partition = try await existingPersistent(name.partition(index))
      for subscription in subscriptions {
        _ = try await partition?.openSubscription(subscription, initial: .earliest, properties: [:])
      }
    }
  }

  /// Makes the partitions of a partitioned topic that do not exist. Throws `topicNotFound` if it is not partitioned.
  public func createMissingPartitions(of name: TopicName) async throws {
    guard let whole = try await partitionedMetadata(of: name) else { throw BrokerError.topicNotFound(name) }
    try await createPartitions(of: name, 0..<whole.partitions)
  }

  private func createPartitions(of name: TopicName, _ range: Range<Int>) async throws {
    guard name.isPersistent else { return }
    for index in range {
      let partition = name.partition(index)
      if try await exists(partition) { continue }
      _ = try await topic(partition, createIfMissing: true, isReplicator: true)
    }
  }

  private func existingPersistent(_ name: TopicName) async throws -> Topic? {
    guard name.isPersistent else { return nil }
    return try await existingTopic(name)
  }

  /// The number of partitions, 0 for a topic that is not partitioned. One that does not exist is made, in the form that
  /// policies say, if `allowAutoCreation` is set and they allow it; otherwise throws `topicNotFound`.
  public func partitions(of name: TopicName, allowAutoCreation: Bool = false) async throws -> Int {
    let namespace = try await namespacePolicies(name.namespace)
    if let known = try await partitionedMetadata(of: name) { return known.partitions }
    if name.partition != nil, let whole = try await partitionedMetadata(of: name.partitionedTopic) {
      guard (name.partition ?? 0) < whole.partitions else { throw BrokerError.topicNotFound(name) }
      return 0
    }
    if try await exists(name) { return 0 }
    let creation = autoCreation(namespace)
    guard allowAutoCreation, creation.isAllowed else { throw BrokerError.topicNotFound(name) }
    guard creation.partitions > 0, name.partition == nil else { return 0 }
    do {
      try await createPartitionedTopic(name, partitions: creation.partitions)
    } catch let error as BrokerError where error.kind == .conflict {
      // Somebody else was faster.
      return try await partitionedMetadata(of: name)?.partitions ?? 0
    }
    return creation.partitions
  }

  /// The metadata of a partitioned topic; nil if it is not partitioned.
  public func partitionedTopic(_ name: TopicName) async throws -> PartitionedTopicMetadata? {
    try await partitionedMetadata(of: name)
  }

  /// The topics of a namespace, partitions by themselves.
  public func listTopics(in namespace: NamespaceName, mode: TopicListMode = .all) async throws -> [TopicName] {
    _ = try await namespacePolicies(namespace)
    var names: Set<TopicName> = []
    if mode != .nonPersistent {
      let prefix = "/topics/\(namespace)/persistent/"
      for key in try await metadata.keys(prefix: prefix) {
        guard let local = TopicName.decodeLocalName(key.dropFirst(prefix.count)),
          let name = try? TopicName(domain: .persistent, namespace: namespace, localName: local)
        else { continue }
        names.insert(name)
      }
    }
    if mode != .persistent {
      for topic in directory.all(in: namespace) where !topic.name.isPersistent { names.insert(topic.name) }
      for whole in policies.partitionedTopics(in: namespace, domain: .nonPersistent) {
        let count = policies.cachedPartitions(of: whole)?.partitions ?? 0
        names.formUnion((0..<count).map { whole.partition($0) })
      }
    }
    return names.sorted()
  }

  /// The partitioned topics of a namespace.
  public func listPartitionedTopics(in namespace: NamespaceName, domain: TopicDomain) async throws -> [TopicName] {
    _ = try await namespacePolicies(namespace)
    return policies.partitionedTopics(in: namespace, domain: domain).sorted()
  }

  /// Names of the topics that are loaded.
  public var loadedTopics: [TopicName] { directory.all.map(\.name).sorted() }

  /// Deletes a topic with everything in it. Without `force`, connected clients, subscriptions and replication are
  /// reasons to refuse.
  public func deleteTopic(_ name: TopicName, force: Bool) async throws {
    if let whole = try await partitionedMetadata(of: name), whole.partitions > 0 {
      throw BrokerError(.conflict, "\(name) is partitioned: delete the partitioned topic")
    }
    guard try await exists(name) else { throw BrokerError.topicNotFound(name) }
    guard name.isPersistent else {
      if !force, case .nonPersistent(let topic)? = directory.loaded(name), await !topic.isUnused() {
        throw BrokerError(.preconditionFailed, "Topic has active producers/subscriptions")
      }
      await directory.remove(name) { await $0.close() }
      return
    }
    let topic = try await existingTopic(name)
    // Checked and closed in one: nobody can publish in between.
    try await topic.onLoop { topic in
      if !force { try topic.requireUnused() }
      topic.beginClosing(.subscriptionDeleted)
    }
    let failure = ErrorBox()
    await directory.remove(name) { loaded in
      guard case .persistent(let topic) = loaded else { return }
      do {
        try await topic.delete()
      } catch {
        failure.set(error)
      }
    }
    if let error = failure.error { throw error }
    if name.partition == nil {
      try await schemas.delete(name, force: true)
      try? await policies.deleteTopicPolicies(name)
    }
  }

  /// Deletes a partitioned topic with all its partitions.
  public func deletePartitionedTopic(_ name: TopicName, force: Bool) async throws {
    guard let whole = try await partitionedMetadata(of: name) else { throw BrokerError.topicNotFound(name) }
    for index in 0..<whole.partitions where try await exists(name.partition(index)) {
      if !force, case .persistent(let topic) = try await topic(name.partition(index), createIfMissing: false) {
        try await topic.onLoop { try $0.requireUnused() }
      }
    }
    for index in 0..<whole.partitions where try await exists(name.partition(index)) {
      try await deleteTopic(name.partition(index), force: force)
    }
    try await policies.removePartitionedTopic(name)
    try await schemas.delete(name, force: true)
    try? await policies.deleteTopicPolicies(name)
  }

  /// Closes a topic, which is loaded again when it is asked for. Nothing happens to one that is not loaded.
  public func unloadTopic(_ name: TopicName) async throws {
    if let whole = try await partitionedMetadata(of: name) {
      for index in 0..<whole.partitions { await directory.remove(name.partition(index)) { await $0.close() } }
      return
    }
    guard try await exists(name) else { throw BrokerError.topicNotFound(name) }
    await directory.remove(name) { await $0.close() }
  }

  /// Closes every topic of a namespace; each is loaded again when it is asked for.
  public func unloadNamespace(_ namespace: NamespaceName) async {
    await withTaskGroup(of: Void.self) { group in
      for topic in directory.all(in: namespace) {
        group.addTask { await self.directory.remove(topic.name) { await $0.close() } }
      }
    }
  }

  /// Deletes everything in a namespace; the namespace's own record is the caller's. Without `force`, topics are a reason
  /// to refuse (`conflict`).
  public func deleteTopics(in namespace: NamespaceName, force: Bool) async throws {
    let topics = try await listTopics(in: namespace)
    let partitioned =
      policies.partitionedTopics(in: namespace, domain: .persistent)
      + policies.partitionedTopics(in: namespace, domain: .nonPersistent)
    guard force || (topics.isEmpty && partitioned.isEmpty) else {
      throw BrokerError(.conflict, "Cannot delete non empty namespace \(namespace)")
    }
    for name in partitioned { try await deletePartitionedTopic(name, force: true) }
    for name in topics where try await exists(name) { try await deleteTopic(name, force: true) }
  }

  /// Ends a topic for good. Returns its last position.
  public func terminateTopic(_ name: TopicName) async throws -> Position {
    if try await partitionedMetadata(of: name) != nil {
      throw BrokerError(.notAllowed, "Termination of a partitioned topic is done partition by partition")
    }
    return try await existingTopic(name).terminate()
  }

  /// Deletes acknowledged data now that retention gives up.
  public func trimTopic(_ name: TopicName) async throws {
    try await existingTopic(name).log.trim()
  }

  /// Where the topic is served. Throws `namespaceNotFound`.
  public func lookup(_ name: TopicName) async throws -> BrokerAddress {
    _ = try await namespacePolicies(name.namespace)
    return try await ownership.remoteOwner(of: name) ?? address
  }
}

/// Carries an error out of a closure that cannot throw.
final class ErrorBox: @unchecked Sendable {
  private(set) var error: (any Error)?
  func set(_ error: any Error) { self.error = error }
}

extension Topic {
  /// Throws if somebody uses the topic.
  func requireUnused() throws(BrokerError) {
    if !policies.remoteClusters.isEmpty || !replicators.isEmpty {
      throw BrokerError(
        .replicated,
        "Delete forbidden topic is replicated on clusters \(policies.remoteClusters.sorted())")
    }
    guard producers.isEmpty, subscriptions.isEmpty else {
      throw BrokerError(.preconditionFailed, "Topic has active producers/subscriptions")
    }
  }
}

extension BrokerError {
  /// What the policy store refuses.
  init(_ error: PolicyError) {
    switch error.kind {
    case .badRequest: self.init(.badRequest, error.reason)
    case .forbidden: self.init(.notAllowed, error.reason)
    case .notFound: self.init(.topicNotFound, error.reason)
    case .conflict: self.init(.conflict, error.reason)
    case .preconditionFailed: self.init(.preconditionFailed, error.reason)
    case .unprocessable: self.init(.replicated, error.reason)
    case .internalError: self.init(.metadata, error.reason)
    }
  }
}
