import COpenSSL
import NIOConcurrencyHelpers

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The certificates and rules that TLS connections are made with, loaded from files that can be read again at any time.
///
/// Thread-safe. Connections take the files' content of the moment when their handler was created and keep it.
/// The initializer and the reload methods read files: do not call them on an event loop.
public final class TLSContext: Sendable {
  /// The end of the connection that we are.
  public enum Role: Sendable {
    case server
    case client
  }

  /// What the context was made from.
  public let configuration: TLSConfiguration
  /// The end of the connection that we are.
  public let role: Role

  private struct State {
    var current: LibraryContext
    var files: [FileStamp?]
  }
  private let state: NIOLockedValueBox<State>

  /// Reads and checks the files.
  /// - Throws: `TLSError.configuration`.
  public init(_ configuration: TLSConfiguration, role: Role) throws {
    self.configuration = configuration
    self.role = role
    let files = Self.stamps(configuration)
    state = NIOLockedValueBox(State(current: try LibraryContext(configuration, role: role), files: files))
  }

  /// Reads the files again; new connections use them. When they are not in order, what was in use stays in use.
  /// - Throws: `TLSError.configuration`.
  public func reload() throws {
    let files = Self.stamps(configuration)
    let fresh = try LibraryContext(configuration, role: role)
    state.withLockedValue { $0 = State(current: fresh, files: files) }
  }

  /// Reads the files again if one of them was replaced or written since they were last read with success.
  /// - Returns: whether new files are in use.
  /// - Throws: `TLSError.configuration`.
  public func reloadIfChanged() throws -> Bool {
    guard state.withLockedValue({ $0.files }) != Self.stamps(configuration) else { return false }
    try reload()
    return true
  }

  var current: LibraryContext { state.withLockedValue { $0.current } }

  private struct FileStamp: Equatable {
    var device: UInt64
    var inode: UInt64
    var size: Int64
    var modifiedSeconds: Int
    var modifiedNanoseconds: Int
  }

  private static func stamps(_ configuration: TLSConfiguration) -> [FileStamp?] {
    [configuration.certificateChainFile, configuration.privateKeyFile, configuration.trustRootsFile].map { path in
      var status = stat()
      guard let path, stat(path, &status) == 0 else { return nil }
      #if canImport(Darwin)
        let modified = status.st_mtimespec
      #else
        let modified = status.st_mtim
      #endif
      return FileStamp(
        device: UInt64(truncatingIfNeeded: status.st_dev), inode: UInt64(truncatingIfNeeded: status.st_ino),
        size: Int64(status.st_size), modifiedSeconds: modified.tv_sec, modifiedNanoseconds: modified.tv_nsec)
    }
  }
}

/// Owns one `SSL_CTX`, which is not changed after its creation and may then be used from any thread.
final class LibraryContext: @unchecked Sendable {
  let handle: OpaquePointer
  let configuration: TLSConfiguration
  let role: TLSContext.Role

  init(_ configuration: TLSConfiguration, role: TLSContext.Role) throws(TLSError) {
    ERR_clear_error()
    guard let handle = SSL_CTX_new(role == .server ? TLS_server_method() : TLS_client_method()) else {
      throw .configuration("the library has no memory for a context.")
    }
    self.handle = handle
    self.configuration = configuration
    self.role = role
    let maximum = configuration.maximumVersion.map { Int32($0.rawValue) } ?? 0
    guard meridian_ssl_ctx_setup(handle, Int32(configuration.minimumVersion.rawValue), maximum) == 1 else {
      throw .configuration("the library refuses the protocol versions (\(LibraryErrors.take())).")
    }
    try loadIdentity()
    try loadTrustRoots()
  }

  deinit {
    SSL_CTX_free(handle)
  }

  private func loadIdentity() throws(TLSError) {
    guard let chain = configuration.certificateChainFile else {
      guard role == .client else { throw .configuration("a server needs a certificate and a private key.") }
      guard configuration.privateKeyFile == nil else {
        throw .configuration("a private key is given without a certificate.")
      }
      return
    }
    guard let key = configuration.privateKeyFile else {
      throw .configuration("the certificate \(chain) is given without a private key.")
    }
    guard SSL_CTX_use_certificate_chain_file(handle, chain) == 1 else {
      throw .configuration("the certificate file \(chain) cannot be used (\(LibraryErrors.take())).")
    }
    guard SSL_CTX_use_PrivateKey_file(handle, key, SSL_FILETYPE_PEM) == 1 else {
      throw .configuration("the private key file \(key) cannot be used (\(LibraryErrors.take())).")
    }
    guard SSL_CTX_check_private_key(handle) == 1 else {
      throw .configuration("the private key \(key) does not belong to the certificate \(chain).")
    }
  }

  private func loadTrustRoots() throws(TLSError) {
    let needsRoots = role == .client ? configuration.verification != .none : configuration.clientAuth != .none
    guard needsRoots else { return }
    guard let roots = configuration.trustRootsFile else {
      guard role == .client else {
        throw .configuration("a server that asks for client certificates needs trust roots of its own.")
      }
      SSL_CTX_set_default_verify_paths(handle)
      return
    }
    guard SSL_CTX_load_verify_locations(handle, roots, nil) == 1 else {
      throw .configuration("the trust roots file \(roots) cannot be used (\(LibraryErrors.take())).")
    }
    if role == .server {
      SSL_CTX_set_client_CA_list(handle, SSL_load_client_CA_file(roots))
    }
  }
}

/// The error queue of the library, which belongs to the thread.
enum LibraryErrors {
  /// The most specific reason in the queue as text; empties the queue.
  static func take() -> String {
    let error = ERR_peek_last_error()
    ERR_clear_error()
    return text(error)
  }

  static func text(_ error: UInt) -> String {
    guard error != 0 else { return "no reason given" }
    guard let reason = ERR_reason_error_string(error) else { return "error \(error)" }
    return String(cString: reason)
  }
}
