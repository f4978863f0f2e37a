import COpenSSL
import NIOCore

/// A small certificate authority: one self-signed P-256 certificate that issues the certificates of a mesh.
///
/// Everything here reads or writes files or makes keys: do not use it on an event loop.
public struct CertificateAuthority: Sendable {
  /// The authority's certificate in PEM: the trust root of everybody in the mesh.
  public let certificatePEM: String
  /// The authority's private key in PEM.
  public let privateKeyPEM: String

  /// The certificate's file in an authority's directory.
  public static let certificateFileName = "ca.crt"
  /// The private key's file in an authority's directory; only its owner may read it.
  public static let privateKeyFileName = "ca.key"

  /// Makes a new authority in memory.
  public init(commonName: String = "Meridian mesh CA", days: Int = 3650) throws {
    let key = try LibraryKey.make()
    let builder = try CertificateBuilder(subject: commonName, key: key, days: days)
    try builder.add(NID_basic_constraints, "critical,CA:TRUE,pathlen:0")
    try builder.add(NID_key_usage, "critical,keyCertSign,cRLSign")
    try builder.add(NID_subject_key_identifier, "hash")
    try builder.sign(issuer: builder.certificate, key: key)
    certificatePEM = try builder.certificate.pem()
    privateKeyPEM = try key.pem()
  }

  /// Loads the authority in `directory`.
  /// - Throws: `TLSError.configuration` when a file is missing or they do not belong together.
  public init(directory: String) throws {
    certificatePEM = try PrivateFile.read(directory + "/" + Self.certificateFileName)
    privateKeyPEM = try PrivateFile.read(directory + "/" + Self.privateKeyFileName)
    let certificate = try LibraryCertificate(pem: certificatePEM)
    let key = try LibraryKey(pem: privateKeyPEM)
    guard X509_check_private_key(certificate.handle, key.handle) == 1 else {
      throw TLSError.configuration("the key in \(directory) does not belong to the authority's certificate.")
    }
  }

  /// Loads the authority in `directory`, or makes one there when both files are absent. The directory must exist.
  public static func loadOrCreate(
    directory: String, commonName: String = "Meridian mesh CA", days: Int = 3650
  ) throws -> CertificateAuthority {
    let certificateFile = directory + "/" + certificateFileName
    let keyFile = directory + "/" + privateKeyFileName
    if PrivateFile.exists(certificateFile) || PrivateFile.exists(keyFile) {
      return try CertificateAuthority(directory: directory)
    }
    let authority = try CertificateAuthority(commonName: commonName, days: days)
    try PrivateFile.write(authority.privateKeyPEM, to: keyFile, mode: 0o600)
    try PrivateFile.write(authority.certificatePEM, to: certificateFile, mode: 0o644)
    return authority
  }

  /// Issues a certificate, with a new key, that servers and clients may use.
  /// - Parameters:
  ///   - commonName: who it is for; at most 64 characters.
  ///   - dnsNames: names that a server is reached by; `*` may stand for the first label.
  ///   - ipAddresses: addresses that a server is reached by.
  ///   - days: validity from now on; not positive makes one that has expired already.
  /// - Throws: `TLSError.configuration`.
  public func issue(
    commonName: String, dnsNames: [String] = [], ipAddresses: [String] = [], days: Int = 825
  ) throws -> (certificatePEM: String, privateKeyPEM: String) {
    let issuer = try LibraryCertificate(pem: certificatePEM)
    let issuerKey = try LibraryKey(pem: privateKeyPEM)
    let key = try LibraryKey.make()
    let builder = try CertificateBuilder(subject: commonName, key: key, days: days)
    try builder.add(NID_basic_constraints, "critical,CA:FALSE")
    try builder.add(NID_key_usage, "critical,digitalSignature")
    try builder.add(NID_ext_key_usage, "serverAuth,clientAuth")
    try builder.add(NID_subject_key_identifier, "hash", issuer: issuer)
    try builder.add(NID_authority_key_identifier, "keyid:always", issuer: issuer)
    let names = try dnsNames.map(Self.checkedName) + ipAddresses.map(Self.checkedAddress)
    if !names.isEmpty { try builder.add(NID_subject_alt_name, names.joined(separator: ",")) }
    try builder.sign(issuer: issuer, key: issuerKey)
    return (try builder.certificate.pem(), try key.pem())
  }

  /// Issues a certificate and writes it to `<directory>/<name>.crt` and its key, for the owner only, to
  /// `<directory>/<name>.key`. Existing files are replaced atomically, the key first.
  /// - Returns: the two paths.
  @discardableResult
  public func issueFiles(
    name: String, directory: String, commonName: String, dnsNames: [String] = [], ipAddresses: [String] = [],
    days: Int = 825
  ) throws -> (certificateFile: String, privateKeyFile: String) {
    let issued = try issue(commonName: commonName, dnsNames: dnsNames, ipAddresses: ipAddresses, days: days)
    let certificateFile = "\(directory)/\(name).crt"
    let keyFile = "\(directory)/\(name).key"
    try PrivateFile.write(issued.privateKeyPEM, to: keyFile, mode: 0o600)
    try PrivateFile.write(issued.certificatePEM, to: certificateFile, mode: 0o644)
    return (certificateFile, keyFile)
  }

  /// The library takes names in a small language of its own, which a name must not be able to speak.
  private static func checkedName(_ name: String) throws(TLSError) -> String {
    let isPlain = name.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "*"):
        true
      default: false
      }
    }
    guard isPlain, !name.isEmpty, name.utf8.count <= 253 else { throw .configuration("\"\(name)\" is no DNS name.") }
    return "DNS:" + name
  }

  private static func checkedAddress(_ address: String) throws(TLSError) -> String {
    guard (try? SocketAddress(ipAddress: address, port: 0)) != nil, !address.contains("%") else {
      throw .configuration("\"\(address)\" is no IP address.")
    }
    return "IP:" + address
  }
}
