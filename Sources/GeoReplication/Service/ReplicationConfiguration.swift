import NIOCore
import Transport

/// Limits and timings of a region's outgoing replication. Names in parentheses are Pulsar's for the same setting.
public struct ReplicationConfiguration: Sendable {
  /// Which language links speak.
  public enum LinkProtocol: Sendable {
    /// Meridian's with a region of ours, Pulsar's with anything else.
    case automatic
    /// Always Pulsar's.
    case pulsar
  }

  /// Timings and windows of each topic's replicator.
  public var replicator = ReplicatorState.Configuration()
  /// Bytes that all streams of one link may have under way together, beyond one read of each
  /// (`replicationMaxInFlightBytes`).
  public var maxInFlightBytes: Int = 256 << 20
  /// Entries read at once (`dispatcherMaxReadBatchSize`).
  public var maxReadEntries: Int = 1000
  /// Time between two heartbeats of a link.
  public var heartbeatInterval: TimeAmount = .seconds(1)
  /// A link without an answer for so long is down.
  public var heartbeatTimeout: TimeAmount = .seconds(5)
  /// Pauses between attempts to connect a link.
  public var reconnectBackoff = BackoffPolicy(initial: .milliseconds(100), maximum: .seconds(5), jitter: 0.5)
  /// Time for a TCP connection, for its TLS handshake, and for the first answer: each.
  public var connectionTimeout: TimeAmount = .seconds(5)
  /// Time for an answer to a request of the control path.
  public var requestTimeout: TimeAmount = .seconds(15)
  /// Failed attempts in a row to go on after which a topic counts as blocked.
  public var failuresUntilBlocked: Int = 3
  /// Certificates for clusters whose record names none (`brokerClientTlsEnabled` there decides whether TLS is used).
  public var tls: TLSConfiguration?
  /// Which language links speak.
  public var linkProtocol: LinkProtocol = .automatic

  /// The defaults.
  public init() {}
}
