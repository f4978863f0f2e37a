import Broker
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import PulsarClient
import PulsarWire
import Transport

/// Everything that this region's broker sends to one remote region: a control connection whose heartbeats say whether
/// the region answers, and the connections of the topics' streams.
///
/// The control side is confined to `eventLoop`; what replicators on other loops need is in a lock that nobody holds for
/// long. What decides is in ``LinkState``.
final class Link: @unchecked Sendable {
  /// How connections of the link are made; replaced as a whole when the cluster's record changes.
  struct Endpoint: Sendable {
    var target: LinkTarget
    var options: ConnectionOptions
  }

  private struct Shared {
    var endpoint: Endpoint?
    var isUp = false
    var status = LinkStatus()
    var connections: [ObjectIdentifier: LinkConnections] = [:]
    var replicators: [ObjectIdentifier: Replicator] = [:]
    /// Topics that were closed and are to be loaded again, with what waited in them and when that was.
    var absent: [TopicName: (lag: LagState.Figures?, at: NIODeadline)] = [:]
    /// Whether the control connection leads to a Meridian region.
    var isMeridian = false
    var inFlightBytes = 0
  }

  /// The remote region.
  let remote: String
  let region: String
  let incarnation: UInt64
  let configuration: ReplicationConfiguration
  let eventLoop: any EventLoop
  let logger: Logger
  private let policies: PolicyStore
  private let shared = NIOLockedValueBox(Shared())
  /// The verdict and its history.
  let journal = NIOLockedValueBox(LinkJournal())

  // Confined to `eventLoop`.
  private var state: LinkState
  private var control: PulsarConnection?
  private var watcher: ControlWatcher?
  private var heartbeat: RepeatedTask?
  private var record: ClusterData?

  init(
    remote: String, region: String, incarnation: UInt64, policies: PolicyStore,
    configuration: ReplicationConfiguration, on eventLoop: any EventLoop, logger: Logger
  ) {
    self.remote = remote
    self.region = region
    self.incarnation = incarnation
    self.policies = policies
    self.configuration = configuration
    self.eventLoop = eventLoop
    var logger = logger
    logger[metadataKey: "link"] = "\(region)->\(remote)"
    self.logger = logger
    state = LinkState(heartbeatTimeout: configuration.heartbeatTimeout)
  }

  // MARK: From anywhere

  /// Connects, and stays connected until ``stop()``.
  func start() {
    eventLoop.execute { [self] in
      guard heartbeat == nil else { return }
      heartbeat = eventLoop.scheduleRepeatedTask(
        initialDelay: configuration.heartbeatInterval, delay: configuration.heartbeatInterval
      ) { [weak self] _ in self?.tick() }
      perform(state.start(now: .now()))
    }
  }

  /// Closes every connection; returns when the control side has ended.
  func stop() async {
    try? await eventLoop.submit { [self] in
      heartbeat?.cancel()
      heartbeat = nil
      perform(state.stop())
    }.get()
  }

  /// The cluster's record may have changed.
  func recordChanged() {
    eventLoop.execute { [self] in
      guard policies.cachedCluster(remote) != record else { return }
      perform(state.addressChanged())
    }
  }

  /// What the control side last knew.
  var status: LinkStatus { shared.withLockedValue { $0.status } }

  /// Partitions of a partitioned topic in this region.
  func partitions(of topic: TopicName) -> Int? { policies.cachedPartitions(of: topic)?.partitions }

  /// The replicators that use the link.
  var replicators: [Replicator] { shared.withLockedValue { Array($0.replicators.values) } }

  func register(_ replicator: Replicator) {
    shared.withLockedValue {
      $0.replicators[ObjectIdentifier(replicator)] = replicator
      $0.absent[replicator.topic.name] = nil
    }
  }

  /// - Parameters:
  ///   - lag: what waits in the topic, if that is known.
  ///   - comesBack: whether the topic is to be loaded again, and is owed that much until then.
  func unregister(_ replicator: Replicator, leaving lag: LagState.Figures?, comesBack: Bool) {
    shared.withLockedValue {
      guard $0.replicators.removeValue(forKey: ObjectIdentifier(replicator)) != nil else { return }
      let isReplaced = $0.replicators.values.contains { $0.topic.name == replicator.topic.name }
      $0.absent[replicator.topic.name] = comesBack && !isReplaced ? (lag, .now()) : nil
    }
  }

  /// Topics that are to be loaded again. What waits in them ages, and does not grow. Those that policies do not replicate
  /// to the remote any more are owed nothing.
  func absentTopics(now: NIODeadline) -> [ReplicatorSample] {
    shared.withLockedValue { shared in
      shared.absent = shared.absent.filter { isReplicated($0.key) }
      return shared.absent
    }
    .map { topic, left in
      var lag = left.lag
      if let messages = lag?.messages, messages > 0 {
        lag?.seconds += Double(max(0, (now - left.at).nanoseconds)) / 1e9
      }
      return ReplicatorSample(absent: topic, lag: lag)
    }
  }

  private func isReplicated(_ topic: TopicName) -> Bool {
    guard let namespace = policies.cachedPolicies(for: topic.namespace) else { return false }
    let clusters = policies.cachedTopicPolicies(for: topic)?.replicationClusters ?? namespace.replicationClusters
    return clusters.contains(remote) && !namespace.residencyDeny.contains(remote)
  }

  /// Throws unless a stream's connection leads to the region that the link is to.
  func verify(_ connection: PulsarConnection) throws {
    let isMeridian = shared.withLockedValue { $0.isMeridian }
    let reason: String
    if let peer = connection.peer {
      guard peer.region != remote else { return }
      reason = "\(connection.address) is region \(peer.region), not \(remote): correct the cluster's record"
    } else {
      guard isMeridian else { return }
      reason = "\(connection.address) is no broker of region \(remote), though a lookup there named it"
    }
    connection.close(.connection(reason))
    throw LinkError(reason)
  }

  /// Bytes that streams may still put under way.
  var roomInBytes: Int { shared.withLockedValue { configuration.maxInFlightBytes - $0.inFlightBytes } }

  /// A stream has so many bytes more, or less, under way.
  func addInFlight(_ bytes: Int) {
    guard bytes != 0 else { return }
    shared.withLockedValue { $0.inFlightBytes += bytes }
  }

  /// How to connect now, and the connections of `loop`; throws the link's reason while it is not up.
  func entrance(on loop: any EventLoop) throws(LinkError) -> (Endpoint, LinkConnections) {
    let (endpoint, connections, status) = shared.withLockedValue { shared in
      let connections =
        shared.connections[ObjectIdentifier(loop)] ?? LinkConnections(eventLoop: loop, logger: logger)
      shared.connections[ObjectIdentifier(loop)] = connections
      return (shared.isUp ? shared.endpoint : nil, connections, shared.status)
    }
    guard let endpoint else { throw LinkError(status.reason.isEmpty ? "connecting" : status.reason) }
    return (endpoint, connections)
  }

  // MARK: Control

  private func tick() {
    perform(state.tick(remote: remoteDescription, now: .now(), nowMs: wallClockMs()))
    publish()
  }

  private var remoteDescription: String {
    guard let endpoint = shared.withLockedValue({ $0.endpoint }) else { return remote }
    let address = endpoint.target.proxy ?? endpoint.target.address
    return "\(remote) (\(address.host):\(address.port))"
  }

  private func perform(_ actions: [LinkState.Action]) {
    eventLoop.assertInEventLoop()
    for action in actions {
      switch action {
      case .connect(let attempt): connect(attempt)
      case .disconnect(let reason): disconnect(reason)
      case .announceUp: announceUp()
      case .ping(let number): control?.ping(clockMs: Int64(number))
      case .retry(let failures):
        var generator = SystemRandomNumberGenerator()
        let pause = configuration.reconnectBackoff.delay(attempt: failures, using: &generator)
        eventLoop.scheduleTask(in: TimeAmount(pause)) { [weak self] in
          guard let self else { return }
          perform(state.retry(now: .now()))
          publish()
        }
      }
    }
    publish()
  }

  private func publish() {
    shared.withLockedValue { shared in
      shared.isUp = state.phase == .up
      shared.status = LinkStatus(
        isUp: state.phase == .up, wasUp: state.wasUp, reason: state.reason, roundTrip: state.roundTrip,
        clockSkewMs: state.clockSkewMs)
    }
  }

  private func connect(_ attempt: UInt64) {
    record = policies.cachedCluster(remote)
    let previous = shared.withLockedValue { $0.endpoint }
    let record = record
    // Certificates are files, and may have been replaced: a thread that may wait reads them.
    NIOThreadPool.singleton.runIfActive(eventLoop: eventLoop) { [self] in
      try endpoint(record, after: previous)
    }
    .flatMap { [self] endpoint -> EventLoopFuture<PulsarConnection> in
      // Threads finish in any order: an earlier record's address must not become what streams connect to.
      guard state.isCurrent(attempt: attempt) else {
        return eventLoop.makeFailedFuture(LinkError("the address changed meanwhile"))
      }
      shared.withLockedValue { $0.endpoint = endpoint }
      return PulsarConnection.connect(
        to: endpoint.target.address, options: endpoint.options, on: eventLoop, logger: logger)
    }
    .whenComplete { [weak self] result in
      guard let self else { return }
      switch result {
      case .success(let connection): connected(connection, attempt)
      case .failure(let error):
        perform(state.failed(attempt: attempt, reason: "\(remote): \(ErrorText.describe(error))"))
      }
    }
  }

  private func endpoint(_ record: ClusterData?, after previous: Endpoint?) throws -> Endpoint {
    let target = try LinkTarget(cluster: remote, record: record, defaults: configuration.tls)
    if let previous, previous.target == target {
      // A file that cannot be read now leaves the certificate that worked.
      do { _ = try previous.options.tls?.reloadIfChanged() } catch {
        logger.warning("the link's certificates cannot be read again", metadata: ["reason": "\(error)"])
      }
      return previous
    }
    var options = ConnectionOptions()
    options.connectionTimeout = configuration.connectionTimeout
    options.clientVersion = "Meridian-Link"
    options.proxy = target.proxy
    if let tls = target.tls { options.tls = try TLSContext(tls, role: .client) }
    options.featureFlags.supportsReplDedupByLidAndEid = true
    if configuration.linkProtocol == .automatic {
      var peer = ProtoMeridianPeer()
      peer.region = region
      peer.incarnation = incarnation
      peer.linkVersion = 1
      options.featureFlags.meridian = peer
    }
    return Endpoint(target: target, options: options)
  }

  private func connected(_ connection: PulsarConnection, _ attempt: UInt64) {
    if let peer = connection.peer, peer.region != remote {
      let reason = "\(connection.address) is region \(peer.region), not \(remote): correct the cluster's record"
      connection.close(.connection(reason))
      return perform(state.failed(attempt: attempt, reason: reason))
    }
    let actions = state.connected(attempt: attempt, now: .now(), nowMs: wallClockMs())
    guard !actions.isEmpty else { return connection.close(.connection("the link was closed meanwhile")) }
    control = connection
    shared.withLockedValue { $0.isMeridian = connection.peer != nil }
    let watcher = ControlWatcher { [weak self] error in
      guard let self, control === connection else { return }
      control = nil
      perform(state.failed(attempt: attempt, reason: "\(remote): \(ErrorText.describe(error))"))
    }
    self.watcher = watcher
    connection.register(watcher, id: connection.makeID())
    connection.onPong = { [weak self] echoed, clockMs in
      self?.state.answered(
        number: echoed.map { UInt64(bitPattern: $0) }, remoteClockMs: clockMs, now: .now())
    }
    logger.info("the link stands", metadata: ["address": "\(connection.address)"])
    perform(actions)
  }

  private func disconnect(_ reason: String) {
    let wasUp = shared.withLockedValue { $0.isUp }
    logger.log(level: wasUp ? .warning : .debug, "the link is down", metadata: ["reason": "\(reason)"])
    publish()
    let control = control
    self.control = nil
    watcher = nil
    control?.close(.connection(reason))
    for connections in shared.withLockedValue({ Array($0.connections.values) }) {
      connections.eventLoop.execute { connections.closeAll(reason) }
    }
  }

  private func announceUp() {
    publish()
    let byLoop = Dictionary(grouping: replicators) { ObjectIdentifier($0.eventLoop) }
    for group in byLoop.values {
      group.first?.eventLoop.execute { for replicator in group { replicator.linkIsUp() } }
    }
  }
}

/// What a link's control side last knew.
struct LinkStatus: Sendable {
  var isUp = false
  var wasUp = false
  var reason = ""
  var roundTrip: TimeAmount?
  var clockSkewMs: Double?
}

/// Hears the reason for which the control connection ends.
private final class ControlWatcher: ConnectionProducer {
  private let onClose: (PulsarClientError) -> Void

  init(onClose: @escaping (PulsarClientError) -> Void) {
    self.onClose = onClose
  }

  func received(receipt: SendReceiptCommand) {}
  func received(error: ProtoCommandSendError) {}
  func closedByBroker(_ command: ProtoCommandCloseProducer) {}
  func connectionClosed(_ error: PulsarClientError) { onClose(error) }
}
