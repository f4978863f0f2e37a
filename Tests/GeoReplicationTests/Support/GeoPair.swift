@testable import Broker
import GeoReplication
import NIOCore
import PulsarWire
import TestSupport
import TopicLog
import Transport

/// Two regions that replicate the namespace `demo/orders`, each reaching the other through a relay.
struct GeoPair: Sendable {
  let us: GeoRegion
  let eu: GeoRegion
  /// What `us` connects to.
  let toEU: TCPRelay
  let toUS: TCPRelay

  static let namespace = "demo/orders"
  static func topic(_ name: String) throws -> TopicName { try TopicName("persistent://\(namespace)/\(name)") }

  /// Runs `body` with two regions in a fresh directory, and ends them.
  static func with(
    namespaceInUS: @escaping (inout NamespacePolicies) -> Void = { _ in },
    delay: TimeAmount? = nil,
    configureEU: @escaping @Sendable (inout BrokerConfiguration) -> Void = { _ in },
    _ configure: @escaping @Sendable (inout ReplicationConfiguration) -> Void = { _ in },
    body: (GeoPair) async throws -> Void
  ) async throws {
    try await TemporaryDirectory.with { directory in
      let authority = try CertificateAuthority()
      let us = try await GeoRegion("us", in: directory, authority: authority, configure)
      let eu = try await GeoRegion("eu", in: directory, authority: authority, configureBroker: configureEU, configure)
      let pair = GeoPair(
        us: us, eu: eu, toEU: try await TCPRelay.start(to: eu.tlsPort, delay: delay),
        toUS: try await TCPRelay.start(to: us.tlsPort, delay: delay))
      do {
        try await us.start()
        try await eu.start()
        try await us.know(eu, through: pair.toEU.port)
        try await eu.know(us, through: pair.toUS.port)
        for region in [us, eu] {
          try await region.policies.createTenant("demo", TenantInfo(allowedClusters: ["us", "eu"]))
          try await region.policies.createNamespace(
            try NamespaceName(namespace), try pair.makePolicies(region === us ? namespaceInUS : { _ in }))
        }
        try await body(pair)
      } catch {
        try? await pair.end()
        throw error
      }
      try await pair.end()
    }
  }

  private func makePolicies(_ change: (inout NamespacePolicies) -> Void) throws -> NamespacePolicies {
    var policies = NamespacePolicies()
    policies.replicationClusters = ["us", "eu"]
    policies.deduplicationEnabled = true
    // What everybody has read stays, so that a test finds it.
    policies.retentionPolicies = RetentionPolicies(retentionTimeInMinutes: -1, retentionSizeInMB: -1)
    change(&policies)
    return policies
  }

  private func end() async throws {
    try await toEU.stop()
    try await toUS.stop()
    try await us.end()
    try await eu.end()
  }

  /// The link of `us` to `eu`, or the other way round.
  func link(from region: GeoRegion) async -> LinkLag? {
    await region.replication.lag().links.first
  }
}

/// An entry as a region stored it.
struct StoredMessage: Hashable, Sendable {
  var producer: String
  var sequence: UInt64
  var text: String
  var replicatedFrom: String?
  var schemaVersion: [UInt8]?

  var id: String { "\(producer)/\(sequence)" }
}

extension GeoRegion {
  /// Everything that the topic holds, in order; nothing if it does not exist.
  func stored(_ topic: TopicName) async throws -> [StoredMessage] {
    guard let loaded = try? await broker.existingTopic(topic) else { return [] }
    let log = loaded.log
    var messages: [StoredMessage] = []
    var from = Position.earliest
    while true {
      let start = from
      let batch = try await log.eventLoop.flatSubmit {
        let promise = log.eventLoop.makePromise(of: [LogEntry].self)
        let next = log.firstPosition(atOrAfter: log.position(after: start))
        guard let next else {
          promise.succeed([])
          return promise.futureResult
        }
        log.read(from: next, maxEntries: 1000, maxBytes: 8 << 20) {
          promise.completeWith($0.mapError { $0 as any Error })
        }
        return promise.futureResult
      }.get()
      guard let last = batch.last else { return messages }
      for entry in batch {
        let header = try EntryHeader.parse(entry.payload)
        try header.verifyChecksum()
        let metadata = try MessageMetadataView(header.metadata)
        messages.append(
          StoredMessage(
            producer: metadata.producerName, sequence: metadata.sequenceID,
            text: String(buffer: header.payload), replicatedFrom: metadata.replicatedFrom,
            schemaVersion: metadata.schemaVersion.map { Array($0.readableBytesView) }))
      }
      from = last.position
    }
  }
}

/// Per producer, the sequence ids in the order in which they are stored.
func sequences(_ messages: [StoredMessage]) -> [String: [UInt64]] {
  Dictionary(grouping: messages, by: \.producer).mapValues { $0.map(\.sequence) }
}
