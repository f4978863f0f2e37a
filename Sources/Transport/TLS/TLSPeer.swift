/// What a completed handshake says about the connection and about who is at its other end.
public struct TLSPeer: Sendable, Hashable {
  /// The common name of the certificate's subject; nil without a certificate.
  public var commonName: String?
  /// The DNS names of the certificate.
  public var dnsNames: [String]
  /// The IP addresses of the certificate, as text.
  public var ipAddresses: [String]
  /// The URIs of the certificate (SPIFFE identities, for example).
  public var uris: [String]
  /// Whether a certificate was presented and its chain verified.
  public var isVerified: Bool
  /// The version that was agreed on, such as `TLSv1.3`.
  public var protocolVersion: String
  /// The cipher suite that was agreed on.
  public var cipherSuite: String

  /// A peer of the given parts.
  public init(
    commonName: String? = nil, dnsNames: [String] = [], ipAddresses: [String] = [], uris: [String] = [],
    isVerified: Bool = false, protocolVersion: String = "", cipherSuite: String = ""
  ) {
    self.commonName = commonName
    self.dnsNames = dnsNames
    self.ipAddresses = ipAddresses
    self.uris = uris
    self.isVerified = isVerified
    self.protocolVersion = protocolVersion
    self.cipherSuite = cipherSuite
  }
}

/// User event fired through the pipeline when the handshake is complete.
public struct TLSHandshakeCompleted: Sendable, Hashable {
  /// The other end.
  public var peer: TLSPeer

  /// An event about the given peer.
  public init(peer: TLSPeer) {
    self.peer = peer
  }
}
