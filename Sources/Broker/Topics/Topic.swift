import Logging
import MetadataStore
import NIOCore
import PulsarWire
import TopicLog

/// A persistent topic, or one partition of it: its log, its producers, its subscriptions and its replicators.
///
/// Confined to `eventLoop`. `async` members hop there and can be called from anywhere; the others assert that they are
/// on it. What decides correctness is in ``ProducerDeduplication``, ``OriginWatermarks`` and ``ProducerAdmission``: the
/// topic carries out what they say and keeps the order of its log the order of everything.
public final class Topic: @unchecked Sendable {
  /// What the topic can do at the moment.
  enum State: Hashable, Sendable {
    case open
    /// An append failed: nothing is taken until what is in flight has come back.
    case recovering
    /// Closed or being closed: clients must look it up again.
    case closed
  }

  /// The cursor that holds the snapshot of ``TopicProgress``.
  static let progressCursorName = "pulsar.dedup"
  /// What every replicator's cursor begins with; behind it follows the remote cluster.
  static let replicatorPrefix = "pulsar.repl"

  /// The topic's full name.
  public let name: TopicName
  /// The loop on which the topic lives.
  public let eventLoop: any EventLoop
  /// The stored messages. Owned by the topic; replicators read it.
  public let log: TopicLog
  /// The region this broker serves.
  public let localCluster: String
  /// Which life of the region it is.
  public let incarnation: UInt64
  /// What the namespace and the topic set.
  public internal(set) var policies: EffectivePolicies

  let configuration: BrokerConfiguration
  let schemas: SchemaRegistry
  let logger: Logger
  let createdAtMs: Int64
  var metadata: (any MetadataStore)?

  var state = State.open
  var isTerminated = false
  /// Whether the topic is being deleted, not only closed.
  public internal(set) var isDeleted = false
  /// Rebuilt from the log, saved at `progressCursor`.
  var progress: TopicProgress
  let progressCursor: TopicCursor
  /// Counters after the last entry handed to the log.
  var pushedCounters = TopicCounters()
  /// The last entry that `progress` knows.
  var progressPosition: Position
  var snapshot = SnapshotSchedule()
  var pendingAppends = 0

  var producers: [ProducerAdmission.ID: TopicProducer] = [:]
  var admission: ProducerAdmission
  var nextProducerID: ProducerAdmission.ID = 1
  /// The open streams of other regions.
  var streams: [OriginKey: TopicProducer] = [:]
  /// Who is to hear of an origin's watermark.
  var originSenders: [OriginKey: TopicProducer] = [:]

  var subscriptions: [String: Subscription] = [:]
  var openingSubscriptions: [String: EventLoopFuture<Subscription>] = [:]
  var replicators: [String: HostedReplicator] = [:]
  var replicatorFactory: (any TopicReplicatorFactory)?
  /// The last change of policies that is being carried out, or was.
  var policyTurn: Task<Void, Never>?
  /// Where replicators begin whose cursors could not be made yet.
  var replicatorStarts: [String: InitialPosition] = [:]

  var counters = PublishCounters()
  var rates = SampledRates()
  var inbound: [String: InboundReplication] = [:]
  /// Messages that residency kept out of each region, since the topic was loaded.
  var withheld: [String: Int64] = [:]
  var chunksPublished = false
  var lastPublishMs: Int64 = 0
  var lastUseMs: Int64
  /// The quotas that the backlog exceeds, and what is to happen.
  var exceededQuotas: [String: BacklogQuota.Policy] = [:]
  var oldestBacklog: (ageSeconds: Int64, cursor: String)?
  let publishThrottle: PublishThrottle
  let dispatchLimiter = DispatchLimiter()
  var subscribeThrottle = SubscribeThrottle()
  var maintenance = MaintenanceSchedule()
  var maintenanceTask: RepeatedTask?
  var listener: TopicLog.ListenerID?
  /// Set by the service: the topic cannot go on by itself and must be closed, and loaded again when it is asked for.
  var onUnusable: ((Topic, BrokerError) -> Void)?
  /// Set by the service: nobody has used the topic for long and nothing keeps it.
  var onInactive: ((Topic) -> Void)?

  init(
    name: TopicName, log: TopicLog, progressCursor: TopicCursor, progress: TopicProgress, progressPosition: Position,
    policies: EffectivePolicies, topicEpoch: Int64?, configuration: BrokerConfiguration, schemas: SchemaRegistry,
    createdAtMs: Int64, logger: Logger
  ) {
    self.name = name
    self.eventLoop = log.eventLoop
    self.log = log
    self.publishThrottle = PublishThrottle(eventLoop: log.eventLoop)
    self.progressCursor = progressCursor
    self.progress = progress
    self.progressPosition = progressPosition
    self.pushedCounters = progress.counters
    self.policies = policies
    self.configuration = configuration
    self.schemas = schemas
    self.localCluster = configuration.clusterName
    self.incarnation = configuration.incarnation
    self.createdAtMs = createdAtMs
    self.lastUseMs = WallClock.nowMs()
    self.admission = ProducerAdmission(maximumProducers: policies.maxProducers, topicEpoch: topicEpoch)
    var logger = logger
    logger[metadataKey: "topic"] = "\(name)"
    self.logger = logger
  }

  /// Messages and bytes first published in this region, up to the last entry confirmed; of which a replicator subtracts
  /// what it has sent.
  public var localCounters: (messages: UInt64, bytes: UInt64) {
    eventLoop.assertInEventLoop()
    return (progress.counters.localMessages, progress.counters.localBytes)
  }

  /// How far each origin's entries are stored here.
  public var watermarks: [OriginKey: OriginPosition] {
    eventLoop.assertInEventLoop()
    return progress.origins.persisted
  }

  /// The schema that messages with `version` were written with; nil if it was deleted or never existed.
  public func schema(version: [UInt8]) async throws -> SchemaDefinition? {
    guard let number = SchemaRecord.version(of: version) else { return nil }
    return try await schemas.get(name, version: number)?.schema
  }

  /// Begins to serve: called once, when everything that the log holds is known.
  func start(replicatorFactory: (any TopicReplicatorFactory)?) {
    eventLoop.assertInEventLoop()
    self.replicatorFactory = replicatorFactory
    listener = log.addAppendListener { [weak self] in self?.entriesAppended() }
    log.onFailure = { [weak self] error in
      guard let self, state != .closed else { return }
      onUnusable?(self, BrokerError(.notReady, "\(error)"))
    }
    applyLimits()
    startMaintenance()
  }

  private func entriesAppended() {
    for replicator in replicators.values { replicator.replicator?.entriesAppended() }
  }

  /// Throws unless the topic takes clients.
  func requireOpen() throws(BrokerError) {
    switch state {
    case .open: return
    case .recovering: throw .notReady("Topic \(name) is recovering from a storage failure: try again")
    case .closed: throw .notReady("Topic \(name) is being unloaded: look it up again")
    }
  }

  /// Runs `body` on the topic's loop.
  func onLoop<T: Sendable>(_ body: @escaping @Sendable (Topic) throws -> T) async throws -> T {
    try await eventLoop.submit { try body(self) }.get()
  }
}

/// When the next snapshot of a topic's progress is due.
struct SnapshotSchedule: Sendable {
  /// However fast the topic is, a snapshot is not taken more often: it is a durable write.
  static let minimumIntervalMs: Int64 = 1000

  var entriesSince = 0
  var lastMs: Int64 = 0
  var isRunning = false

  /// Whether to take one now.
  func isDue(entries: Int, intervalMs: Int64, nowMs: Int64) -> Bool {
    guard !isRunning, entriesSince > 0 else { return false }
    let elapsed = nowMs - lastMs
    return elapsed >= intervalMs || entriesSince >= entries && elapsed >= Self.minimumIntervalMs
  }
}
