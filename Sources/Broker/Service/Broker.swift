import Atomics
import Ledgers
import Logging
import MetadataStore
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import PulsarWire
import TopicLog
import Transport

/// One broker: serves Pulsar's protocol, and offers to the admin API what can be done with topics.
///
/// Its methods can be called from anywhere. Those that can fail throw ``BrokerError``.
public final class Broker: Sendable {
  /// How the broker was configured.
  public let configuration: BrokerConfiguration
  /// Policies of clusters, tenants, namespaces and topics.
  public let policies: PolicyStore

  let metadata: any MetadataStore
  let group: any EventLoopGroup
  let directory = TopicDirectory()
  /// What all clients have published and bookies have not stored.
  let publishBuffer: PublishBuffer
  let lookups: RequestLimit
  let publishLimit: BrokerPublishLimit?
  let schemas: SchemaRegistry
  let loader: TopicLoader
  let ownership: any Ownership
  let logger: Logger

  private struct State {
    var replicatorFactory: (any TopicReplicatorFactory)?
    var plain: (any Channel)?
    var tls: (any Channel)?
    var tlsContext: TLSContext?
    var sessions: [UInt64: ClientSession] = [:]
    var changes: Task<Void, Never>?
    var keeper: Task<Void, Never>?
    var isStopping = false
    var producerNamePrefix = ""
  }

  private let state = NIOLockedValueBox(State())
  private let producerNumber = ManagedAtomic<UInt64>(0)

  /// A broker that keeps its topics in `ledgers` and what it knows about them in `metadata`. It serves after `start`.
  public init(
    configuration: BrokerConfiguration, metadata: any MetadataStore, ledgers: LedgerClient, policies: PolicyStore,
    group: any EventLoopGroup, ownership: any Ownership = SoleOwnership(), logger: Logger
  ) {
    self.configuration = configuration
    self.policies = policies
    self.metadata = metadata
    self.group = group
    self.ownership = ownership
    self.logger = logger
    publishBuffer = PublishBuffer(limit: configuration.maxMessagePublishBufferSize)
    lookups = RequestLimit(configuration.maxConcurrentLookupRequest)
    publishLimit = BrokerPublishLimit(
      messages: configuration.brokerPublisherThrottlingMaxMessageRate,
      bytes: configuration.brokerPublisherThrottlingMaxByteRate)
    schemas = SchemaRegistry(metadata: metadata)
    loader = TopicLoader(
      configuration: configuration, metadata: metadata, ledgers: ledgers,
      cache: EntryCacheBudget(limit: configuration.managedLedgerCacheSize), schemas: schemas, logger: logger)
  }

  /// Who makes replicators; before `start`. Without one nothing is replicated.
  public func setReplicatorFactory(_ factory: any TopicReplicatorFactory) {
    state.withLockedValue { $0.replicatorFactory = factory }
  }

  var replicatorFactory: (any TopicReplicatorFactory)? { state.withLockedValue { $0.replicatorFactory } }

  // MARK: Life

  /// Listens on the configured ports. Throws ``BrokerError`` with the address that could not be had.
  public func start() async throws {
    // Names that we make up are never used again, also not after a restart: deduplication remembers them.
    let life = try await metadata.nextSequence("producer-names")
    state.withLockedValue { $0.producerNamePrefix = "\(configuration.clusterName)-\(life)" }
    do {
      try await startListening()
    } catch {
      for channel in state.withLockedValue({ [$0.plain, $0.tls] }) { try? await channel?.close().get() }
      throw error
    }
    let changes = policies.changes()
    let task = Task { [weak self] in
      for await change in changes { await self?.policyChanged(change) }
    }
    let keeper = Task { [weak self] in
      guard self?.replicatorFactory != nil else { return }
      await self?.keepReplicatedTopicsLoaded()
    }
    state.withLockedValue {
      $0.changes = task
      $0.keeper = keeper
    }
    logger.info(
      "the broker serves",
      metadata: [
        "cluster": "\(configuration.clusterName)", "port": "\(pulsarPort ?? -1)", "tlsPort": "\(pulsarTLSPort ?? -1)",
      ])
  }

  /// A name for a producer that brought none.
  func nextProducerName() -> String {
    let prefix = state.withLockedValue { $0.producerNamePrefix }
    return "\(prefix)-\(producerNumber.loadThenWrappingIncrement(ordering: .relaxed))"
  }

  private func startListening() async throws {
    if let port = configuration.brokerServicePort {
      let channel = try await listen(port: port, tls: nil)
      state.withLockedValue { $0.plain = channel }
    }
    if let port = configuration.brokerServicePortTLS {
      guard let tls = configuration.tls else {
        throw BrokerError.badRequest("A TLS port needs a certificate: configure tls")
      }
      let context: TLSContext
      do {
        context = try TLSContext(tls, role: .server)
      } catch {
        throw BrokerError.badRequest("The TLS port's certificates cannot be used: \(error)")
      }
      let channel = try await listen(port: port, tls: context)
      state.withLockedValue {
        $0.tls = channel
        $0.tlsContext = context
      }
    }
  }

  private func listen(port: Int, tls: TLSContext?) async throws -> any Channel {
    let logger = logger
    let bootstrap = EventLoops.serverBootstrap(group: group)
      .childChannelInitializer { [weak self] channel in
        channel.eventLoop.makeCompletedFuture {
          guard let self else { throw BrokerError.notReady("The broker has stopped") }
          if let tls {
            let handler = TLSHandler(context: tls, serverHostname: nil) { result in
              if case .failure(let error) = result {
                logger.warning(
                  "a TLS handshake failed",
                  metadata: ["client": "\(channel.remoteAddress?.description ?? "")", "reason": "\(error)"])
              }
            }
            try channel.pipeline.syncOperations.addHandler(handler)
          }
          try channel.pipeline.syncOperations.addHandler(
            ClientSession(broker: self, eventLoop: channel.eventLoop, isTLS: tls != nil, logger: self.logger))
        }
      }
    do {
      return try await bootstrap.bind(host: configuration.bindAddress, port: port).get()
    } catch {
      throw BrokerError(
        .conflict, "\(configuration.bindAddress):\(port) cannot be listened on: \(ErrorText.describe(error))")
    }
  }

  /// Stops: clients are told, topics closed, cursors saved, the ports given back.
  public func shutdown() async throws {
    let (channels, sessions, changes) = state.withLockedValue { state in
      state.isStopping = true
      state.keeper?.cancel()
      return ([state.plain, state.tls].compactMap { $0 }, Array(state.sessions.values), state.changes)
    }
    changes?.cancel()
    for channel in channels { try? await channel.close().get() }
    directory.close()
    await closeTopics()
    for session in sessions {
      session.eventLoop.execute { session.channel?.close(promise: nil) }
    }
    for session in sessions { try? await session.channel?.closeFuture.get() }
  }

  /// Closes every topic. What has not closed in time is recovered by who opens it next.
  private func closeTopics() async {
    let (ended, end) = AsyncStream.makeStream(of: Void.self)
    let closing = Task {
      await withTaskGroup(of: Void.self) { group in
        for topic in directory.all {
          group.addTask { await self.directory.remove(topic.name) { await $0.close() } }
        }
      }
      end.finish()
    }
    let limit = Task {
      try await Task.sleep(for: configuration.shutdownTimeout)
      logger.warning("topics are left to be recovered: they did not close in time")
      closing.cancel()
      end.finish()
    }
    for await _ in ended {}
    limit.cancel()
  }

  /// The plain port, once the broker has started.
  public var pulsarPort: Int? { state.withLockedValue { $0.plain?.localAddress?.port } }
  /// The TLS port, once the broker has started.
  public var pulsarTLSPort: Int? { state.withLockedValue { $0.tls?.localAddress?.port } }

  /// Where clients reach this broker.
  public var address: BrokerAddress {
    let host =
      configuration.advertisedAddress.contains(":")
      ? "[\(configuration.advertisedAddress)]" : configuration.advertisedAddress
    return BrokerAddress(
      serviceURL: pulsarPort.map { "pulsar://\(host):\($0)" } ?? "",
      serviceURLTLS: pulsarTLSPort.map { "pulsar+ssl://\(host):\($0)" } ?? "",
      webServiceURL: configuration.webServiceURL, webServiceURLTLS: configuration.webServiceURLTLS)
  }

  /// Reads the TLS files again if they changed; new connections use the new ones. Returns whether they changed.
  public func reloadCertificates() throws -> Bool {
    guard let context = state.withLockedValue({ $0.tlsContext }) else { return false }
    return try context.reloadIfChanged()
  }

  /// Connections of clients that are open.
  public var connectionCount: Int { state.withLockedValue { $0.sessions.count } }

  func sessionOpened(_ session: ClientSession) {
    let isStopping = state.withLockedValue { state in
      state.sessions[session.id] = session
      return state.isStopping
    }
    if isStopping { session.channel?.close(promise: nil) }
  }

  func sessionClosed(_ session: ClientSession) {
    state.withLockedValue { $0.sessions[session.id] = nil }
  }

  // MARK: Topics

  /// The topic, loaded if it is not. `isReplicator` lets another region's entries create it whatever the rules for
  /// clients are.
  func topic(
    _ name: TopicName, createIfMissing: Bool, isReplicator: Bool = false
  ) async throws -> LoadedTopic {
    if let loaded = directory.loaded(name) { return loaded }
    return try await directory.get(name) { [self] in
      try await load(name, createIfMissing: createIfMissing, isReplicator: isReplicator)
    }
  }

  /// A persistent topic that exists.
  func existingTopic(_ name: TopicName) async throws -> Topic {
    guard case .persistent(let topic) = try await topic(name, createIfMissing: false) else {
      throw BrokerError(.notAllowed, "\(name) is not persistent")
    }
    return topic
  }

  private func load(_ name: TopicName, createIfMissing: Bool, isReplicator: Bool) async throws -> LoadedTopic {
    let namespace = try await namespacePolicies(name.namespace)
    if try await ownership.remoteOwner(of: name) != nil {
      throw BrokerError.notReady("Topic \(name) is served by another broker: look it up again")
    }
    try await requireExistence(name, namespace, createIfMissing: createIfMissing, isReplicator: isReplicator)
    let effective = try await effectivePolicies(name, namespace)
    let loop = group.next()
    guard name.isPersistent else {
      let topic = NonPersistentTopic(
        name: name, policies: effective, configuration: configuration, schemas: schemas, on: loop, logger: logger)
      loop.execute {
        topic.onInactive = { [weak self] topic in
          guard let self else { return }
          Task { try? await self.deleteTopic(topic.name, force: false) }
        }
        topic.start()
      }
      return .nonPersistent(topic)
    }
    let topic = try await loader.load(name, policies: effective, on: loop)
    let factory = state.withLockedValue { $0.replicatorFactory }
    try await topic.onLoop { topic in
      topic.onUnusable = { [weak self] topic, error in
        guard let self else { return }
        logger.warning("a topic is unloaded", metadata: ["topic": "\(topic.name)", "reason": "\(error)"])
        Task { await self.unload(topic) }
      }
      topic.onInactive = { [weak self] topic in
        guard let self else { return }
        Task { await self.deleteInactive(topic) }
      }
      topic.start(replicatorFactory: factory)
    }
    // Before the first message can be published: a cursor that is made later might miss some.
    do {
      try await topic.startReplicators()
    } catch {
      await topic.close()
      throw error
    }
    // Policies that changed while the topic was being loaded.
    if let now = try? await effectivePolicies(name, namespacePolicies(name.namespace)) { await topic.apply(now) }
    return .persistent(topic)
  }

  private func unload(_ topic: Topic) async {
    guard case .persistent(let loaded)? = directory.loaded(topic.name), loaded === topic else { return }
    await directory.remove(topic.name) { await $0.close() }
  }

  private func deleteInactive(_ topic: Topic) async {
    guard case .persistent(let loaded)? = directory.loaded(topic.name), loaded === topic else { return }
    logger.info("an inactive topic is deleted", metadata: ["topic": "\(topic.name)"])
    do {
      try await deleteTopic(topic.name, force: false)
    } catch {
      logger.debug("an inactive topic is kept", metadata: ["topic": "\(topic.name)", "reason": "\(error)"])
    }
  }

  /// Throws unless the topic exists or may be created now.
  private func requireExistence(
    _ name: TopicName, _ namespace: NamespacePolicies, createIfMissing: Bool, isReplicator: Bool
  ) async throws {
    if name.partition != nil, let whole = try await partitionedMetadata(of: name.partitionedTopic) {
      guard (name.partition ?? 0) < whole.partitions else {
        throw BrokerError(
          .topicNotFound, "Topic \(name) does not exist: \(name.partitionedTopic) has \(whole.partitions) partitions")
      }
      return
    }
    if name.partition == nil, let whole = try await partitionedMetadata(of: name), whole.partitions > 0 {
      throw BrokerError(
        .notAllowed, "Topic \(name) is partitioned: use one of its \(whole.partitions) partitions")
    }
    if try await exists(name) { return }
    guard createIfMissing, isReplicator || autoCreation(namespace).isAllowed else {
      throw BrokerError.topicNotFound(name)
    }
    try await requireRoom(in: name.namespace, namespace)
  }

  func requireRoom(in namespace: NamespaceName, _ policies: NamespacePolicies, adding: Int = 1) async throws {
    guard let limit = policies.maxTopicsPerNamespace, limit > 0 else { return }
    let count = try await listTopics(in: namespace, mode: .all).count
    guard count + adding <= limit else {
      throw BrokerError(.preconditionFailed, "Exceed maximum number of topics in namespace \(namespace): \(limit)")
    }
  }

  /// Whether the topic's record exists, or, without storage, whether it is loaded.
  func exists(_ name: TopicName) async throws -> Bool {
    guard name.isPersistent else { return directory.loaded(name) != nil }
    return try await metadata.get("/topics/\(name.storagePath)") != nil
  }

  func autoCreation(_ namespace: NamespacePolicies) -> (isAllowed: Bool, partitions: Int) {
    guard let own = namespace.autoTopicCreationOverride else {
      return (configuration.allowAutoTopicCreation, configuration.defaultNumPartitions)
    }
    return (own.allowAutoTopicCreation, own.topicType == "partitioned" ? own.defaultNumPartitions ?? 1 : 0)
  }

  // MARK: Policies

  func namespacePolicies(_ namespace: NamespaceName) async throws -> NamespacePolicies {
    if let cached = policies.cachedPolicies(for: namespace) { return cached }
    do {
      return try await policies.policies(for: namespace)
    } catch let error as PolicyError where error.kind == .notFound {
      throw BrokerError.namespaceNotFound(namespace)
    }
  }

  func partitionedMetadata(of topic: TopicName) async throws -> PartitionedTopicMetadata? {
    if let cached = policies.cachedPartitions(of: topic) { return cached }
    return try await policies.partitions(of: topic)
  }

  func effectivePolicies(_ topic: TopicName, _ namespace: NamespacePolicies) async throws -> EffectivePolicies {
    EffectivePolicies(
      configuration: configuration, namespace: namespace,
      topic: policies.cachedTopicPolicies(for: topic) ?? TopicPolicies())
  }

  private func policyChanged(_ change: PolicyChange) async {
    switch change {
    case .namespace(let namespace): await policiesChanged(namespace)
    case .topicPolicies(let topic):
      for loaded in directory.all(in: topic.namespace) where loaded.name.partitionedTopic == topic {
        await refresh(loaded)
      }
    case .cluster:
      for case .persistent(let topic) in directory.all {
        topic.eventLoop.execute {
          for replicator in topic.runningReplicators.values { replicator.policyChanged() }
        }
      }
    case .tenant, .partitionedTopic: break
    }
  }

  /// Brings the policies of a namespace to its topics. The broker notices changes by itself: this is for callers that
  /// want them in force when it returns.
  public func policiesChanged(_ namespace: NamespaceName) async {
    for topic in directory.all(in: namespace) { await refresh(topic) }
  }

  private func refresh(_ topic: LoadedTopic) async {
    do {
      var applied: EffectivePolicies?
      // Two changes may be on their way at once: the last one to arrive leaves what holds now.
      while true {
        let now = try await effectivePolicies(topic.name, namespacePolicies(topic.name.namespace))
        guard now != applied else { return }
        await topic.apply(now)
        applied = now
      }
    } catch {
      logger.debug("policies could not be read", metadata: ["topic": "\(topic.name)", "reason": "\(error)"])
    }
  }
}
