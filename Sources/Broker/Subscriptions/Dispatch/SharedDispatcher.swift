import TopicLog

/// Decides for Shared and Key_Shared subscriptions: each entry goes to one of many consumers and is remembered until it
/// is acknowledged, asked for again, or its consumer leaves.
///
/// Invariants: an entry is with at most one consumer; a consumer gets nothing without permits (a batch may overshoot
/// once); for Key_Shared, an entry is never handed out while an earlier one of its key waits here or is with another
/// consumer.
struct SharedDispatcher: Sendable {
  let kind: Kind
  var limits: Limits
  /// By priority level, then in the order they joined.
  private(set) var members: [Member] = []
  private(set) var pending: [Position: Pending] = [:]
  private(set) var replay: ReplayQueue
  private(set) var delayed = DelayedDeliveries()
  private(set) var assignment: KeyHashAssignment
  private(set) var keyHolders: [UInt16: KeyHolder] = [:]
  private(set) var unackedMessages = 0
  private(set) var isBlockedOnUnacked = false
  private(set) var allowsOutOfOrderDelivery = false
  /// Where the search for the next consumer begins: behind the one that got the last entry.
  private var nextMember = 0
  private var indexes: [ConsumerKey: Int] = [:]

  init(kind: Kind, limits: Limits) {
    self.kind = kind
    self.limits = limits
    self.replay = ReplayQueue(tracksKeys: kind == .keyShared)
    self.assignment = KeyHashAssignment(pointsPerConsumer: limits.hashPointsPerConsumer)
  }

  private var keepsKeyOrder: Bool { kind == .keyShared && !allowsOutOfOrderDelivery }

  func member(_ key: ConsumerKey) -> Member? { indexes[key].map { members[$0] } }

  // MARK: Consumers

  mutating func add(
    _ key: ConsumerKey, name: String, priorityLevel: Int, policy: KeySharedPolicy = KeySharedPolicy()
  ) throws(SubscriptionError) {
    if kind == .keyShared {
      try assignment.add(key, name: name, policy: policy)
      if members.isEmpty { allowsOutOfOrderDelivery = policy.allowsOutOfOrderDelivery }
    }
    let index = members.firstIndex { $0.priorityLevel > priorityLevel } ?? members.endIndex
    members.insert(Member(key: key, name: name, priorityLevel: priorityLevel), at: index)
    reindex()
  }

  /// A consumer left: what it holds goes to the others.
  /// - Returns: true if it was the last one: everything is forgotten, and the next consumer begins with the first
  ///   unacknowledged entry of the log.
  mutating func remove(_ key: ConsumerKey) -> Bool {
    guard let index = indexes[key] else { return false }
    members.remove(at: index)
    reindex()
    assignment.remove(key)
    if members.isEmpty {
      forgetEntries()
      return true
    }
    takeBackAll(from: key, countRedelivery: false)
    return false
  }

  mutating func grant(_ key: ConsumerKey, permits: Int) {
    guard let index = indexes[key] else { return }
    members[index].permits = members[index].permits.saturatingAdd(permits)
  }

  mutating func setWritable(_ key: ConsumerKey, _ isWritable: Bool) {
    guard let index = indexes[key], members[index].isWritable != isWritable else { return }
    members[index].isWritable = isWritable
  }

  // MARK: Reading

  /// The messages that all consumers together take at this moment; 0 when reading would be in vain.
  var demand: Int {
    guard !isBlockedOnUnacked else { return 0 }
    var sum = 0
    for member in members where member.canTake { sum = sum.saturatingAdd(member.permits) }
    return sum
  }

  /// Whether entries may be read beyond those that are set aside.
  var mayReadAhead: Bool { delayed.count < limits.maxDelayedEntries && mayLookAhead }

  private var mayLookAhead: Bool {
    guard kind == .keyShared else { return true }
    return replay.count < min(limits.lookAheadPerSubscription, limits.lookAheadPerConsumer * max(1, members.count))
  }

  /// The positions that could be delivered now if they were read again, in the order of the log, at most `max`.
  func deliverableReplays(max: Int) -> [Position] {
    guard max > 0, !replay.isEmpty, demand > 0 else { return [] }
    var positions: [Position] = []
    if kind == .shared {
      positions.reserveCapacity(min(max, replay.count))
      for item in replay.ordered.prefix(max) { positions.append(item.position) }
      return positions
    }
    var free: [ConsumerKey: Int] = [:]
    var open = 0
    for member in members where member.canTake {
      free[member.key] = member.permits
      open += 1
    }
    var skipped: Set<UInt16> = []
    for item in replay.ordered {
      if positions.count == max || open == 0 { break }
      if keepsKeyOrder, skipped.contains(item.keyHash) { continue }
      guard let owner = assignment.owner(item.keyHash), let permits = free[owner], permits > 0,
        !keepsKeyOrder || keyHolders[item.keyHash].map({ $0.consumer == owner }) ?? true
      else {
        skipped.insert(item.keyHash)
        continue
      }
      free[owner] = permits - 1
      if permits == 1 { open -= 1 }
      positions.append(item.position)
    }
    return positions
  }

  // MARK: Entries

  /// The next entry of the log that was never handed out since reading began. Entries come in the order of the log.
  mutating func offer(_ entry: EntryDescription, nowMs: Int64) -> DispatchDecision {
    if entry.deliverAtMs > nowMs, limits.delayedDeliveryEnabled {
      delayed.insert(entry.position, keyHash: entry.keyHash, deliverAtMs: entry.deliverAtMs)
      return .setAside
    }
    guard !isBlockedOnUnacked else { return .hold }
    if kind == .shared {
      guard let index = nextInTurn() else { return .hold }
      return deliver(entry, to: index, redeliveryCount: 0)
    }
    if !keepsKeyOrder || !replay.holds(keyHash: entry.keyHash), let index = takerOfKey(entry.keyHash) {
      return deliver(entry, to: index, redeliveryCount: 0)
    }
    // The key has to wait; others behind it need not, as long as somebody takes something.
    guard demand > 0, mayLookAhead else { return .hold }
    replay.insert(ReplayQueue.Item(position: entry.position, redeliveryCount: 0, keyHash: entry.keyHash))
    return .setAside
  }

  /// An entry of ``deliverableReplays(max:)`` that was read again.
  mutating func offerReplay(_ entry: EntryDescription) -> DispatchDecision {
    guard let item = replay.item(at: entry.position) else { return .drop }
    guard !isBlockedOnUnacked else { return .hold }
    let taker: Int?
    if kind == .shared {
      taker = nextInTurn()
    } else if keepsKeyOrder, !replay.isFirst(entry.position, ofKeyHash: item.keyHash) {
      taker = nil
    } else {
      taker = takerOfKey(item.keyHash)
    }
    guard let taker else { return .hold }
    replay.remove(entry.position)
    var entry = entry
    entry.keyHash = item.keyHash
    return deliver(entry, to: taker, redeliveryCount: item.redeliveryCount)
  }

  /// An entry that nobody acknowledges: it goes to whom it belongs if that one has permits, and is forgotten.
  mutating func offerUnremembered(_ entry: EntryDescription) -> DispatchDecision {
    guard let index = kind == .shared ? nextInTurn() : takerOfKey(entry.keyHash) else { return .drop }
    members[index].permits -= entry.messages
    return .deliver(members[index].key, redeliveryCount: 0)
  }

  private mutating func deliver(
    _ entry: EntryDescription, to index: Int, redeliveryCount: UInt32
  ) -> DispatchDecision {
    let key = members[index].key
    members[index].permits -= entry.messages
    members[index].unacked += entry.messages
    unackedMessages += entry.messages
    if limits.maxUnackedMessagesPerConsumer > 0, members[index].unacked >= limits.maxUnackedMessagesPerConsumer {
      members[index].isBlocked = true
    }
    if limits.maxUnackedMessagesPerSubscription > 0, unackedMessages >= limits.maxUnackedMessagesPerSubscription {
      isBlockedOnUnacked = true
    }
    pending[entry.position] = Pending(
      consumer: key, messages: Int32(clamping: entry.messages), redeliveryCount: redeliveryCount,
      keyHash: entry.keyHash)
    if kind == .keyShared {
      keyHolders[entry.keyHash, default: KeyHolder(consumer: key, entries: 0)].entries += 1
    }
    return .deliver(key, redeliveryCount: redeliveryCount)
  }

  /// The next consumer in turn within the best priority level that can take something.
  private mutating func nextInTurn() -> Int? {
    var level = 0
    while level < members.count {
      let priority = members[level].priorityLevel
      var end = level + 1
      while end < members.count, members[end].priorityLevel == priority { end += 1 }
      let start = nextMember >= level && nextMember < end ? nextMember : level
      var index = start
      repeat {
        if members[index].canTake {
          nextMember = index + 1
          return index
        }
        index = index + 1 == end ? level : index + 1
      } while index != start
      level = end
    }
    return nil
  }

  /// The owner of a key, if it can take an entry and nobody else still has one of that key.
  private func takerOfKey(_ hash: UInt16) -> Int? {
    guard let owner = assignment.owner(hash), let index = indexes[owner], members[index].canTake else { return nil }
    if keepsKeyOrder, let holder = keyHolders[hash], holder.consumer != owner { return nil }
    return index
  }

  // MARK: Acknowledgements

  /// An entry is acknowledged as a whole.
  /// - Returns: what was pending; nil if the entry was with nobody.
  @discardableResult
  mutating func acknowledged(_ position: Position) -> Pending? {
    guard let record = pending.removeValue(forKey: position) else {
      replay.remove(position)
      return nil
    }
    settle(record, messages: Int(record.messages))
    releaseKey(record)
    return record
  }

  /// Some messages of a batch are acknowledged, `remaining` are not.
  /// - Returns: the number of messages that were acknowledged by this.
  mutating func partlyAcknowledged(_ position: Position, remaining: Int) -> Int {
    guard let record = pending[position], remaining >= 0, remaining < Int(record.messages) else { return 0 }
    pending[position]?.messages = Int32(clamping: remaining)
    let done = Int(record.messages) - remaining
    settle(record, messages: done)
    return done
  }

  /// Everything up to and including `position` is acknowledged (skipped, expired).
  mutating func acknowledgedThrough(_ position: Position) {
    for key in pending.keys where key <= position { acknowledged(key) }
    replay.removeThrough(position)
  }

  // MARK: Redelivery

  /// A consumer asks for entries again. Those that it does not have are ignored.
  /// - Returns: the number of messages that will be handed out again.
  mutating func redeliver(_ positions: [Position], from key: ConsumerKey) -> Int {
    var messages = 0
    for position in positions {
      guard let record = pending[position], record.consumer == key else { continue }
      pending[position] = nil
      messages += Int(record.messages)
      settle(record, messages: Int(record.messages))
      releaseKey(record)
      replay.insert(replayItem(position, record, countRedelivery: true))
    }
    return messages
  }

  /// A consumer asks for everything that it has again.
  mutating func redeliverAll(from key: ConsumerKey) -> Int { takeBackAll(from: key, countRedelivery: true) }

  /// Keys that a consumer still has messages of, though they belong to another one now.
  func drainingHashes() -> [(hash: UInt16, consumer: ConsumerKey, entries: Int)] {
    keyHolders.compactMap { hash, holder in
      assignment.owner(hash) == holder.consumer ? nil : (hash, holder.consumer, holder.entries)
    }
  }

  // MARK: Time and resets

  /// Entries whose delivery time has come can be delivered.
  /// - Returns: whether there were any.
  mutating func releaseDue(_ nowMs: Int64) -> Bool {
    var found = false
    while let due = delayed.popDue(nowMs) {
      replay.insert(ReplayQueue.Item(position: due.position, redeliveryCount: 0, keyHash: due.keyHash))
      found = true
    }
    return found
  }

  /// Forgets every entry, not the consumers and their permits.
  mutating func forgetEntries() {
    pending.removeAll()
    replay.removeAll()
    delayed.removeAll()
    keyHolders.removeAll()
    unackedMessages = 0
    isBlockedOnUnacked = false
    for index in members.indices {
      members[index].unacked = 0
      members[index].isBlocked = false
    }
  }

  /// An entry that waits to be read again does not exist any more.
  mutating func vanished(_ position: Position) { replay.remove(position) }

  @discardableResult
  private mutating func takeBackAll(from key: ConsumerKey, countRedelivery: Bool) -> Int {
    var items: [ReplayQueue.Item] = []
    var messages = 0
    for (position, record) in pending where record.consumer == key {
      items.append(replayItem(position, record, countRedelivery: countRedelivery))
    }
    for item in items {
      guard let record = pending.removeValue(forKey: item.position) else { continue }
      messages += Int(record.messages)
      settle(record, messages: Int(record.messages))
      releaseKey(record)
    }
    replay.insert(contentsOf: items)
    return messages
  }

  private func replayItem(_ position: Position, _ record: Pending, countRedelivery: Bool) -> ReplayQueue.Item {
    let count = countRedelivery ? record.redeliveryCount &+ 1 : record.redeliveryCount
    return ReplayQueue.Item(position: position, redeliveryCount: count, keyHash: record.keyHash)
  }

  private mutating func settle(_ record: Pending, messages: Int) {
    unackedMessages -= messages
    if isBlockedOnUnacked, unackedMessages <= limits.maxUnackedMessagesPerSubscription / 2 {
      isBlockedOnUnacked = false
    }
    guard let index = indexes[record.consumer] else { return }
    members[index].unacked -= messages
    if members[index].isBlocked, members[index].unacked <= limits.maxUnackedMessagesPerConsumer / 2 {
      members[index].isBlocked = false
    }
  }

  private mutating func releaseKey(_ record: Pending) {
    guard kind == .keyShared, let index = keyHolders.index(forKey: record.keyHash) else { return }
    if keyHolders.values[index].entries <= 1 {
      keyHolders.remove(at: index)
    } else {
      keyHolders.values[index].entries -= 1
    }
  }

  private mutating func reindex() {
    indexes.removeAll(keepingCapacity: true)
    for (index, member) in members.enumerated() { indexes[member.key] = index }
    if nextMember > members.count { nextMember = 0 }
  }
}
