import Broker

/// Pulsar's metrics of topics, subscriptions and replicators, made from stats.
struct TopicMetrics {
  typealias Label = MetricSample.Label

  var cluster: String
  private(set) var samples: [MetricSample] = []

  init(cluster: String) {
    self.cluster = cluster
  }

  private mutating func add(
    _ name: String, _ value: some BinaryInteger, _ labels: [Label], _ kind: MetricSample.Kind = .gauge
  ) {
    samples.append(MetricSample("pulsar_\(name)", Double(value), labels: labels, kind: kind))
  }

  private mutating func add(_ name: String, _ value: Double, _ labels: [Label], _ kind: MetricSample.Kind = .gauge) {
    samples.append(MetricSample("pulsar_\(name)", value, labels: labels, kind: kind))
  }

  private mutating func add(_ name: String, _ value: Bool, _ labels: [Label]) {
    add(name, value ? 1 : 0, labels)
  }

  /// Adds a topic with its subscriptions and replicators.
  mutating func add(_ topic: TopicName, _ stats: TopicStats) {
    let labels = [
      Label("cluster", cluster), Label("namespace", topic.namespace.description), Label("topic", topic.description),
    ]
    let consumers = stats.subscriptions.values.reduce(0) { $0 + $1.consumers.count }
    add("subscriptions_count", stats.subscriptions.count, labels)
    add("producers_count", stats.publishers.count, labels)
    add("consumers_count", consumers, labels)
    add("rate_in", stats.msgRateIn, labels)
    add("rate_out", stats.msgRateOut, labels)
    add("throughput_in", stats.msgThroughputIn, labels)
    add("throughput_out", stats.msgThroughputOut, labels)
    add("average_msg_size", stats.averageMsgSize, labels)
    add("in_bytes_total", stats.bytesInCounter, labels, .counter)
    add("in_messages_total", stats.msgInCounter, labels, .counter)
    add("out_bytes_total", stats.bytesOutCounter, labels, .counter)
    add("out_messages_total", stats.msgOutCounter, labels, .counter)
    add("storage_size", stats.storageSize, labels)
    add("storage_logical_size", stats.storageSize, labels)
    add("storage_backlog_size", stats.backlogSize, labels)
    add("storage_offloaded_size", stats.offloadedStorageSize, labels)
    add("storage_backlog_quota_limit", stats.backlogQuotaLimitSize, labels)
    add("storage_backlog_quota_limit_time", stats.backlogQuotaLimitTime, labels)
    add("storage_backlog_age_seconds", stats.oldestBacklogMessageAgeSeconds, labels)
    add("msg_backlog", stats.subscriptions.values.reduce(0) { $0 &+ $1.msgBacklog }, labels)
    add("publish_rate_limit_times", stats.publishRateLimitedTimes, labels, .counter)
    add("delayed_message_index_size_bytes", stats.delayedMessageIndexSizeInBytes, labels)
    for (name, subscription) in stats.subscriptions.sorted(by: { $0.key < $1.key }) {
      add(subscription, labels + [Label("subscription", name)])
    }
    for (remote, replicator) in stats.replication.sorted(by: { $0.key < $1.key }) {
      add(replicator, labels + [Label("remote_cluster", remote)])
    }
  }

  private mutating func add(_ stats: SubscriptionStats, _ labels: [Label]) {
    add("subscription_back_log", stats.msgBacklog, labels)
    add("subscription_back_log_no_delayed", stats.msgBacklogNoDelayed, labels)
    add("subscription_delayed", stats.msgDelayed, labels)
    add("subscription_in_replay", stats.msgInReplay, labels)
    add("subscription_msg_rate_redeliver", stats.msgRateRedeliver, labels)
    add("subscription_unacked_messages", stats.unackedMessages, labels)
    add("subscription_blocked_on_unacked_messages", stats.blockedSubscriptionOnUnackedMsgs, labels)
    add("subscription_msg_rate_out", stats.msgRateOut, labels)
    add("subscription_msg_ack_rate", stats.messageAckRate, labels)
    add("subscription_msg_throughput_out", stats.msgThroughputOut, labels)
    add("subscription_last_expire_timestamp", stats.lastExpireTimestamp, labels)
    add("subscription_last_acked_timestamp", stats.lastAckedTimestamp, labels)
    add("subscription_last_consumed_flow_timestamp", stats.lastConsumedFlowTimestamp, labels)
    add("subscription_last_consumed_timestamp", stats.lastConsumedTimestamp, labels)
    add("subscription_last_mark_delete_advanced_timestamp", stats.lastMarkDeleteAdvancedTimestamp, labels)
    add("subscription_msg_rate_expired", stats.msgRateExpired, labels)
    add("subscription_total_msg_expired", stats.totalMsgExpired, labels, .counter)
    add("subscription_consumers_count", stats.consumers.count, labels)
    add("subscription_delayed_message_index_size_bytes", stats.delayedMessageIndexSizeInBytes, labels)
  }

  private mutating func add(_ stats: ReplicatorStats, _ labels: [Label]) {
    add("replication_rate_in", stats.msgRateIn, labels)
    add("replication_rate_out", stats.msgRateOut, labels)
    add("replication_throughput_in", stats.msgThroughputIn, labels)
    add("replication_throughput_out", stats.msgThroughputOut, labels)
    add("replication_backlog", stats.replicationBacklog, labels)
    add("replication_rate_expired", stats.msgRateExpired, labels)
    add("replication_connected_count", stats.connected, labels)
    add("replication_disconnected_count", !stats.connected, labels)
    add("replication_delay_in_seconds", stats.replicationDelayInSeconds, labels)
  }

  /// Adds what holds for the whole broker and for its namespaces.
  mutating func addSums(_ topics: [(topic: TopicName, stats: TopicStats)]) {
    var total = TopicStats()
    var subscriptions = 0
    var consumers = 0
    var producers = 0
    var backlog: Int64 = 0
    var topicsByNamespace: [String: Int] = [:]
    for (topic, stats) in topics {
      total.msgRateIn += stats.msgRateIn
      total.msgRateOut += stats.msgRateOut
      total.msgThroughputIn += stats.msgThroughputIn
      total.msgThroughputOut += stats.msgThroughputOut
      total.bytesInCounter &+= stats.bytesInCounter
      total.bytesOutCounter &+= stats.bytesOutCounter
      total.storageSize &+= stats.storageSize
      subscriptions += stats.subscriptions.count
      producers += stats.publishers.count
      for subscription in stats.subscriptions.values {
        consumers += subscription.consumers.count
        backlog &+= subscription.msgBacklog
      }
      topicsByNamespace[topic.namespace.description, default: 0] += 1
    }
    let labels = [Label("cluster", cluster)]
    add("broker_topics_count", topics.count, labels)
    add("broker_subscriptions_count", subscriptions, labels)
    add("broker_producers_count", producers, labels)
    add("broker_consumers_count", consumers, labels)
    add("broker_rate_in", total.msgRateIn, labels)
    add("broker_rate_out", total.msgRateOut, labels)
    add("broker_throughput_in", total.msgThroughputIn, labels)
    add("broker_throughput_out", total.msgThroughputOut, labels)
    add("broker_in_bytes_total", total.bytesInCounter, labels, .counter)
    add("broker_out_bytes_total", total.bytesOutCounter, labels, .counter)
    add("broker_storage_size", total.storageSize, labels)
    add("broker_storage_logical_size", total.storageSize, labels)
    add("broker_msg_backlog", backlog, labels)
    for (namespace, count) in topicsByNamespace.sorted(by: { $0.key < $1.key }) {
      add("topics_count", count, labels + [Label("namespace", namespace)])
    }
  }
}
