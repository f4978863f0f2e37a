import Broker
import Logging
import NIOConcurrencyHelpers
import NIOCore
import PulsarClient
import TopicLog

/// A region's outgoing replication: a link to every remote region that a namespace names, and a replicator for every
/// topic partition and region.
///
/// Give it to the broker as its replicator factory, before the broker starts. Its methods can be called from anywhere.
public final class ReplicationService: TopicReplicatorFactory {
  /// The local region.
  public let region: String
  /// Which life of the region this is.
  public let incarnation: UInt64
  let policies: PolicyStore
  let configuration: ReplicationConfiguration
  let group: any EventLoopGroup
  let logger: Logger

  private struct State {
    var links: [String: Link] = [:]
    var follower: Task<Void, Never>?
    var sampler: Task<Void, Never>?
    /// `nil` until the broker has looked for the first time.
    var loadingTopics: Int?
    var isStopped = false
  }

  private let state = NIOLockedValueBox(State())

  /// The service of region `region`; it connects after ``start()``.
  ///
  /// - Parameters:
  ///   - incarnation: of this life of the region; the same number that the broker was given.
  ///   - group: the loops of the broker: links connect on the loops that topics live on.
  public init(
    region: String, incarnation: UInt64, policies: PolicyStore, configuration: ReplicationConfiguration,
    group: any EventLoopGroup, logger: Logger
  ) {
    self.region = region
    self.incarnation = incarnation
    self.policies = policies
    self.configuration = configuration
    self.group = group
    self.logger = logger
  }

  /// Connects the links that the policies ask for, and follows the policies from now on.
  public func start() async throws {
    let changes = policies.changes()
    linkNamedRegions()
    let follower = Task { [weak self] in
      for await change in changes {
        guard let self else { return }
        switch change {
        case .cluster(let name): self.state.withLockedValue { $0.links[name] }?.recordChanged()
        case .namespace: self.linkNamedRegions()
        case .tenant, .topicPolicies, .partitionedTopic: break
        }
      }
    }
    let sampler = Task { [weak self] in
      while !Task.isCancelled {
        try? await Task.sleep(for: .seconds(1))
        guard let self, !Task.isCancelled else { return }
        _ = await self.collect(isTick: true)
      }
    }
    state.withLockedValue { state in
      state.follower = follower
      state.sampler = sampler
    }
  }

  /// Closes every link. Replicators are the topics' to stop.
  public func shutdown() async {
    let (links, follower, sampler) = state.withLockedValue { state in
      state.isStopped = true
      return (Array(state.links.values), state.follower, state.sampler)
    }
    follower?.cancel()
    sampler?.cancel()
    for link in links { await link.stop() }
  }

  /// How far every remote region is behind this one, and what the links are doing.
  public func lag() async -> LagReport {
    let (links, namespaces, nowMs) = await collect(isTick: false)
    return LagReport(region: region, incarnation: incarnation, asOfMs: nowMs, links: links, namespaces: namespaces)
  }

  /// What the links are doing.
  public func links() async -> [LinkLag] { await collect(isTick: false).links }

  /// A replicator of `topic` towards `remoteCluster`; on the topic's loop.
  public func makeReplicator(topic: Topic, remoteCluster: String, cursor: TopicCursor) -> any TopicReplicator {
    Replicator(
      topic: topic, link: link(to: remoteCluster), cursor: cursor, configuration: configuration, logger: logger)
  }

  /// So many topics with something to replicate are not loaded yet: what waits in them is not known.
  public func topicsLoading(_ count: Int) {
    state.withLockedValue { $0.loadingTopics = count }
  }

  // MARK: Links

  private func link(to remote: String) -> Link {
    let (link, isNew) = state.withLockedValue { state in
      if let link = state.links[remote] { return (link, false) }
      let link = Link(
        remote: remote, region: region, incarnation: incarnation, policies: policies, configuration: configuration,
        on: group.next(), logger: logger)
      state.links[remote] = link
      return (link, !state.isStopped)
    }
    if isNew { link.start() }
    return link
  }

  /// A link for every region that shares a namespace with this one; links that nobody needs any more are closed.
  private func linkNamedRegions() {
    var named: Set<String> = []
    for namespace in policies.namespaces() {
      guard let own = policies.cachedPolicies(for: namespace), own.replicationClusters.contains(region) else {
        continue
      }
      named.formUnion(Set(own.replicationClusters).subtracting(own.residencyDeny))
    }
    named.remove(region)
    for remote in named.sorted() { _ = link(to: remote) }
    let idle = state.withLockedValue { state in
      let idle = state.links.filter { !named.contains($0.key) && $0.value.replicators.isEmpty }
      for remote in idle.keys { state.links[remote] = nil }
      return idle.values.map { $0 }
    }
    for link in idle { Task { await link.stop() } }
  }

  // MARK: Figures

  private func collect(isTick: Bool) async -> (links: [LinkLag], namespaces: [NamespaceLag], nowMs: Int64) {
    let (links, loading) = state.withLockedValue { ($0.links, $0.loadingTopics) }
    var reports: [LinkLag] = []
    var namespaces: [NamespaceLag] = []
    for (remote, link) in links.sorted(by: { $0.key < $1.key }) {
      let samples = await Self.samples(of: link, isTick: isTick) + link.absentTopics(now: .now())
      let nowMs = wallClockMs()
      reports.append(
        link.journal.withLockedValue { journal in
          LagAccount.link(
            to: remote, samples, status: link.status, loading: loading, journal: &journal, nowMs: nowMs)
        })
      namespaces += LagAccount.namespaces(to: remote, samples)
    }
    return (reports, namespaces, wallClockMs())
  }

  private static func samples(of link: Link, isTick: Bool) async -> [ReplicatorSample] {
    let byLoop = Dictionary(grouping: link.replicators) { ObjectIdentifier($0.eventLoop) }
    var samples: [ReplicatorSample] = []
    for group in byLoop.values {
      guard let loop = group.first?.eventLoop else { continue }
      let some = try? await loop.submit {
        let now = NIODeadline.now()
        let nowMs = wallClockMs()
        return group.map { replicator in
          if isTick { replicator.tick(now: now, nowMs: nowMs) }
          return replicator.sample(now: now)
        }
      }.get()
      samples += some ?? []
    }
    return samples
  }
}
