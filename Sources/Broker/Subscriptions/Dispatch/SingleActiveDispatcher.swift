import NIOCore

/// Decides for Exclusive and Failover subscriptions: all messages go to one active consumer, in the order of the log.
///
/// It keeps no record of single messages: what the active consumer has not acknowledged is found again by reading from
/// the first unacknowledged position ("rewind").
struct SingleActiveDispatcher: Sendable {
  enum Kind: Sendable {
    case exclusive
    case failover(ActiveConsumerSelector, delay: TimeAmount)
  }

  /// A consumer is told whether it is active.
  struct Notice: Equatable, Sendable {
    var consumer: ConsumerKey
    var isActive: Bool
  }

  /// What a change of the consumers brings about.
  struct Change: Equatable, Sendable {
    var notices: [Notice] = []
    /// Drop what was read and read again from the first unacknowledged position.
    var rewind = false
    /// Call ``timeReached(_:)`` then.
    var wakeAt: NIODeadline?
  }

  struct Member: Sendable {
    let key: ConsumerKey
    let name: String
    let priorityLevel: Int
    var permits = 0
    var isWritable = true
  }

  private let kind: Kind
  /// By priority level, name and age.
  private(set) var members: [Member] = []
  private var activeIndex: Int?
  /// While set, nothing is delivered: the consumer that was active before may still acknowledge.
  private(set) var heldUntil: NIODeadline?

  init(kind: Kind) { self.kind = kind }

  var activeConsumer: ConsumerKey? { activeIndex.map { members[$0].key } }

  /// The messages that the active consumer takes at this moment; 0 or less when nothing can be delivered.
  var demand: Int {
    guard let activeIndex, heldUntil == nil, members[activeIndex].isWritable else { return 0 }
    return members[activeIndex].permits
  }

  /// A consumer joins.
  /// - Throws: `consumerBusy` if the subscription is exclusive and has one.
  mutating func add(
    _ key: ConsumerKey, name: String, priorityLevel: Int, now: NIODeadline
  ) throws(SubscriptionError) -> Change {
    if case .exclusive = kind, let other = members.first {
      throw .consumerBusy("The exclusive subscription already has the consumer \(other.name).")
    }
    let before = activeConsumer
    let member = Member(key: key, name: name, priorityLevel: priorityLevel)
    let index = members.firstIndex { Self.precedes(member, $0) } ?? members.endIndex
    members.insert(member, at: index)
    return chooseActive(before: before, joined: key, now: now)
  }

  /// A consumer left. Unknown ones are ignored.
  mutating func remove(_ key: ConsumerKey, now: NIODeadline) -> Change {
    guard let index = members.firstIndex(where: { $0.key == key }) else { return Change() }
    let before = activeConsumer
    members.remove(at: index)
    return chooseActive(before: before, joined: nil, now: now)
  }

  mutating func grant(_ key: ConsumerKey, permits: Int) {
    guard let index = members.firstIndex(where: { $0.key == key }) else { return }
    members[index].permits = members[index].permits.saturatingAdd(permits)
  }

  mutating func setWritable(_ key: ConsumerKey, _ isWritable: Bool) {
    guard let index = members.firstIndex(where: { $0.key == key }) else { return }
    members[index].isWritable = isWritable
  }

  /// The next entry of the log, with `messages` messages: a batch may take more permits than there are.
  @inline(__always)
  mutating func offer(messages: Int) -> DispatchDecision {
    guard let activeIndex, heldUntil == nil else { return .hold }
    return members.withUnsafeMutableBufferPointer { members in
      guard members[activeIndex].permits > 0, members[activeIndex].isWritable else { return .hold }
      members[activeIndex].permits -= messages
      return .deliver(members[activeIndex].key, redeliveryCount: 0)
    }
  }

  /// The active consumer wants everything that it has not acknowledged again; from another one it means nothing.
  func redeliverAll(_ key: ConsumerKey) -> Bool { key == activeConsumer }

  /// Time went by.
  mutating func timeReached(_ now: NIODeadline) -> Change {
    guard let heldUntil, now >= heldUntil else { return Change() }
    self.heldUntil = nil
    return Change(rewind: true)
  }

  private mutating func chooseActive(before: ConsumerKey?, joined: ConsumerKey?, now: NIODeadline) -> Change {
    guard !members.isEmpty else {
      activeIndex = nil
      heldUntil = nil
      return Change()
    }
    guard case .failover(let selector, let delay) = kind else {
      activeIndex = 0
      return Change(rewind: true)
    }
    let level = members[0].priorityLevel
    let chosen = selector.pick(members.prefix { $0.priorityLevel == level }.map(\.name))
    activeIndex = chosen
    let active = members[chosen].key
    if active == before {
      return Change(notices: joined.map { [Notice(consumer: $0, isActive: false)] } ?? [])
    }
    var change = Change(notices: members.map { Notice(consumer: $0.key, isActive: $0.key == active) })
    if let before, delay > .zero, members.contains(where: { $0.key == before }) {
      let deadline = now + delay
      heldUntil = deadline
      change.wakeAt = deadline
    } else {
      heldUntil = nil
      change.rewind = true
    }
    return change
  }

  private static func precedes(_ a: Member, _ b: Member) -> Bool {
    if a.priorityLevel != b.priorityLevel { return a.priorityLevel < b.priorityLevel }
    if a.name != b.name { return a.name < b.name }
    return a.key < b.key
  }
}

extension Int {
  /// The sum, or the largest value if it does not fit: permits come from outside.
  func saturatingAdd(_ other: Int) -> Int {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? (other > 0 ? .max : .min) : sum
  }
}
