/// What values make sense: whatever is beyond is refused when it is set, with 412 and one sentence that says what is
/// possible. Who uses a value need not expect the absurd.
extension NamespacePolicies {
  func check() throws(PolicyError) {
    try checkTTL(messageTTLInSeconds)
    try retentionPolicies?.check()
    try persistence?.check()
    try bookieAffinityGroup?.check()
    try autoTopicCreationOverride?.check()
    try inactiveTopicPolicies?.check()
    for (type, quota) in backlogQuotaMap { try quota.check(type) }
    for rate in publishMaxMessageRate.values { try rate.check() }
    for rates in [clusterDispatchRate, topicDispatchRate, subscriptionDispatchRate, replicatorDispatchRate] {
      for rate in rates.values { try rate.check() }
    }
    for rate in clusterSubscribeRate.values { try rate.check() }
    try checkCount(subscriptionExpirationTimeMinutes, "subscription expiration time in minutes")
    try checkCount(deduplicationSnapshotIntervalSeconds, "deduplication snapshot interval in seconds")
    try checkCount(maxProducersPerTopic, "maxProducersPerTopic")
    try checkCount(maxConsumersPerTopic, "maxConsumersPerTopic")
    try checkCount(maxConsumersPerSubscription, "maxConsumersPerSubscription")
    try checkCount(maxUnackedMessagesPerConsumer, "maxUnackedMessagesPerConsumer")
    try checkCount(maxUnackedMessagesPerSubscription, "maxUnackedMessagesPerSubscription")
    try checkCount(maxSubscriptionsPerTopic, "maxSubscriptionsPerTopic")
    try checkCount(maxTopicsPerNamespace, "maxTopicsPerNamespace")
  }

  /// Refuses a change that makes `self` of `before` and brings a value in that makes no sense. What an earlier version
  /// let in does not stand in the way of other changes.
  func check(insteadOf before: NamespacePolicies) throws(PolicyError) {
    do {
      try check()
    } catch {
      if (try? before.check()) != nil { throw error }
    }
  }
}

extension TopicPolicies {
  func check() throws(PolicyError) {
    try checkTTL(messageTTLInSeconds)
    try retentionPolicies?.check()
    try persistence?.check()
    try inactiveTopicPolicies?.check()
    for (type, quota) in backlogQuotaMap ?? [:] { try quota.check(type) }
    try publishRate?.check()
    try dispatchRate?.check()
    try subscriptionDispatchRate?.check()
    for rate in (dispatchRateBySubscription ?? [:]).values { try rate.check() }
    try replicatorDispatchRate?.check()
    try subscribeRate?.check()
    try checkCount(deduplicationSnapshotIntervalSeconds, "deduplication snapshot interval in seconds")
    try checkCount(maxProducerPerTopic, "maxProducers")
    try checkCount(maxConsumerPerTopic, "maxConsumers")
    try checkCount(maxConsumersPerSubscription, "maxConsumersPerSubscription")
    try checkCount(maxUnackedMessagesOnConsumer, "maxUnackedMessagesOnConsumer")
    try checkCount(maxUnackedMessagesOnSubscription, "maxUnackedMessagesOnSubscription")
    try checkCount(maxSubscriptionsPerTopic, "maxSubscriptionsPerTopic")
  }

  /// As for namespaces.
  func check(insteadOf before: TopicPolicies) throws(PolicyError) {
    do {
      try check()
    } catch {
      if (try? before.check()) != nil { throw error }
    }
  }
}

/// The largest number of seconds, minutes or things that a policy can name: what fits 32 bits, as in Pulsar.
private let largestNumber = Int(Int32.max)

private func checkTTL(_ seconds: Int?) throws(PolicyError) {
  guard let seconds, !(0...largestNumber).contains(seconds) else { return }
  throw PolicyError(
    .preconditionFailed, "Invalid message TTL of \(seconds) seconds: 0 (never) to \(largestNumber) are possible")
}

private func checkCount(_ count: Int?, _ what: String) throws(PolicyError) {
  guard let count, !(0...largestNumber).contains(count) else { return }
  throw PolicyError(
    .preconditionFailed, "Invalid value \(count) for \(what): 0 to \(largestNumber) are possible")
}

extension BacklogQuota {
  /// Bytes in an exbibyte: nobody stores more.
  private static let largestSize = Int64(1) << 60

  /// Refuses limits that make no sense for a quota of `type`.
  func check(_ type: String) throws(PolicyError) {
    // What the other type of quota does not use may be anything that tools write for "nothing".
    guard limitSize == -1 || (1...Self.largestSize).contains(limitSize) || limitSize == 0 && type == Self.messageAge
    else {
      throw PolicyError(
        .preconditionFailed,
        "Invalid backlog quota of \(limitSize) bytes: -1 (no limit) or 1 to \(Self.largestSize) are possible")
    }
    guard (-1...largestNumber).contains(limitTime) else {
      throw PolicyError(
        .preconditionFailed,
        "Invalid backlog quota of \(limitTime) seconds: -1 or 0 (no limit) or up to \(largestNumber) are possible")
    }
    if type == Self.messageAge, limitTime < 1 {
      throw PolicyError(.preconditionFailed, "A backlog quota of type message_age needs a limitTime above 0")
    }
  }
}

extension RetentionPolicies {
  /// The most mebibytes whose bytes can be counted.
  static let largestSizeInMB = Int64.max >> 20
}

private func checkRate(_ limits: [Int64], period: Int, _ what: String) throws(PolicyError) {
  if let limit = limits.first(where: { $0 < -1 }) {
    throw PolicyError(
      .preconditionFailed, "Invalid \(what) of \(limit): -1 or 0 (no limit) or a number above 0 is possible")
  }
  guard (1...86_400).contains(period) else {
    throw PolicyError(
      .preconditionFailed, "Invalid period of \(period) seconds for a \(what): 1 to 86400 are possible")
  }
}

extension PublishRate {
  func check() throws(PolicyError) {
    try checkRate(
      [Int64(publishThrottlingRateInMsg), publishThrottlingRateInByte], period: 1, "publish rate")
  }
}

extension DispatchRate {
  func check() throws(PolicyError) {
    try checkRate(
      [Int64(dispatchThrottlingRateInMsg), dispatchThrottlingRateInByte], period: ratePeriodInSecond, "dispatch rate")
  }
}

extension SubscribeRate {
  func check() throws(PolicyError) {
    try checkRate([Int64(subscribeThrottlingRatePerConsumer)], period: ratePeriodInSecond, "subscribe rate")
  }
}
