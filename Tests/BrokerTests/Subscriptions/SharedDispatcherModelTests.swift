import Testing
import TopicLog

@testable import Broker

/// Random events against a plain model: what was delivered to whom, and what must never happen.
@Suite struct SharedDispatcherModelTests {
  @Test(arguments: 0..<15) func sharedKeepsItsPromises(seed: Int) throws {
    var model = DispatchModel(kind: .shared, seed: UInt64(seed))
    try model.run()
  }

  @Test(arguments: 0..<15) func keySharedKeepsItsPromises(seed: Int) throws {
    var model = DispatchModel(kind: .keyShared, seed: UInt64(seed) + 1_000)
    try model.run()
  }
}

private struct DispatchModel {
  struct Entry {
    var messages: Int
    var key: UInt16
    var deliverAtMs: Int64
    var holder: ConsumerKey?
    var remaining: Int
    var redeliveries: UInt32 = 0
    var isAcknowledged = false
  }

  var random: SeededGenerator
  var dispatcher: SharedDispatcher
  var entries: [Entry] = []
  var permits: [ConsumerKey: Int] = [:]
  var nextConsumer = 0
  /// The next entry of the log to be offered.
  var next = 0
  var nowMs: Int64 = 0
  let kind: SharedDispatcher.Kind

  init(kind: SharedDispatcher.Kind, seed: UInt64) {
    self.kind = kind
    random = SeededGenerator(seed: seed)
    var limits = SharedDispatcher.Limits()
    limits.maxUnackedMessagesPerConsumer = 60
    limits.maxUnackedMessagesPerSubscription = 120
    limits.lookAheadPerConsumer = 10
    limits.maxDelayedEntries = 20
    dispatcher = SharedDispatcher(kind: kind, limits: limits)
    for _ in 0..<200 {
      let messages = Int.random(in: 0..<4, using: &random) == 0 ? Int.random(in: 2...12, using: &random) : 1
      let delay = Int.random(in: 0..<8, using: &random) == 0 ? Int64.random(in: 1...200, using: &random) : 0
      entries.append(
        Entry(
          messages: messages, key: UInt16.random(in: 0..<12, using: &random) * 5_000, deliverAtMs: delay,
          remaining: messages))
    }
  }

  mutating func run() throws {
    for number in 0..<2_000 { try step(number) }
    // Whatever happened: with a consumer that takes and acknowledges, everything is delivered.
    nowMs = 1_000
    if permits.isEmpty { try addConsumer() }
    var rounds = 0
    while entries.contains(where: { !$0.isAcknowledged }) {
      rounds += 1
      try #require(rounds < 2_000, "entries are left that nobody gets")
      for key in permits.keys { grant(key, 20) }
      _ = dispatcher.releaseDue(nowMs)
      try readReplays()
      try readNext(50)
      for number in entries.indices where entries[number].holder != nil { acknowledge(number) }
    }
    #expect(dispatcher.unackedMessages == 0)
    #expect(dispatcher.pending.isEmpty)
    #expect(dispatcher.replay.isEmpty)
    #expect(dispatcher.keyHolders.isEmpty)
  }

  mutating func step(_ number: Int) throws {
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<4: if permits.count < 5 { try addConsumer() }
    case 4..<7: if let key = anyConsumer() { removeConsumer(key) }
    case 7..<25: if let key = anyConsumer() { grant(key, Int.random(in: 1...10, using: &random)) }
    case 25..<50: try readNext(Int.random(in: 1...5, using: &random))
    case 50..<65: try readReplays()
    case 65..<85: if let number = anyHeld() { acknowledge(number) }
    case 85..<90: if let number = anyHeld() { acknowledgePartly(number) }
    case 90..<95: redeliver()
    case 95..<96: if let key = anyConsumer() { redeliverAll(key) }
    default:
      nowMs += 1
      _ = dispatcher.releaseDue(nowMs)
    }
    guard number % 8 == 0 else { return }
    let unacked = entries.reduce(0) { $0 + ($1.holder == nil ? 0 : $1.remaining) }
    try #require(dispatcher.unackedMessages == unacked)
  }

  // MARK: Events

  mutating func addConsumer() throws {
    try dispatcher.add(nextConsumer, name: "c\(nextConsumer)", priorityLevel: Int.random(in: 0..<2, using: &random))
    permits[nextConsumer] = 0
    nextConsumer += 1
  }

  mutating func removeConsumer(_ key: ConsumerKey) {
    let wasLast = dispatcher.remove(key)
    permits[key] = nil
    #expect(wasLast == permits.isEmpty)
    for number in entries.indices where entries[number].holder == key { entries[number].holder = nil }
    guard wasLast else { return }
    next = 0
    for number in entries.indices { entries[number].redeliveries = 0 }
  }

  mutating func grant(_ key: ConsumerKey, _ count: Int) {
    dispatcher.grant(key, permits: count)
    permits[key, default: 0] += count
  }

  mutating func readNext(_ count: Int) throws {
    for _ in 0..<count {
      while next < entries.count, entries[next].isAcknowledged { next += 1 }
      guard next < entries.count, dispatcher.demand > 0, dispatcher.mayReadAhead else { return }
      switch dispatcher.offer(describe(next), nowMs: nowMs) {
      case .deliver(let key, let redeliveries): try deliver(next, to: key, redeliveries)
      case .hold: return
      case .setAside: break
      case .drop: Issue.record("a new entry is never dropped")
      }
      next += 1
    }
  }

  mutating func readReplays() throws {
    var positions = dispatcher.deliverableReplays(max: 10)
    #expect(positions == positions.sorted())
    // Answers may be offered while other things happened, and in part only.
    if Int.random(in: 0..<4, using: &random) == 0 { positions.shuffle(using: &random) }
    for position in positions {
      let number = Int(position.entryID)
      try #require(!entries[number].isAcknowledged)
      if case .deliver(let key, let redeliveries) = dispatcher.offerReplay(describe(number)) {
        try deliver(number, to: key, redeliveries)
      }
    }
  }

  mutating func acknowledge(_ number: Int) {
    dispatcher.acknowledged(position(number))
    entries[number].isAcknowledged = true
    entries[number].holder = nil
  }

  mutating func acknowledgePartly(_ number: Int) {
    guard entries[number].remaining > 1 else { return }
    let remaining = Int.random(in: 1..<entries[number].remaining, using: &random)
    let done = dispatcher.partlyAcknowledged(position(number), remaining: remaining)
    #expect(done == entries[number].remaining - remaining)
    entries[number].remaining = remaining
  }

  mutating func redeliver() {
    guard let number = anyHeld(), let holder = entries[number].holder else { return }
    #expect(dispatcher.redeliver([position(number)], from: holder) == entries[number].remaining)
    entries[number].holder = nil
    entries[number].redeliveries += 1
  }

  mutating func redeliverAll(_ key: ConsumerKey) {
    _ = dispatcher.redeliverAll(from: key)
    for number in entries.indices where entries[number].holder == key {
      entries[number].holder = nil
      entries[number].redeliveries += 1
    }
  }

  // MARK: Promises

  private mutating func deliver(_ number: Int, to key: ConsumerKey, _ redeliveries: UInt32) throws {
    let entry = entries[number]
    try #require(entry.holder == nil, "an entry went to two consumers")
    try #require(!entry.isAcknowledged, "an acknowledged entry was delivered")
    try #require((permits[key] ?? 0) > 0, "a consumer without permits got something")
    try #require(entry.deliverAtMs <= nowMs, "an entry was delivered before its time")
    try #require(redeliveries == entry.redeliveries)
    if kind == .keyShared { try checkKeyOrder(number, key) }
    permits[key, default: 0] -= entry.remaining
    entries[number].holder = key
  }

  private func checkKeyOrder(_ number: Int, _ key: ConsumerKey) throws {
    for other in entries.indices where other != number && entries[other].key == entries[number].key {
      let entry = entries[other]
      if let holder = entry.holder { try #require(holder == key, "a key is with two consumers") }
      // Delayed entries give up their place.
      if other < number, entry.deliverAtMs == 0, !entry.isAcknowledged {
        try #require(entry.holder == key, "an earlier entry of the key is still waiting")
      }
    }
  }

  // MARK: Choices

  private mutating func anyConsumer() -> ConsumerKey? { permits.keys.sorted().randomElement(using: &random) }

  private mutating func anyHeld() -> Int? {
    entries.indices.filter { entries[$0].holder != nil }.randomElement(using: &random)
  }

  private func position(_ number: Int) -> Position { Position(ledgerID: 1, entryID: Int64(number)) }

  private func describe(_ number: Int) -> EntryDescription {
    let entry = entries[number]
    return EntryDescription(
      position: position(number), messages: entry.remaining, keyHash: entry.key, deliverAtMs: entry.deliverAtMs)
  }
}
