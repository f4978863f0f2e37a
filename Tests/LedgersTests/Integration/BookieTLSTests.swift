import Bookie
import BookieWire
import Foundation
import NIOCore
import TestSupport
import Testing
import Transport

@testable import Ledgers

@Suite("Ledgers: TLS between clients and bookies", .serialized)
struct BookieTLSTests {
  /// An authority and what it issues, in files.
  private struct Certificates {
    let directory: TemporaryDirectory
    let authority: CertificateAuthority
    let trust: String

    init(_ directory: TemporaryDirectory, _ name: String) throws {
      self.directory = directory
      authority = try CertificateAuthority(commonName: name)
      trust = directory.file("\(name).crt")
      try Data(authority.certificatePEM.utf8).write(to: URL(fileURLWithPath: trust))
    }

    func client(_ name: String?) throws -> TLSContext {
      var configuration = TLSConfiguration(trustRootsFile: trust, verification: .certificate)
      if let name {
        let files = try authority.issueFiles(name: name, directory: directory.path, commonName: name)
        configuration.certificateChainFile = files.certificateFile
        configuration.privateKeyFile = files.privateKeyFile
      }
      return try TLSContext(configuration, role: .client)
    }
  }

  private func withBookies(
    isMutual: Bool, _ body: @escaping @Sendable (BookieCluster, TemporaryDirectory, Certificates) async throws -> Void
  ) async throws {
    try await TemporaryDirectory.with { directory in
      let ours = try Certificates(directory, "ours")
      let files = try ours.authority.issueFiles(name: "bookie", directory: directory.path, commonName: "bookie")
      try await BookieCluster.with(1) { cluster in
        try await cluster.stop("bookie-1")
        for index in 2...4 {
          try await cluster.start("bookie-\(index)") {
            $0.tlsCertificatePath = files.certificateFile
            $0.tlsKeyPath = files.privateKeyFile
            $0.tlsTrustPath = ours.trust
            $0.tlsClientAuthentication = isMutual
          }
        }
        try await body(cluster, directory, ours)
      }
    }
  }

  private func writesAndReads(_ client: LedgerClient, _ cluster: BookieCluster) async throws {
    let ledger = try await client.createLedger(LedgerOptions(), on: cluster.loop)
    let outcome = try await LedgerLoad.run(ledger, count: 2_000)
    #expect(outcome.acknowledged == 2_000 && outcome.isOrdered)
    _ = try await ledger.close()
    let entries = try await client.openLedger(ledger.id, on: cluster.loop).readAll()
    #expect(entries.count == 2_000 && entries.allSatisfy { LedgerLoad.matches($0) })
  }

  private func isRefused(_ client: LedgerClient, _ cluster: BookieCluster) async throws {
    let ledger = try await client.createLedger(LedgerOptions(), on: cluster.loop)
    let outcome = try await LedgerLoad.run(ledger, count: 1)
    #expect(outcome.acknowledged == 0 && outcome.error != nil)
  }

  @Test("Entries go over TLS, and in the clear where no certificate is demanded; not to bookies of another authority")
  func encrypted() async throws {
    try await withBookies(isMutual: false) { cluster, directory, ours in
      let tls = try ours.client(nil)
      try await writesAndReads(await cluster.client(.network) { $0.tls = tls }, cluster)
      try await writesAndReads(await cluster.client(.network), cluster)
      let foreign = try Certificates(directory, "theirs").client(nil)
      try await isRefused(await cluster.client(.network) { $0.tls = foreign }, cluster)
    }
  }

  @Test("Where a certificate is demanded, neither plain clients are served, nor those without one or with another's")
  func mutual() async throws {
    try await withBookies(isMutual: true) { cluster, directory, ours in
      let known = try ours.client("broker")
      try await writesAndReads(await cluster.client(.network) { $0.tls = known }, cluster)
      try await isRefused(await cluster.client(.network), cluster)
      let nameless = try ours.client(nil)
      try await isRefused(await cluster.client(.network) { $0.tls = nameless }, cluster)
      let theirs = try Certificates(directory, "theirs")
      var configuration = try theirs.client("stranger").configuration
      configuration.trustRootsFile = ours.trust
      let stranger = try TLSContext(configuration, role: .client)
      try await isRefused(await cluster.client(.network) { $0.tls = stranger }, cluster)
    }
  }

  @Test("A bookie without a certificate refuses TLS")
  func unprepared() async throws {
    try await TemporaryDirectory.with { directory in
      let tls = try Certificates(directory, "ours").client(nil)
      try await BookieCluster.with(3) { cluster in
        try await isRefused(await cluster.client(.network) { $0.tls = tls }, cluster)
      }
    }
  }
}
