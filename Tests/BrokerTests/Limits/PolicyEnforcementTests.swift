import Ledgers
import NIOCore
import PulsarWire
import TestSupport
import Testing
import TopicLog

@testable import Broker

@Suite(.serialized) struct PolicyEnforcementTests {
  private let topic = "persistent://public/default/t"

  private func set(_ region: TestRegion, _ change: (inout NamespacePolicies) -> Void) async throws {
    try await region.policies.updateNamespace(.publicDefault, change)
    await region.broker.policiesChanged(.publicDefault)
  }

  /// Publishes messages of `size` bytes, and a bit.
  private func publish(_ client: WireClient, _ count: Int, from first: Int = 0, size: Int = 1) async throws {
    for sequence in first..<first + count {
      try await client.send(
        SendCommand(producerID: 1, sequenceID: UInt64(sequence)),
        try WireClient.entry(String(repeating: "m", count: size), sequence: UInt64(sequence)))
    }
    for _ in 0..<count { _ = try await client.receipt() }
  }

  @Test(arguments: ["persistent", "non-persistent"])
  func whoPublishesFasterThanTheTopicsRateIsReadLater(domain: String) async throws {
    try await TestRegion.with { region in
      try await set(region) { $0.publishMaxMessageRate["eu"] = PublishRate(publishThrottlingRateInByte: 1000) }
      let name = "\(domain)://public/default/t"
      let client = try await region.connect()
      try await client.producer(name)
      let start = ContinuousClock.now
      try await publish(client, 1, size: 1300)
      try await publish(client, 1, from: 1)
      #expect(ContinuousClock.now - start >= .milliseconds(300))
      if domain == "persistent" {
        #expect(try await region.broker.topicStats(try TopicName(name)).publishRateLimitedTimes > 0)
      }
      // At a byte a second the next would be due in a minute, but the operator changes his mind.
      try await set(region) { $0.publishMaxMessageRate["eu"] = PublishRate(publishThrottlingRateInByte: 1) }
      try await publish(client, 1, from: 2)
      let next = Task { try await publish(client, 1, from: 3) }
      try await set(region) { $0.publishMaxMessageRate = [:] }
      try await next.value
      try await client.close()
    }
  }

  @Test func whoPublishesFasterThanTheBrokersRateIsReadLater() async throws {
    try await TestRegion.with {
      $0.brokerPublisherThrottlingMaxByteRate = 1000
    } _: { region in
      let client = try await region.connect()
      try await client.producer(topic)
      let start = ContinuousClock.now
      try await publish(client, 1, size: 1300)
      try await publish(client, 1, from: 1)
      #expect(ContinuousClock.now - start >= .milliseconds(300))
      try await client.close()
    }
  }

  @Test(arguments: [SubscriptionType.exclusive, .shared])
  func dispatchKeepsToTheRatesOfSubscriptionAndTopic(type: SubscriptionType) async throws {
    try await SubscriptionHarness.with { harness in
      let (first, second) = (try await harness.open("a"), try await harness.open("b"))
      let shared = DispatchRate(dispatchThrottlingRateInMsg: 400)
      try await harness.on {
        let limiter = DispatchLimiter(shared)
        first.limits.topic = limiter
        second.limits.topic = limiter
        first.limits.own.apply(DispatchRate(dispatchThrottlingRateInMsg: 200))
      }
      try await harness.append(0..<260)
      let start = ContinuousClock.now
      let (_, one) = try await harness.consumer(first, type: type)
      let (_, two) = try await harness.consumer(second, type: type)
      await harness.wait(one, count: 260)
      // 60 beyond what was saved, at 200 a second.
      #expect(ContinuousClock.now - start >= .milliseconds(280))
      await harness.wait(two, count: 260)
      // 520 of both, of which 400 were saved.
      #expect(ContinuousClock.now - start >= .milliseconds(280))
      #expect(try await harness.texts(one) == (0..<260).map { "\($0)" })
      #expect(try await harness.texts(two) == (0..<260).map { "\($0)" })
      let stats = try await harness.on { first.stats() }
      #expect(stats.dispatchThrottledMsgEventsBySubscriptionLimit > 0)
    }
  }

  @Test func consumersThatSubscribeTooOftenAreRefused() async throws {
    try await TestRegion.with { region in
      try await set(region) {
        $0.clusterSubscribeRate["eu"] = SubscribeRate(subscribeThrottlingRatePerConsumer: 1, ratePeriodInSecond: 3600)
      }
      let client = try await region.connect()
      try await client.subscribe(topic, "s", id: 1) { $0.consumerName = "c" }
      let again = try await region.connect()
      try await again.sendSubscribe(topic, "other", id: 1) { $0.consumerName = "c" }
      #expect(try await again.receive(.error).error.error == .notAllowedError)
      try await again.subscribe(topic, "other", id: 1) { $0.consumerName = "d" }
      try await client.close()
      try await again.close()
    }
  }

  @Test func aBacklogThatIsTooOldHoldsProducersOrIsDropped() async throws {
    try await TestRegion.with {
      $0.backlogQuotaCheckInterval = .zero
    } _: { region in
      let (held, dropped) = (try TopicName(topic), try TopicName("persistent://public/default/u"))
      try await set(region) {
        $0.backlogQuotaMap[BacklogQuota.messageAge] = BacklogQuota(limitTime: 1, policy: .producerRequestHold)
      }
      try await region.policies.updateTopicPolicies(dropped) {
        $0.backlogQuotaMap = [
          BacklogQuota.messageAge: BacklogQuota(limitTime: 1, policy: .consumerBacklogEviction)
        ]
      }
      for name in [held, dropped] { try await region.broker.createSubscription("s", on: name, at: .earliest) }
      let (client, other) = (try await region.connect(), try await region.connect())
      try await client.producer(topic)
      try await other.producer(dropped.description)
      try await publish(client, 3)
      try await publish(other, 3)
      #expect(try await client.receive(.closeProducer).closeProducer.producerID == 1)
      try await client.sendProducer(topic)
      #expect(try await client.receive(.error).error.error == .producerBlockedQuotaExceededError)
      let stats = try await region.broker.topicStats(held)
      #expect(stats.oldestBacklogMessageAgeSeconds >= 1)
      #expect(stats.oldestBacklogMessageSubscriptionName == "s")
      await eventually { try await region.broker.topicStats(dropped).subscriptions["s"]?.msgBacklog == 0 }
      try await publish(other, 1, from: 3)
      // Once the backlog is consumed, producers come back.
      try await region.broker.skipAll(of: "s", on: held)
      await eventually { try await region.broker.topicStats(held).oldestBacklogMessageAgeSeconds == -1 }
      try await client.producer(topic)
      try await client.close()
      try await other.close()
    }
  }

  @Test func copiesAndThePaceOfCursorsReachTheLog() async throws {
    try await TestRegion.with { region in
      let name = try TopicName(topic)
      try await region.broker.createSubscription("s", on: name, at: .earliest)
      let topic = try #require(region.broker.loadedTopic(name))
      let before = try await topic.onLoop { $0.log.configuration }
      #expect(before.ledgerOptions.ensembleSize == 3 && before.ledgerOptions.writeQuorumSize == 2)
      #expect(before.markDeleteInterval == .seconds(1))
      try await set(region) {
        $0.persistence = PersistencePolicies(ensemble: 3, writeQuorum: 3, ackQuorum: 1, maxMarkDeleteRate: 4)
      }
      let after = try await topic.onLoop { $0.log.configuration }
      for options in [after.ledgerOptions, after.cursorLedgerOptions] {
        #expect(options.ensembleSize == 3 && options.writeQuorumSize == 3 && options.ackQuorumSize == 1)
      }
      #expect(after.markDeleteInterval == .milliseconds(250))
    }
  }

  @Test func theGroupsOfBookiesOfANamespaceHoldItsLedgers() async throws {
    try await TestRegion.with { region in
      try await set(region) { $0.bookieAffinityGroup = BookieAffinityGroup(primary: "fast", secondary: "others, rest") }
      let operations = LedgerOperator(client: region.ledgers)
      for bookie in try await operations.bookies() { try await operations.setRack(nil, group: "rest", of: bookie.id) }
      let name = try TopicName(topic)
      try await region.broker.createSubscription("s", on: name, at: .earliest)
      let loaded = try #require(region.broker.loadedTopic(name))
      let options = try await loaded.onLoop {
        [$0.log.configuration.ledgerOptions, $0.log.configuration.cursorLedgerOptions]
      }
      let wanted = BookieAffinity(primary: ["fast"], secondary: ["others", "rest"])
      #expect(options.map(\.affinity) == [wanted, wanted])
      // Without a bookie in its groups nothing can be stored, and the error says why.
      for bookie in try await operations.bookies() { try await operations.setRack(nil, group: "slow", of: bookie.id) }
      await eventually { try await operations.bookies().allSatisfy { $0.group == "slow" } }
      await #expect {
        _ = try await region.ledgers.createLedger(options[0], on: loaded.eventLoop)
      } throws: {
        "\($0)".contains("Not enough bookies: 3 needed, 0 available")
      }
    }
  }

  @Test func aBookieAffinityWithoutAPrimaryGroupIsRefused() async throws {
    try await TestRegion.with { region in
      await #expect(throws: PolicyError.self) {
        try await region.policies.updateNamespace(.publicDefault) {
          $0.bookieAffinityGroup = BookieAffinityGroup(primary: " , ", secondary: "a")
        }
      }
      #expect(BookieAffinityGroup(primary: "a, b,,c ").affinity == BookieAffinity(primary: ["a", "b", "c"]))
    }
  }
}
