import Foundation
import TestSupport
import Testing

@testable import Transport

@Suite struct CertificateAuthorityTests {
  @Test func isMadeOnceAndLoadedLater() throws {
    try TemporaryDirectory.with { directory in
      let made = try CertificateAuthority.loadOrCreate(directory: directory.path)
      let loaded = try CertificateAuthority.loadOrCreate(directory: directory.path)
      #expect(made.certificatePEM == loaded.certificatePEM && made.privateKeyPEM == loaded.privateKeyPEM)
      let mode = try FileManager.default.attributesOfItem(atPath: directory.file("ca.key"))[.posixPermissions]
      #expect(mode as? Int == 0o600)
      #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted() == ["ca.crt", "ca.key"])
      try CertificateAuthority().privateKeyPEM.write(
        toFile: directory.file("ca.key"), atomically: true, encoding: .utf8)
      let error = #expect(throws: TLSError.self) { try CertificateAuthority(directory: directory.path) }
      #expect(error?.description.contains("does not belong") == true)
    }
  }

  @Test func refusesNamesThatAreNone() throws {
    let authority = try CertificateAuthority()
    for name in ["", "a,IP:1.2.3.4", "a b", "ä.test"] {
      #expect(throws: TLSError.self) { try authority.issue(commonName: "x", dnsNames: [name]) }
    }
    for address in ["", "1.2.3", "localhost", "1.2.3.4,DNS:evil"] {
      #expect(throws: TLSError.self) { try authority.issue(commonName: "x", ipAddresses: [address]) }
    }
    #expect(throws: TLSError.self) { try authority.issue(commonName: "") }
    #expect(throws: TLSError.self) { try authority.issue(commonName: String(repeating: "x", count: 65)) }
    #expect(throws: TLSError.self) { try authority.issue(commonName: "x", days: .max) }
  }

  @Test func filesThatDoNotFitAreNamed() throws {
    try TemporaryDirectory.with { directory in
      let authority = try CertificateAuthority.loadOrCreate(directory: directory.path)
      try authority.issueFiles(name: "a", directory: directory.path, commonName: "a")
      try authority.issueFiles(name: "b", directory: directory.path, commonName: "b")
      func message(_ configuration: TLSConfiguration, _ role: TLSContext.Role) -> String {
        let error = #expect(throws: TLSError.self) { try TLSContext(configuration, role: role) }
        return error?.description ?? ""
      }
      let a = directory.file("a.crt")
      let b = directory.file("b.key")
      #expect(message(TLSConfiguration(certificateChainFile: a, privateKeyFile: b), .server).contains(b))
      #expect(message(TLSConfiguration(certificateChainFile: a), .server).contains("without a private key"))
      #expect(message(TLSConfiguration(), .server).contains("needs a certificate"))
      #expect(message(TLSConfiguration(trustRootsFile: directory.file("none")), .client).contains("none"))
      let asking = TLSConfiguration(
        certificateChainFile: a, privateKeyFile: directory.file("a.key"), clientAuth: .required)
      #expect(message(asking, .server).contains("trust roots"))
    }
  }
}
