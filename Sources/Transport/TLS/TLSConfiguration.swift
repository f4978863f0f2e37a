/// Versions of the TLS protocol that this library speaks.
public enum TLSVersion: Int, Sendable, Comparable, CustomStringConvertible {
  case tlsv12 = 0x0303
  case tlsv13 = 0x0304

  /// `TLSv1.2` or `TLSv1.3`.
  public var description: String { self == .tlsv12 ? "TLSv1.2" : "TLSv1.3" }

  /// Whether `lhs` is the older one.
  public static func < (lhs: Self, rhs: Self) -> Bool { lhs.rawValue < rhs.rawValue }
}

/// What a `TLSContext` is made from. All files are PEM.
public struct TLSConfiguration: Sendable, Equatable {
  /// What a client demands of a server's certificate.
  public enum Verification: Sendable {
    /// Nothing: encryption without knowing the peer.
    case none
    /// A valid chain to a trust root.
    case certificate
    /// A valid chain, and the name or address that was connected to among the certificate's names.
    case fullHostname
  }

  /// What a server demands of its clients.
  public enum ClientAuthentication: Sendable {
    /// No certificate is asked for.
    case none
    /// A certificate is asked for; one that is presented must be valid.
    case optional
    /// Without a valid certificate there is no connection.
    case required
  }

  /// The own certificate, followed by intermediate ones. A server needs it.
  public var certificateChainFile: String?
  /// The private key of the own certificate.
  public var privateKeyFile: String?
  /// The certificates that chains must end in; nil for those of the system.
  public var trustRootsFile: String?
  /// What a client demands of a server.
  public var verification: Verification
  /// What a server demands of its clients.
  public var clientAuth: ClientAuthentication
  /// The oldest version that is spoken.
  public var minimumVersion: TLSVersion
  /// The newest version that is spoken; nil for the newest known.
  public var maximumVersion: TLSVersion?

  /// A configuration of the given parts.
  public init(
    certificateChainFile: String? = nil, privateKeyFile: String? = nil, trustRootsFile: String? = nil,
    verification: Verification = .fullHostname, clientAuth: ClientAuthentication = .none,
    minimumVersion: TLSVersion = .tlsv12, maximumVersion: TLSVersion? = nil
  ) {
    self.certificateChainFile = certificateChainFile
    self.privateKeyFile = privateKeyFile
    self.trustRootsFile = trustRootsFile
    self.verification = verification
    self.clientAuth = clientAuth
    self.minimumVersion = minimumVersion
    self.maximumVersion = maximumVersion
  }
}
