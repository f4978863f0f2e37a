import DequeModule

/// Who may produce to a topic: access modes, duplicate names, the limit on producers, and the epoch that fences
/// producers which once had the topic for themselves.
///
/// Events in, decisions out; the topic carries them out. Replicators never come here: nothing that is meant for
/// applications may stop a stream between regions.
struct ProducerAdmission: Sendable {
  /// What the topic calls a producer; never used twice.
  typealias ID = UInt64

  enum AccessMode: Sendable {
    case shared, exclusive, waitForExclusive, exclusiveWithFencing
  }

  struct Request: Sendable {
    var id: ID
    var name: String
    var mode: AccessMode
    /// The topic epoch the producer was given when it was last admitted exclusively.
    var topicEpoch: Int64?
    /// Grows with every reconnection of one producer: a higher one takes over from a lower one of the same name.
    var epoch: UInt64
    /// Whether an application chose the name. A name that we made up may be taken over at any time.
    var isNameChosen: Bool
    /// The connection it comes over: what tells a producer that is created again from a stranger of its name.
    var connection: UInt64
  }

  enum Decision: Hashable, Sendable {
    /// Admitted; `topicEpoch` is set for exclusive modes and must be durable before the producer hears of it. The
    /// producers in `fenced` are to be closed first.
    case admitted(topicEpoch: Int64?, fenced: [ID])
    /// It waits until the topic is free.
    case queued
    case refused(BrokerError.Kind, String)
  }

  /// A queued producer whose turn it is.
  struct Promotion: Hashable, Sendable {
    var id: ID
    var topicEpoch: Int64
  }

  private struct Admitted: Sendable {
    var id: ID
    var name: String
    var epoch: UInt64
    var isNameChosen: Bool
    var connection: UInt64
  }

  /// The most producers, 0 for no limit.
  var maximumProducers: Int
  /// Grows each time a producer gets the topic for itself.
  private(set) var topicEpoch: Int64?
  private var admitted: [ID: Admitted] = [:]
  private var exclusive: ID?
  private var waiting: Deque<Request> = []

  init(maximumProducers: Int, topicEpoch: Int64?) {
    self.maximumProducers = maximumProducers
    self.topicEpoch = topicEpoch
  }

  /// Producers admitted.
  var count: Int { admitted.count }
  /// Producers waiting for the topic.
  var waitingCount: Int { waiting.count }
  /// Whether one producer has the topic for itself.
  var hasExclusive: Bool { exclusive != nil }

  /// A producer asks to be let in.
  mutating func request(_ r: Request) -> Decision {
    var replaced: [ID] = []
    var dropped: [ID] = []
    if let same = admitted.values.first(where: { $0.name == r.name }) {
      guard r.epoch > same.epoch, same.connection == r.connection || !r.isNameChosen else {
        return .refused(.producerBusy, "Producer with name '\(r.name)' is already connected to topic")
      }
      replaced.append(same.id)
    }
    if let held = r.topicEpoch, let current = topicEpoch, held < current {
      return .refused(
        .producerFenced, "Topic epoch \(held) of producer '\(r.name)' is behind \(current): it was fenced")
    }
    let others = admitted.count - replaced.count
    let exclusiveIsOther = exclusive.map { !replaced.contains($0) } ?? false
    switch r.mode {
    case .shared:
      if exclusiveIsOther || !waiting.isEmpty {
        return .refused(.producerBusy, "Topic has an existing exclusive producer")
      }
    case .exclusive:
      if exclusiveIsOther || !waiting.isEmpty {
        return .refused(.producerFenced, "Topic has an existing exclusive producer")
      }
      if others > 0 { return .refused(.producerFenced, "Topic has existing shared producers") }
    case .waitForExclusive:
      if others > 0 || !waiting.isEmpty {
        waiting.append(r)
        return .queued
      }
    case .exclusiveWithFencing:
      // Those that wait are told too: their turn will not come.
      replaced = admitted.values.map(\.id)
      dropped = waiting.map(\.id)
      waiting.removeAll()
    }
    if maximumProducers > 0, admitted.count - replaced.count >= maximumProducers {
      return .refused(.producerBusy, "Topic reached its limit of \(maximumProducers) producers")
    }
    for id in replaced { remove(admittedID: id) }
    return .admitted(topicEpoch: admit(r), fenced: (replaced + dropped).filter { $0 != r.id })
  }

  /// A producer left. The result names the one whose turn it is, if any.
  mutating func leave(_ id: ID) -> Promotion? {
    remove(admittedID: id)
    waiting.removeAll { $0.id == id }
    guard admitted.isEmpty, let next = waiting.popFirst(), let epoch = admit(next) else { return nil }
    return Promotion(id: next.id, topicEpoch: epoch)
  }

  private mutating func admit(_ r: Request) -> Int64? {
    admitted[r.id] = Admitted(
      id: r.id, name: r.name, epoch: r.epoch, isNameChosen: r.isNameChosen, connection: r.connection)
    if r.mode == .shared { return nil }
    exclusive = r.id
    // A producer that comes back with the epoch in force keeps it: only another one makes it grow.
    let next = r.topicEpoch.map { max($0, topicEpoch ?? 0) } ?? (topicEpoch ?? -1) + 1
    topicEpoch = next
    return next
  }

  private mutating func remove(admittedID id: ID) {
    admitted[id] = nil
    if exclusive == id { exclusive = nil }
  }
}
