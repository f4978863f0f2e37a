import Testing
import TopicLog

@testable import Broker

@Suite struct SharedDispatcherTests {
  private func entry(
    _ number: Int64, messages: Int = 1, key: UInt16 = 0, deliverAtMs: Int64 = 0
  ) -> EntryDescription {
    EntryDescription(position: at(number), messages: messages, keyHash: key, deliverAtMs: deliverAtMs)
  }

  private func at(_ number: Int64) -> Position { Position(ledgerID: 7, entryID: number) }

  private func make(
    _ kind: SharedDispatcher.Kind = .shared, limits: SharedDispatcher.Limits = SharedDispatcher.Limits(),
    consumers: Int = 2, permits: Int = 100
  ) throws -> SharedDispatcher {
    var dispatcher = SharedDispatcher(kind: kind, limits: limits)
    for key in 0..<consumers {
      try dispatcher.add(key, name: "c\(key)", priorityLevel: 0)
      dispatcher.grant(key, permits: permits)
    }
    return dispatcher
  }

  @Test func consumersTakeTurns() throws {
    var dispatcher = try make(consumers: 3)
    let order = (0..<6).map { dispatcher.offer(entry($0), nowMs: 0) }
    #expect(order == [0, 1, 2, 0, 1, 2].map { .deliver($0, redeliveryCount: 0) })
  }

  @Test func lowerPriorityOnlyWhenTheHigherIsFull() throws {
    var dispatcher = SharedDispatcher(kind: .shared, limits: SharedDispatcher.Limits())
    try dispatcher.add(0, name: "low", priorityLevel: 1)
    try dispatcher.add(1, name: "high", priorityLevel: 0)
    dispatcher.grant(0, permits: 10)
    dispatcher.grant(1, permits: 2)
    let order = (0..<4).map { dispatcher.offer(entry($0), nowMs: 0) }
    #expect(order == [1, 1, 0, 0].map { .deliver($0, redeliveryCount: 0) })
    dispatcher.setWritable(0, false)
    #expect(dispatcher.offer(entry(4), nowMs: 0) == .hold)
    #expect(dispatcher.demand == 0)
  }

  @Test func redeliveryComesInOrderAndIsCounted() throws {
    var dispatcher = try make(consumers: 1)
    for number in 0..<5 { _ = dispatcher.offer(entry(Int64(number)), nowMs: 0) }
    #expect(dispatcher.redeliver([at(3), at(1), at(99)], from: 0) == 2)
    #expect(dispatcher.redeliver([at(2)], from: 1) == 0)
    #expect(dispatcher.deliverableReplays(max: 10) == [at(1), at(3)])
    #expect(dispatcher.offerReplay(entry(1)) == .deliver(0, redeliveryCount: 1))
    #expect(dispatcher.offerReplay(entry(1)) == .drop)
    #expect(dispatcher.redeliver([at(1)], from: 0) == 1)
    #expect(dispatcher.offerReplay(entry(1)) == .deliver(0, redeliveryCount: 2))
    // Acknowledged while it waits to be read again.
    #expect(dispatcher.acknowledged(at(3)) == nil)
    #expect(dispatcher.deliverableReplays(max: 10).isEmpty)
  }

  @Test func whatAConsumerHeldGoesToTheOthersUncounted() throws {
    var dispatcher = try make(consumers: 2)
    for number in 0..<4 { _ = dispatcher.offer(entry(Int64(number)), nowMs: 0) }
    #expect(dispatcher.remove(0) == false)
    #expect(dispatcher.deliverableReplays(max: 10) == [at(0), at(2)])
    #expect(dispatcher.offerReplay(entry(0)) == .deliver(1, redeliveryCount: 0))
    #expect(dispatcher.remove(1) == true)
    #expect(dispatcher.pending.isEmpty)
    #expect(dispatcher.replay.isEmpty)
    #expect(dispatcher.unackedMessages == 0)
  }

  @Test func unackedLimitsBlockAndUnblockAtHalf() throws {
    var limits = SharedDispatcher.Limits()
    limits.maxUnackedMessagesPerConsumer = 4
    limits.maxUnackedMessagesPerSubscription = 6
    var dispatcher = try make(limits: limits, consumers: 2)
    for number in 0..<6 { #expect(dispatcher.offer(entry(Int64(number)), nowMs: 0) != .hold) }
    #expect(dispatcher.isBlockedOnUnacked)
    #expect(dispatcher.offer(entry(6), nowMs: 0) == .hold)
    #expect(dispatcher.demand == 0)
    dispatcher.acknowledged(at(0))
    dispatcher.acknowledged(at(2))
    #expect(dispatcher.isBlockedOnUnacked)
    dispatcher.acknowledged(at(4))
    #expect(!dispatcher.isBlockedOnUnacked)
    // Consumer 1 holds three; one batch takes it over its limit, until it is at half.
    dispatcher.setWritable(0, false)
    #expect(dispatcher.offer(entry(7, messages: 2), nowMs: 0) == .deliver(1, redeliveryCount: 0))
    #expect(dispatcher.member(1)?.isBlocked == true)
    #expect(dispatcher.partlyAcknowledged(at(7), remaining: 1) == 1)
    dispatcher.acknowledged(at(1))
    #expect(dispatcher.member(1)?.isBlocked == true)
    dispatcher.acknowledged(at(3))
    #expect(dispatcher.member(1)?.isBlocked == false)
    #expect(dispatcher.unackedMessages == 2)
  }

  @Test func delayedEntriesWaitForTheirTime() throws {
    var dispatcher = try make(consumers: 1)
    #expect(dispatcher.offer(entry(0, deliverAtMs: 500), nowMs: 100) == .setAside)
    #expect(dispatcher.offer(entry(1, deliverAtMs: 300), nowMs: 100) == .setAside)
    #expect(dispatcher.offer(entry(2, deliverAtMs: 100), nowMs: 100) == .deliver(0, redeliveryCount: 0))
    #expect(dispatcher.delayed.nextDueMs == 300)
    #expect(dispatcher.releaseDue(299) == false)
    #expect(dispatcher.releaseDue(500) == true)
    #expect(dispatcher.deliverableReplays(max: 9) == [at(0), at(1)])
    #expect(dispatcher.offerReplay(entry(0, deliverAtMs: 500)) == .deliver(0, redeliveryCount: 0))
    #expect(dispatcher.delayed.nextDueMs == nil)
  }

  @Test func readingStopsAtTheLimitOfDelayedEntries() throws {
    var limits = SharedDispatcher.Limits()
    limits.maxDelayedEntries = 2
    var dispatcher = try make(limits: limits, consumers: 1)
    _ = dispatcher.offer(entry(0, deliverAtMs: 9), nowMs: 0)
    #expect(dispatcher.mayReadAhead)
    _ = dispatcher.offer(entry(1, deliverAtMs: 9), nowMs: 0)
    #expect(!dispatcher.mayReadAhead)
    _ = dispatcher.releaseDue(9)
    #expect(dispatcher.mayReadAhead)
  }

  @Test func skippedEntriesAreForgotten() throws {
    var dispatcher = try make(consumers: 1)
    for number in 0..<5 { _ = dispatcher.offer(entry(Int64(number), messages: 3), nowMs: 0) }
    _ = dispatcher.redeliver([at(1), at(4)], from: 0)
    dispatcher.acknowledgedThrough(at(2))
    #expect(dispatcher.deliverableReplays(max: 9) == [at(4)])
    #expect(dispatcher.unackedMessages == 3)
    #expect(dispatcher.pending.keys.sorted() == [at(3)])
  }

  // MARK: Keys

  /// A hash that `key` owns.
  private func hash(ownedBy key: ConsumerKey, _ dispatcher: SharedDispatcher, skipping: Int = 0) throws -> UInt16 {
    let range = try #require(dispatcher.assignment.ranges(of: key).dropFirst(skipping).first)
    return UInt16(range.start)
  }

  @Test func aKeyStaysWithItsConsumerUntilAcknowledged() throws {
    var dispatcher = try make(.keyShared, consumers: 1)
    let before = dispatcher
    var probe = before
    try probe.add(1, name: "c1", priorityLevel: 0)
    let moving = try hash(ownedBy: 1, probe)
    let staying = try hash(ownedBy: 0, probe)
    #expect(dispatcher.offer(entry(0, key: moving), nowMs: 0) == .deliver(0, redeliveryCount: 0))
    try dispatcher.add(1, name: "c1", priorityLevel: 0)
    dispatcher.grant(1, permits: 10)
    // The key belongs to consumer 1 now, but consumer 0 still has a message of it; other keys are not held up.
    #expect(dispatcher.offer(entry(1, key: moving), nowMs: 0) == .setAside)
    #expect(dispatcher.offer(entry(2, key: staying), nowMs: 0) == .deliver(0, redeliveryCount: 0))
    #expect(dispatcher.offer(entry(3, key: moving), nowMs: 0) == .setAside)
    #expect(dispatcher.deliverableReplays(max: 9).isEmpty)
    #expect(dispatcher.drainingHashes().map(\.hash) == [moving])
    dispatcher.acknowledged(at(0))
    #expect(dispatcher.deliverableReplays(max: 9) == [at(1), at(3)])
    // Only the first of the key can go first, whatever order they are read in.
    #expect(dispatcher.offerReplay(entry(3)) == .hold)
    #expect(dispatcher.offerReplay(entry(1)) == .deliver(1, redeliveryCount: 0))
    #expect(dispatcher.offer(entry(4, key: moving), nowMs: 0) == .setAside)
    #expect(dispatcher.offerReplay(entry(3)) == .deliver(1, redeliveryCount: 0))
    #expect(dispatcher.offerReplay(entry(4)) == .deliver(1, redeliveryCount: 0))
  }

  @Test func outOfOrderDeliveryHoldsNothingBack() throws {
    var dispatcher = SharedDispatcher(kind: .keyShared, limits: SharedDispatcher.Limits())
    let policy = KeySharedPolicy(allowsOutOfOrderDelivery: true)
    try dispatcher.add(0, name: "c0", priorityLevel: 0, policy: policy)
    var probe = dispatcher
    try probe.add(1, name: "c1", priorityLevel: 0, policy: policy)
    let moving = try hash(ownedBy: 1, probe)
    dispatcher.grant(0, permits: 10)
    _ = dispatcher.offer(entry(0, key: moving), nowMs: 0)
    try dispatcher.add(1, name: "c1", priorityLevel: 0, policy: policy)
    dispatcher.grant(1, permits: 10)
    #expect(dispatcher.offer(entry(1, key: moving), nowMs: 0) == .deliver(1, redeliveryCount: 0))
  }

  @Test func aFullConsumerHoldsUpOnlyItsKeys() throws {
    var limits = SharedDispatcher.Limits()
    limits.lookAheadPerConsumer = 2
    var dispatcher = try make(.keyShared, limits: limits, consumers: 2, permits: 0)
    dispatcher.grant(1, permits: 100)
    let slow = try hash(ownedBy: 0, dispatcher)
    let fast = try hash(ownedBy: 1, dispatcher)
    for number in 0..<4 {
      #expect(dispatcher.offer(entry(Int64(2 * number), key: slow), nowMs: 0) == .setAside)
      #expect(
        dispatcher.offer(entry(Int64(2 * number + 1), key: fast), nowMs: 0) == .deliver(1, redeliveryCount: 0))
    }
    // Four are set aside: that is the limit for two consumers.
    #expect(!dispatcher.mayReadAhead)
    #expect(dispatcher.offer(entry(8, key: slow), nowMs: 0) == .hold)
    dispatcher.grant(0, permits: 2)
    #expect(dispatcher.deliverableReplays(max: 9) == [at(0), at(2)])
  }

  @Test func nothingIsSetAsideWhenNobodyTakesAnything() throws {
    var dispatcher = try make(.keyShared, consumers: 2, permits: 0)
    #expect(dispatcher.offer(entry(0, key: 5), nowMs: 0) == .hold)
    #expect(dispatcher.replay.isEmpty)
  }

  @Test func keysOutsideStickyRangesWait() throws {
    var dispatcher = SharedDispatcher(kind: .keyShared, limits: SharedDispatcher.Limits())
    let half = KeySharedPolicy(mode: .sticky, ranges: [KeyHashRange(start: 0, end: 32_767)])
    let rest = KeySharedPolicy(mode: .sticky, ranges: [KeyHashRange(start: 32_768, end: 65_535)])
    try dispatcher.add(0, name: "a", priorityLevel: 0, policy: half)
    dispatcher.grant(0, permits: 10)
    #expect(dispatcher.offer(entry(0, key: 40_000), nowMs: 0) == .setAside)
    #expect(dispatcher.offer(entry(1, key: 1), nowMs: 0) == .deliver(0, redeliveryCount: 0))
    #expect(throws: SubscriptionError.self) { try dispatcher.add(1, name: "b", priorityLevel: 0, policy: half) }
    try dispatcher.add(2, name: "c", priorityLevel: 0, policy: rest)
    dispatcher.grant(2, permits: 10)
    #expect(dispatcher.deliverableReplays(max: 9) == [at(0)])
    #expect(dispatcher.offerReplay(entry(0)) == .deliver(2, redeliveryCount: 0))
  }

  @Test func entriesNobodyRemembers() throws {
    var dispatcher = try make(consumers: 1, permits: 2)
    #expect(dispatcher.offerUnremembered(entry(0)) == .deliver(0, redeliveryCount: 0))
    #expect(dispatcher.offerUnremembered(entry(1)) == .deliver(0, redeliveryCount: 0))
    #expect(dispatcher.offerUnremembered(entry(2)) == .drop)
    #expect(dispatcher.pending.isEmpty)
  }
}
