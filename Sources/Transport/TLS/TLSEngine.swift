import COpenSSL
import NIOCore

/// One TLS connection without its socket: encrypted bytes in and out, plain bytes in and out.
///
/// Not thread-safe. It does no I/O and calls nobody back.
final class TLSEngine {
  /// What one piece of input led to. The parts happened in the order of the members.
  struct Outcome {
    /// The handshake completed within this piece.
    var handshakeCompleted = false
    /// The peer ended its side of the connection with close_notify.
    var receivedCloseNotify = false
    /// The connection failed.
    var error: TLSError?
  }

  /// Plain bytes of one full record.
  static let recordLength = 16384

  private let context: LibraryContext
  private let ssl: OpaquePointer
  private let io: UnsafeMutablePointer<meridian_tls_io>
  private let serverHostname: String?
  private(set) var isHandshaking = true
  private var sawFirstBytes = false
  private var bytesSinceKeyUpdate = 0

  /// - Parameter serverHostname: for a client, the name or address it connected to.
  init(context: LibraryContext, serverHostname: String?) throws(TLSError) {
    ERR_clear_error()
    self.context = context
    self.serverHostname = serverHostname
    let isServer = context.role == .server
    guard let io = meridian_tls_io_new() else { throw .configuration("there is no memory for a connection.") }
    guard let ssl = meridian_ssl_new(context.handle, io, isServer ? 1 : 0) else {
      meridian_tls_io_free(io)
      throw .configuration("there is no memory for a connection.")
    }
    self.io = io
    self.ssl = ssl
    try configureVerification(isServer: isServer)
  }

  deinit {
    SSL_free(ssl)
    meridian_tls_io_free(io)
  }

  private func configureVerification(isServer: Bool) throws(TLSError) {
    if isServer {
      switch context.configuration.clientAuth {
      case .none: meridian_ssl_set_verify(ssl, SSL_VERIFY_NONE)
      case .optional: meridian_ssl_set_verify(ssl, SSL_VERIFY_PEER)
      case .required: meridian_ssl_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT)
      }
      return
    }
    let isAddress = serverHostname.map { (try? SocketAddress(ipAddress: $0, port: 0)) != nil } ?? false
    if let serverHostname, !isAddress {
      meridian_ssl_set_server_name(ssl, serverHostname)
    }
    // Without verification the library must not fail on the chain, which a recording callback would make it do.
    guard context.configuration.verification != .none else {
      SSL_set_verify(ssl, SSL_VERIFY_NONE, nil)
      return
    }
    meridian_ssl_set_verify(ssl, SSL_VERIFY_PEER)
    guard context.configuration.verification == .fullHostname else { return }
    guard let serverHostname else {
      throw .configuration("host names are to be verified, and the name that was connected to is not given.")
    }
    let parameters = SSL_get0_param(ssl)
    X509_VERIFY_PARAM_set_hostflags(parameters, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
    let accepted =
      isAddress
      ? X509_VERIFY_PARAM_set1_ip_asc(parameters, serverHostname)
      : X509_VERIFY_PARAM_set1_host(parameters, serverHostname, serverHostname.utf8.count)
    guard accepted == 1 else { throw .configuration("\"\(serverHostname)\" is neither a host name nor an address.") }
  }

  // MARK: Receiving

  /// Begins the handshake: a client has output afterwards.
  func start() -> Outcome {
    var outcome = Outcome()
    advanceHandshake(&outcome)
    return outcome
  }

  /// Decrypts `input`, appending what it holds to `plaintext`. There may be output afterwards, also after an error.
  func receive(_ input: ByteBuffer, into plaintext: inout ByteBuffer) -> Outcome {
    var outcome = Outcome()
    if !sawFirstBytes, let first = input.getInteger(at: input.readerIndex, as: UInt8.self) {
      sawFirstBytes = true
      if let error = Self.refusal(first: first, input, isServer: context.role == .server) {
        outcome.error = error
        return outcome
      }
    }
    input.withUnsafeReadableBytes { bytes in
      io.pointee.input = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
      io.pointee.input_length = bytes.count
      defer {
        io.pointee.input = nil
        io.pointee.input_length = 0
      }
      if isHandshaking { advanceHandshake(&outcome) }
      if !isHandshaking, outcome.error == nil { decrypt(into: &plaintext, &outcome) }
    }
    return outcome
  }

  /// A peer that does not speak TLS is told from its first byte: a handshake or alert record begins every TLS stream.
  private static func refusal(first: UInt8, _ input: ByteBuffer, isServer: Bool) -> TLSError? {
    if first == 0x16 || first == 0x15 { return nil }
    let sample = input.readableBytesView.prefix(8).map { byte in
      let digits = String(byte, radix: 16)
      return digits.count == 1 ? "0" + digits : digits
    }
    let who = isServer ? "a plaintext client connected to the TLS port" : "the port that was connected to is plaintext"
    return .notTLS("\(who) (the first bytes are \(sample.joined(separator: " "))).")
  }

  private func advanceHandshake(_ outcome: inout Outcome) {
    ERR_clear_error()
    let result = SSL_do_handshake(ssl)
    if result == 1 {
      isHandshaking = false
      outcome.handshakeCompleted = true
      return
    }
    let code = SSL_get_error(ssl, result)
    if code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE { return }
    outcome.error = failure(code)
  }

  private func decrypt(into plaintext: inout ByteBuffer, _ outcome: inout Outcome) {
    while true {
      let wanted = max(Int(SSL_pending(ssl)), min(Self.recordLength, io.pointee.input_length), 512)
      var result: Int32 = 0
      ERR_clear_error()
      plaintext.writeWithUnsafeMutableBytes(minimumWritableBytes: wanted) { room in
        var count = 0
        result = SSL_read_ex(ssl, room.baseAddress, room.count, &count)
        return result == 1 ? count : 0
      }
      if result == 1 { continue }
      switch SSL_get_error(ssl, result) {
      case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: break
      case SSL_ERROR_ZERO_RETURN: outcome.receivedCloseNotify = true
      case let code: outcome.error = failure(code)
      }
      return
    }
  }

  // MARK: Sending

  /// Encrypts `plaintext` into full records (the last one may be shorter), appending them to `output`.
  func encrypt(_ plaintext: UnsafeRawBufferPointer, into output: inout ByteBuffer) throws(TLSError) {
    guard plaintext.count > 0 else { return }
    takeOutput(into: &output)
    refreshKeys(after: plaintext.count)
    let records = (plaintext.count + Self.recordLength - 1) / Self.recordLength
    var result: Int32 = 0
    ERR_clear_error()
    output.writeWithUnsafeMutableBytes(minimumWritableBytes: plaintext.count + records * 96) { room in
      io.pointee.output = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
      io.pointee.output_capacity = room.count
      io.pointee.output_length = 0
      defer {
        io.pointee.output = nil
        io.pointee.output_capacity = 0
        io.pointee.output_length = 0
      }
      var written = 0
      result = SSL_write_ex(ssl, plaintext.baseAddress, plaintext.count, &written)
      return io.pointee.output_length
    }
    takeOutput(into: &output)
    if result != 1 { throw failure(SSL_get_error(ssl, result)) }
  }

  /// Asks for fresh keys long before AES-GCM reaches its limit of about 2^24.5 records under one key.
  private func refreshKeys(after count: Int) {
    bytesSinceKeyUpdate += count
    guard bytesSinceKeyUpdate > 64 << 30, SSL_version(ssl) == TLSVersion.tlsv13.rawValue else { return }
    bytesSinceKeyUpdate = 0
    SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED)
  }

  /// Ends our side: there is a close_notify to send afterwards, unless the handshake is not complete.
  func closeOutput() {
    guard !isHandshaking else { return }
    ERR_clear_error()
    SSL_shutdown(ssl)
    ERR_clear_error()
  }

  /// Whether there are handshake messages or alerts to send.
  var hasOutput: Bool { io.pointee.overflow_length > 0 }

  /// Moves handshake messages and alerts to `output`.
  func takeOutput(into output: inout ByteBuffer) {
    guard hasOutput else { return }
    output.writeBytes(UnsafeRawBufferPointer(start: io.pointee.overflow, count: io.pointee.overflow_length))
    io.pointee.overflow_length = 0
  }

  // MARK: The other end

  /// Who is at the other end, after the handshake.
  func peer() -> TLSPeer {
    var peer = TLSPeer()
    if let certificate = SSL_get1_peer_certificate(ssl) {
      peer = TLSCertificateNames(certificate).peer
      X509_free(certificate)
      peer.isVerified = SSL_get_verify_result(ssl) == X509_V_OK && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE
    }
    peer.protocolVersion = String(cString: SSL_get_version(ssl))
    peer.cipherSuite = SSL_CIPHER_get_name(SSL_get_current_cipher(ssl)).map { String(cString: $0) } ?? ""
    return peer
  }

  private func failure(_ code: Int32) -> TLSError {
    let error = ERR_peek_error()
    ERR_clear_error()
    return TLSErrorClassifier(
      error: error, code: code, verifyError: io.pointee.verify_error, certificate: io.pointee.verify_certificate,
      expectedName: serverHostname
    ).error
  }
}
