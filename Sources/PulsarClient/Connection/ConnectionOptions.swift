import NIOCore
import PulsarWire
import Transport

/// How connections are made and what they say of themselves.
public struct ConnectionOptions: Sendable {
  /// Certificates and rules for TLS addresses; `nil` trusts the system's roots.
  public var tls: TLSContext?
  /// Time for the TCP connection, for the TLS handshake, and for the broker's first word: each.
  public var connectionTimeout: TimeAmount = .seconds(10)
  /// Pings go out at this interval; a connection on which nothing came for two of them is closed.
  public var keepAliveInterval: TimeAmount = .seconds(30)
  /// Name and version that the broker shows in its stats.
  public var clientVersion = "Meridian-Swift"
  /// What the client supports.
  public var featureFlags = ProtoFeatureFlags()
  /// Authentication method and data, sent with CONNECT.
  public var authentication: (method: String, data: [UInt8])?
  /// Connect to this address physically, whatever broker is meant (PIP-60, SNI routing).
  public var proxy: ServiceAddress?

  /// The defaults.
  public init() {}
}
