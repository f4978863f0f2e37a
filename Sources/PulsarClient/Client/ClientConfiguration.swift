import NIOCore
import Transport

/// How a client connects.
public struct ClientConfiguration: Sendable {
  /// Certificates and rules for TLS.
  public var tls: TLSConfiguration?
  /// Authentication method and data, sent when connecting.
  public var authentication: (method: String, data: [UInt8])?
  /// How long lookups and the opening of producers and consumers may take, tries included.
  public var operationTimeout: TimeAmount = .seconds(30)
  /// Time for each step of connecting.
  public var connectionTimeout: TimeAmount = .seconds(10)
  /// Pings go out at this interval.
  public var keepAliveInterval: TimeAmount = .seconds(30)
  /// Connections to each broker on each event loop.
  public var connectionsPerBroker = 1
  /// Pauses between tries.
  public var backoff = BackoffPolicy(initial: .milliseconds(100), maximum: .seconds(10))

  /// The defaults: no TLS, no authentication.
  public init() {}
}
