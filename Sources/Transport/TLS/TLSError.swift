/// Why a TLS connection, or what it is made from, was refused.
public enum TLSError: Error, Hashable, Sendable, CustomStringConvertible {
  /// A file is missing, unreadable, not PEM, or does not fit the others; the text says which and why.
  case configuration(String)
  /// The peer sent something that is not TLS; the text describes it.
  case notTLS(String)
  /// The two sides share no protocol version or cipher suite; the text is the library's reason.
  case versionMismatch(String)
  /// The peer's certificate was refused; the text says why (expired, unknown issuer, ...).
  case certificateRejected(String)
  /// The peer's certificate is valid, and not for the name or address that was connected to.
  case hostnameMismatch(expected: String, presented: [String])
  /// The peer presented no certificate though one is required.
  case missingPeerCertificate
  /// The peer refused us with a TLS alert; the text is its name.
  case refusedByPeer(String)
  /// The handshake did not end in time; the milliseconds that it was given.
  case handshakeTimeout(milliseconds: Int64)
  /// The connection ended before the handshake did.
  case closedDuringHandshake
  /// The connection is closed, so that this write was not sent.
  case closed
  /// The peer broke the protocol or damaged data; the text is the library's reason.
  case protocolViolation(String)

  /// One sentence.
  public var description: String {
    switch self {
    case .configuration(let reason):
      "TLS cannot be set up: \(reason)"
    case .notTLS(let what):
      "The peer does not speak TLS: \(what)"
    case .versionMismatch(let reason):
      "No TLS version or cipher suite is shared with the peer (\(reason)); compare the minimum versions of both sides."
    case .certificateRejected(let reason):
      "The peer's certificate was refused: \(reason)."
    case .hostnameMismatch(let expected, let presented):
      "The peer's certificate is not for \"\(expected)\": it names \(presented.isEmpty ? "nothing" : presented.joined(separator: ", "))."
    case .missingPeerCertificate:
      "The peer presented no certificate, and one is required here."
    case .refusedByPeer(let alert):
      "The peer refused the TLS connection: \(alert)."
    case .handshakeTimeout(let milliseconds):
      "The TLS handshake did not complete within \(milliseconds) ms."
    case .closedDuringHandshake:
      "The connection was closed during the TLS handshake."
    case .closed:
      "The TLS connection is closed."
    case .protocolViolation(let reason):
      "The TLS connection failed: \(reason)."
    }
  }
}
