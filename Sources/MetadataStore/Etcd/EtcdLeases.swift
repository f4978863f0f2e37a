import GRPCCore
import Logging
import NIOConcurrencyHelpers

/// Grants leases and keeps them alive.
///
/// A lease that could not be renewed for its time to live counts as ended here, whether or not the cluster, which may be
/// away, still has it: whoever holds it must not go on in its name.
final class EtcdLeases: Sendable {
  private let client: EtcdClient
  private let logger: Logger
  private let registry = LeaseRegistry()
  private let keepers = NIOLockedValueBox<[Int64: Task<Void, Never>]>([:])

  init(client: EtcdClient, logger: Logger) {
    self.client = client
    self.logger = logger
  }

  /// A new lease. An answer that is lost leaves one that nobody renews.
  func grant(ttl: Duration) async throws -> MetadataLease {
    var request = EtcdLeaseGrantRequest()
    let seconds = ttl.components.seconds + (ttl.components.attoseconds > 0 ? 1 : 0)
    request.ttl = max(1, seconds)
    let asked = ContinuousClock.now
    let answer = try await client.call(.leaseGrant, request)
    guard answer.error.isEmpty, answer.ttl > 0 else {
      throw MetadataError.storage("etcd grants no lease: \(answer.error).")
    }
    let granted = Duration.seconds(answer.ttl)
    let lease = MetadataLease(
      id: answer.id, ttl: granted, revoke: { [self] in try await end($0) },
      abandon: { [self] id in Task { try? await end(id) } })
    lease.extend(until: asked + granted)
    registry.add(lease)
    let keeper = Task { await self.keep(answer.id, granted, until: asked + granted) }
    keepers.withLockedValue { $0[answer.id] = keeper }
    return lease
  }

  /// Ends a lease; its keys are gone when this returns.
  private func end(_ id: Int64) async throws {
    forget(id)
    var request = EtcdLeaseRevokeRequest()
    request.id = id
    do {
      _ = try await client.call(.leaseRevoke, request)
    } catch EtcdFailure.refused(.notFound, _) {
      return
    } catch MetadataError.closed {
      return
    } catch let failure as EtcdFailure {
      throw failure.metadataError
    }
  }

  /// Whether the cluster has the lease.
  func exists(_ id: Int64) async throws -> Bool {
    var request = EtcdLeaseTimeToLiveRequest()
    request.id = id
    return try await client.call(.leaseTimeToLive, request).ttl > 0
  }

  /// Ends every lease that holds.
  func close() async {
    let ids = keepers.withLockedValue { Array($0.keys) }
    await withTaskGroup(of: Void.self) { group in
      for id in ids { group.addTask { try? await self.end(id) } }
    }
    registry.expireAll()
  }

  private func forget(_ id: Int64) {
    let keeper = keepers.withLockedValue { $0.removeValue(forKey: id) }
    keeper?.cancel()
  }

  // MARK: Renewal

  private func keep(_ id: Int64, _ ttl: Duration, until first: ContinuousClock.Instant) async {
    var deadline = first
    var pause = ttl / 3
    while true {
      do { try await Task.sleep(for: pause) } catch { return }
      guard registry.lease(id) != nil else { return }
      let asked = ContinuousClock.now
      var reason = "it could not be renewed for \(ttl)"
      if asked < deadline {
        do {
          let remaining = try await renew(id, timeout: min(client.configuration.attemptTimeout, deadline - asked))
          if remaining > .zero {
            deadline = asked + min(remaining, ttl)
            registry.lease(id)?.extend(until: deadline)
            pause = ttl / 3
            continue
          }
          reason = "the cluster has ended it"
        } catch {
          if case .closed = error { return }
          pause = min(ttl / 10, .milliseconds(500))
          guard ContinuousClock.now >= deadline else { continue }
        }
      }
      if Task.isCancelled { return }
      guard let lease = registry.lease(id) else { return }
      logger.warning("A metadata lease has ended: \(reason).", metadata: ["lease": "\(id)"])
      registry.remove(id)
      _ = keepers.withLockedValue { $0.removeValue(forKey: id) }
      lease.markExpired()
      // The cluster may still have it, and with it keys that nobody stands for.
      try? await end(id)
      return
    }
  }

  /// Renews once. - Returns: how long the lease holds from now on; zero if there is no such lease.
  private func renew(_ id: Int64, timeout: Duration) async throws(EtcdFailure) -> Duration {
    var request = EtcdLeaseKeepAliveRequest()
    request.id = id
    let answer = NIOLockedValueBox<Int64?>(nil)
    try await client.stream(.leaseKeepAlive, request, timeout: timeout) { response in
      answer.withLockedValue { $0 = response.ttl }
      return false
    }
    guard let seconds = answer.withLockedValue({ $0 }) else { throw .lost("the stream ended without an answer") }
    return .seconds(seconds)
  }
}
