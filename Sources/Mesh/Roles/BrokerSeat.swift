import Foundation
import Logging
import MetadataStore
import NIOConcurrencyHelpers

/// The right to be the broker of a region: a key with a lease. Topics have no owner among several brokers yet, so there is
/// one at a time; another one that is started waits as long as a broker that died holds the seat, and then says who has it.
final class BrokerSeat: Sendable {
  static let key = "/region/broker"

  private struct Holder: Codable {
    var broker: String
    /// Tells two processes of one address apart.
    var process: String
  }

  private let metadata: any MetadataStore
  private let value: [UInt8]
  private let ttl: Duration
  private let logger: Logger
  private let lease: NIOLockedValueBox<MetadataLease>
  private let keeper = NIOLockedValueBox<Task<Void, Never>?>(nil)

  private init(
    metadata: any MetadataStore, value: [UInt8], ttl: Duration, lease: MetadataLease, logger: Logger
  ) {
    self.metadata = metadata
    self.value = value
    self.ttl = ttl
    self.lease = NIOLockedValueBox(lease)
    self.logger = logger
  }

  /// Takes the seat.
  /// - Parameters:
  ///   - broker: how this broker is reached, for people.
  ///   - ttl: how long the seat stays taken after its holder died.
  ///   - onLost: called once with a sentence when another broker has the seat; this one must stop.
  /// - Throws: ``MeshError`` if another broker has it and keeps it.
  static func take(
    broker: String, metadata: any MetadataStore, ttl: Duration, logger: Logger,
    onLost: @escaping @Sendable (String) -> Void
  ) async throws -> BrokerSeat {
    let holder = Holder(broker: broker, process: UUID().uuidString)
    let value = Array(try JSONEncoder().encode(holder))
    let lease = try await metadata.grantLease(ttl: ttl)
    let deadline = ContinuousClock.now + lease.ttl * 2
    var hasWaited = false
    while true {
      do {
        try await metadata.put(key, value, expected: .absent, lease: lease)
        break
      } catch MetadataError.versionMismatch {
        let present = try await metadata.get(key).flatMap {
          try? JSONDecoder().decode(Holder.self, from: Data($0.value))
        }
        guard ContinuousClock.now < deadline else {
          try? await lease.revoke()
          throw MeshError(
            "the region has a broker already (\(present?.broker ?? "unknown")), and several at once are not supported; "
              + "stop it first")
        }
        if !hasWaited, let present {
          logger.notice("waiting for the end of the broker \(present.broker), or of its lease")
          hasWaited = true
        }
        try await Task.sleep(for: .milliseconds(200))
      }
    }
    let seat = BrokerSeat(metadata: metadata, value: value, ttl: ttl, lease: lease, logger: logger)
    let keeper = Task { await seat.keep(onLost) }
    seat.keeper.withLockedValue { $0 = keeper }
    return seat
  }

  /// Leaves the seat to others.
  func leave() async {
    let task = keeper.withLockedValue { $0 }
    task?.cancel()
    await task?.value
    try? await lease.withLockedValue { $0 }.revoke()
  }

  private func keep(_ onLost: @Sendable (String) -> Void) async {
    while !Task.isCancelled {
      for await _ in lease.withLockedValue({ $0 }).expired { break }
      if Task.isCancelled { return }
      logger.warning("the lease of the broker's seat has ended; taking it again")
      while !Task.isCancelled {
        do {
          if try await takeAgain() { break }
          onLost("another broker has taken this region over")
          return
        } catch MetadataError.closed {
          return
        } catch {
          logger.warning("the broker's seat cannot be taken again: \(error)")
          try? await Task.sleep(for: .seconds(1))
        }
      }
    }
  }

  /// False if somebody else has it.
  private func takeAgain() async throws -> Bool {
    let next = try await metadata.grantLease(ttl: ttl)
    while true {
      let present = try await metadata.get(Self.key)
      guard present == nil || present?.value == value else {
        try? await next.revoke()
        return false
      }
      do {
        try await metadata.put(
          Self.key, value, expected: present.map { .exactly($0.version) } ?? .absent, lease: next)
        lease.withLockedValue { $0 = next }
        return true
      } catch MetadataError.versionMismatch {
        continue
      }
    }
  }
}
