import TestSupport
import Transport

@testable import Broker

/// What the regions of a test show each other.
struct LinkCertificates: Sendable {
  private let directory: String
  private let authority: CertificateAuthority

  init(in directory: TemporaryDirectory) throws {
    self.directory = directory.path
    authority = try CertificateAuthority.loadOrCreate(directory: directory.path)
  }

  private var root: String { "\(directory)/\(CertificateAuthority.certificateFileName)" }

  /// Gives a broker a TLS port that asks for certificates.
  func serve(_ configuration: inout BrokerConfiguration) throws {
    let files = try authority.issueFiles(
      name: "broker", directory: directory, commonName: "broker", dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"],
      days: 1)
    configuration.brokerServicePortTLS = 0
    configuration.tls = TLSConfiguration(
      certificateChainFile: files.certificateFile, privateKeyFile: files.privateKeyFile, trustRootsFile: root,
      clientAuth: .optional)
  }

  /// What a client of the name `name` connects with; without one it shows no certificate.
  func client(_ name: String?) throws -> TLSContext {
    var tls = TLSConfiguration(trustRootsFile: root)
    if let name {
      let files = try authority.issueFiles(name: name, directory: directory, commonName: name, days: 1)
      tls.certificateChainFile = files.certificateFile
      tls.privateKeyFile = files.privateKeyFile
    }
    return try TLSContext(tls, role: .client)
  }
}
