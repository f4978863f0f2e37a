import Broker

extension AdminServices {
  /// The topics that a call on `topic` concerns: its partitions if it is a partitioned topic, else itself.
  func parts(of topic: TopicName) async throws -> [TopicName] {
    guard topic.partition == nil, let metadata = try await policies.partitions(of: topic) else { return [topic] }
    return (0..<metadata.partitions).map { topic.partition($0) }
  }

  /// Does `body` to `topic`, or to each of its partitions that has been used; those that have not are passed over.
  func forEachPart(of topic: TopicName, _ body: (TopicName) async throws -> Void) async throws {
    let parts = try await parts(of: topic)
    for part in parts {
      do {
        try await body(part)
      } catch let error as BrokerError where error.kind == .topicNotFound && part != topic {
        // A partition that nobody has used yet.
      }
    }
  }

  /// As `forEachPart`, and `subscriptionNotFound` is an error only if no partition has the subscription.
  func forEachPart(
    having subscription: String, of topic: TopicName, _ body: (TopicName) async throws -> Void
  ) async throws {
    var missing: BrokerError?
    var found = false
    for part in try await parts(of: topic) {
      do {
        try await body(part)
        found = true
      } catch let error as BrokerError
        where error.kind == .subscriptionNotFound || (error.kind == .topicNotFound && part != topic)
      {
        missing = error
      }
    }
    if let missing, !found { throw missing }
  }

  /// The record of a partitioned topic; throws 404.
  func partitionedTopic(_ topic: TopicName) async throws -> PartitionedTopicMetadata {
    guard let metadata = try await policies.partitions(of: topic) else {
      throw PolicyError(.notFound, "Partitioned Topic not found: \(topic)")
    }
    return metadata
  }
}
