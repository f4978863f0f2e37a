import COpenSSL
import NIOCore

/// Turns what the library knows about a failure into the error that tells an operator what to do.
struct TLSErrorClassifier {
  let error: TLSError

  init(error code: UInt, code sslCode: Int32, verifyError: Int, certificate: OpaquePointer?, expectedName: String?) {
    let text = LibraryErrors.text(code)
    let reason = meridian_err_reason(code)
    switch reason {
    case _ where code == 0:
      error = .protocolViolation("the stream ended or broke unexpectedly (code \(sslCode))")
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
      error = Self.rejected(verifyError, certificate, expectedName)
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      error = .missingPeerCertificate
    case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_WRONG_SSL_VERSION, SSL_R_NO_PROTOCOLS_AVAILABLE, SSL_R_VERSION_TOO_LOW,
      SSL_R_VERSION_TOO_HIGH, SSL_R_NO_SHARED_CIPHER, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
      error = .versionMismatch(text)
    case SSL_R_WRONG_VERSION_NUMBER, SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST:
      error = .notTLS("\(text).")
    case SSL_AD_REASON_OFFSET...SSL_AD_REASON_OFFSET + 255:
      error = .refusedByPeer(text)
    default:
      error = .protocolViolation(text)
    }
  }

  private static func rejected(_ code: Int, _ certificate: OpaquePointer?, _ expected: String?) -> TLSError {
    let names = certificate.map { TLSCertificateNames($0) }
    switch Int32(truncatingIfNeeded: code) {
    case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH:
      return .hostnameMismatch(expected: expected ?? "", presented: names?.all ?? [])
    default:
      let reason = X509_verify_cert_error_string(code).map { String(cString: $0) } ?? "error \(code)"
      let subject = names?.peer.commonName.map { " (certificate \"\($0)\")" } ?? ""
      return .certificateRejected(reason + subject)
    }
  }
}

/// The names in a certificate.
final class TLSCertificateNames {
  private(set) var peer = TLSPeer()

  /// All names that a host name or address is compared with.
  var all: [String] {
    let names = peer.dnsNames + peer.ipAddresses
    return names.isEmpty ? [peer.commonName].compactMap { $0 } : names
  }

  /// Reads the names; the certificate is not kept.
  init(_ certificate: OpaquePointer) {
    meridian_x509_names(certificate, Unmanaged.passUnretained(self).toOpaque()) { context, kind, bytes, length in
      guard let context else { return }
      let names = Unmanaged<TLSCertificateNames>.fromOpaque(context).takeUnretainedValue()
      names.add(kind, UnsafeBufferPointer(start: bytes, count: Int(max(0, length))))
    }
  }

  private func add(_ kind: Int32, _ bytes: UnsafeBufferPointer<UInt8>) {
    switch kind {
    case 0: peer.commonName = String(decoding: bytes, as: UTF8.self)
    case 1: peer.dnsNames.append(String(decoding: bytes, as: UTF8.self))
    case 2:
      let packed = ByteBuffer(bytes: bytes)
      if let text = (try? SocketAddress(packedIPAddress: packed, port: 0))?.ipAddress { peer.ipAddresses.append(text) }
    default: peer.uris.append(String(decoding: bytes, as: UTF8.self))
    }
  }
}
