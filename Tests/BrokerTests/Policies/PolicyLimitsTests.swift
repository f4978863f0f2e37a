import MetadataStore
import Testing

@testable import Broker

@Suite struct PolicyLimitsTests {
  private func refusal(_ change: (inout NamespacePolicies) -> Void) -> PolicyError.Kind? {
    var policies = NamespacePolicies()
    change(&policies)
    do {
      try policies.check(insteadOf: NamespacePolicies())
      return nil
    } catch {
      return error.kind
    }
  }

  @Test func absurdValuesAreRefused() {
    let huge = Int.max
    #expect(refusal { $0.messageTTLInSeconds = huge } == .preconditionFailed)
    #expect(refusal { $0.messageTTLInSeconds = -1 } == .preconditionFailed)
    #expect(refusal { $0.messageTTLInSeconds = Int(Int32.max) } == nil)
    #expect(refusal { $0.retentionPolicies = .init(retentionTimeInMinutes: huge, retentionSizeInMB: 1) } != nil)
    #expect(refusal { $0.retentionPolicies = .init(retentionTimeInMinutes: 1, retentionSizeInMB: .max) } != nil)
    #expect(refusal { $0.retentionPolicies = .init(retentionTimeInMinutes: -1, retentionSizeInMB: -1) } == nil)
    for (quota, type, isGood) in [
      (BacklogQuota(limitSize: 0, policy: .producerException), BacklogQuota.destinationStorage, false),
      (BacklogQuota(limitSize: -2, policy: .producerException), BacklogQuota.destinationStorage, false),
      (BacklogQuota(limitSize: .max, policy: .producerException), BacklogQuota.destinationStorage, false),
      (BacklogQuota(limitSize: 1, limitTime: 0, policy: .producerException), BacklogQuota.destinationStorage, true),
      (BacklogQuota(policy: .producerException), BacklogQuota.messageAge, false),
      (BacklogQuota(limitTime: huge, policy: .producerException), BacklogQuota.messageAge, false),
      (BacklogQuota(limitTime: 60, policy: .producerException), BacklogQuota.messageAge, true),
    ] {
      #expect((refusal { $0.backlogQuotaMap[type] = quota } == nil) == isGood, "\(type) \(quota)")
    }
    #expect(refusal { $0.publishMaxMessageRate["us"] = PublishRate(publishThrottlingRateInMsg: -5) } != nil)
    #expect(refusal { $0.topicDispatchRate["us"] = DispatchRate(ratePeriodInSecond: 0) } != nil)
    #expect(refusal { $0.clusterSubscribeRate["us"] = SubscribeRate(ratePeriodInSecond: huge) } != nil)
    #expect(refusal { $0.persistence = .init(ensemble: 1000, writeQuorum: 2, ackQuorum: 2) } != nil)
    #expect(
      refusal { $0.persistence = .init(ensemble: 2, writeQuorum: 2, ackQuorum: 2, maxMarkDeleteRate: -.infinity) }
        != nil
    )
    #expect(refusal { $0.maxProducersPerTopic = huge } == .preconditionFailed)
  }

  @Test func whatWasLetInBeforeDoesNotStandInTheWay() throws {
    var old = NamespacePolicies()
    old.messageTTLInSeconds = -7
    var new = old
    new.deleted = true
    try new.check(insteadOf: old)
    var topic = TopicPolicies()
    topic.messageTTLInSeconds = .max
    #expect(throws: PolicyError.self) { try topic.check(insteadOf: TopicPolicies()) }
  }
}
