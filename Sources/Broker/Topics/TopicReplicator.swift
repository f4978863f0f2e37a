import TopicLog

/// Makes the replicators that topics host; set on the broker before it starts.
public protocol TopicReplicatorFactory: Sendable {
  /// A replicator of `topic` towards `remoteCluster`, reading behind `cursor`. Called on the topic's loop; the topic
  /// starts it next.
  func makeReplicator(topic: Topic, remoteCluster: String, cursor: TopicCursor) -> any TopicReplicator
  /// So many stored topics that are replicated are not loaded at the moment: their backlog is not known.
  func topicsLoading(_ count: Int)
}

extension TopicReplicatorFactory {
  /// A factory may leave it at that.
  public func topicsLoading(_ count: Int) {}
}

/// One topic partition's sender towards one remote region. Lives on the topic's loop; every call is made there.
///
/// The topic decides that a replicator exists, the replicator how it works. A replicator reads the topic's log behind
/// its own cursor, which nobody else moves, and never stores anything.
public protocol TopicReplicator: AnyObject {
  /// Begins to connect and to send.
  func start()
  /// Ends it for good. Calls `completion` on the loop when nothing is in flight any more; the cursor stays.
  func stop(completion: @escaping () -> Void)
  /// The log has new entries.
  func entriesAppended()
  /// Policies of the topic changed; see ``Topic/policies``.
  func policyChanged()
  /// What the admin API reports.
  func stats() -> ReplicatorStats
}
