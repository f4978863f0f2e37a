extension PolicyStore {
  /// What is set on a topic itself, in both scopes; for a partition that of its partitioned topic.
  public func topicPolicies(for topic: TopicName) async throws -> TopicPolicyRecord {
    try await read(.topicPolicies(topic.partitionedTopic), TopicPolicyRecord.self) ?? TopicPolicyRecord()
  }

  /// Changes what is set on a topic itself, in one scope. Throws `notFound` for the namespace, what `change` throws, and
  /// `preconditionFailed` for values that make no sense.
  @discardableResult
  public func updateTopicPolicies(
    _ topic: TopicName, isGlobal: Bool = false, _ change: (inout TopicPolicies) throws -> Void
  ) async throws -> TopicPolicyRecord {
    let topic = topic.partitionedTopic
    guard cachedPolicies(for: topic.namespace) != nil else { throw Self.missing(topic.namespace) }
    let changed = try await update(.topicPolicies(topic), TopicPolicyRecord.self) { present in
      var record = present ?? TopicPolicyRecord()
      let scope: WritableKeyPath<TopicPolicyRecord, TopicPolicies> = isGlobal ? \.global : \.local
      let before = record[keyPath: scope]
      try change(&record[keyPath: scope])
      try record[keyPath: scope].check(insteadOf: before)
      return record.isEmpty ? nil : record
    }
    return changed ?? TopicPolicyRecord()
  }

  /// Removes everything set on a topic itself; no error if nothing is.
  public func deleteTopicPolicies(_ topic: TopicName) async throws {
    try await update(.topicPolicies(topic.partitionedTopic), TopicPolicyRecord.self) { _ in nil }
  }

  /// The partitions of a topic; nil if it is not a partitioned topic.
  public func partitions(of topic: TopicName) async throws -> PartitionedTopicMetadata? {
    try await read(.partitionedTopic(topic), PartitionedTopicMetadata.self)
  }

  /// Records a partitioned topic; throws `conflict` if there is one. Whether a plain topic of the name exists is the caller's
  /// to check.
  public func createPartitionedTopic(_ topic: TopicName, _ metadata: PartitionedTopicMetadata) async throws {
    guard metadata.partitions > 0 else {
      throw PolicyError(.preconditionFailed, "Number of partitions should be more than 0")
    }
    guard topic.partition == nil else {
      throw PolicyError(.preconditionFailed, "Partitioned Topic Name should not contain '-partition-': \(topic)")
    }
    try await update(.partitionedTopic(topic), PartitionedTopicMetadata.self) { present in
      guard present == nil else { throw PolicyError(.conflict, "This topic already exists: \(topic)") }
      return metadata
    }
  }

  /// Changes the record of a partitioned topic; throws `notFound`.
  @discardableResult
  public func updatePartitionedTopic(
    _ topic: TopicName, _ change: (inout PartitionedTopicMetadata) throws -> Void
  ) async throws -> PartitionedTopicMetadata {
    let changed = try await update(.partitionedTopic(topic), PartitionedTopicMetadata.self) { present in
      guard var metadata = present else {
        throw PolicyError(.notFound, "Partitioned topic does not exist: \(topic)")
      }
      try change(&metadata)
      return metadata
    }
    return changed ?? PartitionedTopicMetadata(partitions: 0)
  }

  /// Removes the record of a partitioned topic; no error if there is none.
  public func removePartitionedTopic(_ topic: TopicName) async throws {
    try await update(.partitionedTopic(topic), PartitionedTopicMetadata.self) { _ in nil }
  }
}
