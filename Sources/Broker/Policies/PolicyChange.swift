/// Which record of the `PolicyStore` changed; read it again to know what it says now.
public enum PolicyChange: Hashable, Sendable {
  /// A cluster was created, changed or deleted.
  case cluster(String)
  /// A tenant was created, changed or deleted.
  case tenant(String)
  /// A namespace or its policies were created, changed or deleted.
  case namespace(NamespaceName)
  /// The topic's own policies changed; the name is that of the whole topic, not of a partition.
  case topicPolicies(TopicName)
  /// A partitioned topic was created, changed or deleted.
  case partitionedTopic(TopicName)
}
